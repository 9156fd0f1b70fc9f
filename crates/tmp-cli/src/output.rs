//! Where output goes: data to standard output, messages to standard error.
//!
//! Writing never fails a command half way: the first error of standard output is kept, a reader that
//! went away is no error, and anything else is reported at the end.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::{
    args::{Color, Globals},
    exit::Exit,
    failure::Failure,
};

/// Something a command shows: an object for programs and a text for people.
pub(crate) trait Report: Serialize {
    /// The name of the object's schema, such as `tmp.status/v1`.
    const SCHEMA: &'static str;

    /// The text, each line ended.
    fn text(&self) -> String;
}

/// Writes as the global flags say.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
    color: bool,
    yes: bool,
    lost: Option<io::Error>,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

impl Output {
    /// Output by the global flags and the environment (`NO_COLOR`, by anstream).
    pub(crate) fn new(globals: &Globals) -> Self {
        let choice = match globals.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let color = match globals.color {
            Color::Auto => anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never,
            Color::Always => true,
            Color::Never => false,
        };
        Self {
            json: globals.json,
            quiet: globals.quiet,
            verbose: globals.verbose,
            color,
            yes: globals.yes,
            lost: None,
        }
    }

    /// Whether programs read standard output.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// Whether messages are unwanted.
    pub(crate) const fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether more messages are wanted.
    pub(crate) const fn verbose(&self) -> bool {
        self.verbose
    }

    /// Whether questions are answered with yes.
    pub(crate) const fn yes(&self) -> bool {
        self.yes
    }

    /// Shows a report: one line of JSON, or its text.
    pub(crate) fn report<R: Report>(&mut self, report: &R) {
        if self.json {
            self.json_line(R::SCHEMA, report);
        } else {
            self.data(&printable(&report.text()));
        }
    }

    /// One line of JSON on standard output, with the name of its schema.
    pub(crate) fn json_line<T: Serialize>(&mut self, schema: &'static str, body: &T) {
        self.line(&Versioned { schema, body });
    }

    /// One line of JSON on standard output, of something that names its own schema.
    pub(crate) fn line<T: Serialize>(&mut self, body: &T) {
        match serde_json::to_string(body) {
            Ok(line) => self.data(&(line + "\n")),
            Err(error) => self.lose(io::Error::other(error)),
        }
    }

    /// Text on standard output, as it is.
    pub(crate) fn data(&mut self, text: &str) {
        if self.lost.is_none() {
            let mut stdout = anstream::stdout().lock();
            if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
                self.lose(error);
            }
        }
    }

    /// A message on standard error; a reader who went away misses it.
    pub(crate) fn message(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{}", printable(text));
        }
    }

    /// An error on standard error: an object with `--json`, else the report for people.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text =
            if self.json { failure.json().to_string() } else { failure.text(self.color, terminal_width()) };
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Whether nobody can be told anything on standard output any more.
    pub(crate) const fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    fn lose(&mut self, error: io::Error) {
        self.lost.get_or_insert(error);
    }

    /// What became of standard output: `Err` when it could not be written for another reason than
    /// that nobody reads it any more.
    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        match self.lost.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::Error, format!("standard output cannot be written: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether bars may be drawn on standard error.
    pub(crate) fn draws(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }
}

/// Columns of the terminal that messages go to; `None` where that is none.
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// A text that may quote hostile input, without what would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.chars().flat_map(|c| if steers(c) { c.escape_default().collect() } else { vec![c] }).collect()
}
