//! Errors as people and programs see them: what, where, how to mend, and why.

use std::{error::Error, fmt, sync::Arc};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

use crate::{exit::Exit, output::printable};

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the process ends with.
    pub(crate) exit: Exit,
    message: String,
    rule: Option<&'static str>,
    help: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
    faults: Vec<Fault>,
}

/// One of several things that are wrong.
#[derive(Debug, Serialize)]
pub(crate) struct Fault {
    /// The rule, for `tmp explain`.
    pub(crate) rule: &'static str,
    /// A file with line and column, a path, a database, a step.
    pub(crate) subject: String,
    /// What is wrong.
    pub(crate) message: String,
    /// How to mend it.
    pub(crate) help: String,
    /// The text it stands in.
    #[serde(skip)]
    pub(crate) excerpt: Option<Excerpt>,
}

/// A place in a text.
#[derive(Debug)]
pub(crate) struct Excerpt {
    source: NamedSource<Arc<String>>,
    label: LabeledSpan,
}

/// The longest line that is shown, in bytes.
const LONGEST_LINE: usize = 1000;

impl Excerpt {
    /// `line` and `column`, both from 1, of the text of a file. `None` where that line or the one before
    /// or after it is too long to be shown.
    pub(crate) fn new(file: &str, text: &Arc<String>, line: u64, column: u64) -> Option<Self> {
        let at = usize::try_from(line.checked_sub(1)?).ok()?;
        let row = text.lines().nth(at)?;
        let (first, shown) = (at.saturating_sub(1), at.min(1) + 2);
        if text.lines().skip(first).take(shown).any(|line| line.len() > LONGEST_LINE) {
            return None;
        }
        let before: usize =
            text.split_inclusive('\n').take(usize::try_from(line - 1).ok()?).map(str::len).sum();
        let skip = usize::try_from(column.saturating_sub(1)).ok()?;
        let within: usize = row.chars().take(skip).map(char::len_utf8).sum();
        let length =
            row.chars().skip(skip).take_while(|c| !c.is_whitespace()).map(char::len_utf8).sum::<usize>();
        let source = NamedSource::new(file, Arc::clone(text));
        Some(Self {
            source,
            label: LabeledSpan::at(before + within..before + within + length.max(1), "here"),
        })
    }
}

impl Failure {
    /// A failure with this message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), rule: None, help: None, source: None, faults: Vec::new() }
    }

    /// Something unexpected.
    pub(crate) fn unexpected(error: impl Error + Send + Sync + 'static) -> Self {
        Self::caused(Exit::Error, error)
    }

    /// A failure whose message is that of an error, with the error's own causes.
    pub(crate) fn caused(exit: Exit, error: impl Error + Send + Sync + 'static) -> Self {
        let message = error.to_string();
        let source = chain(&error, &message);
        let mut failure = Self::new(exit, message);
        failure.source = source.map(Into::into);
        failure
    }

    /// With another message; the one it had is the first of its causes.
    pub(crate) fn told_as(mut self, message: impl Into<String>) -> Self {
        let text = std::mem::replace(&mut self.message, message.into());
        let source = self.source.take().map(|source| {
            let text = source.to_string();
            Box::new(Cause { source: chain(source.as_ref(), &text).map(Box::new), text })
        });
        self.source = Some(Box::new(Cause { text, source }));
        self
    }

    /// With how to mend it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With the rule that `tmp explain` knows.
    pub(crate) fn rule(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }

    /// With everything that is wrong.
    pub(crate) fn faults(mut self, faults: Vec<Fault>) -> Self {
        self.faults = faults;
        self
    }

    /// The report for people, without a line feed at its end; lines are not broken without a width.
    pub(crate) fn text(&self, color: bool, width: Option<usize>) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false);
        let handler = match width {
            Some(width) => handler.with_width(width),
            None => handler.with_wrap_lines(false),
        };
        let mut text = String::new();
        match handler.render_report(&mut text, self) {
            Ok(()) => text.trim_end().to_owned(),
            Err(_) => self.message.clone(),
        }
    }

    /// The report for programs: an object `tmp.error/v1`.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut causes = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = self.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        serde_json::json!({
            "schema": "tmp.error/v1",
            "exit": self.exit.code(),
            "message": self.message,
            "rule": self.rule,
            "help": self.help,
            "faults": self.faults,
            "causes": causes,
        })
    }
}

/// An error with everything that caused it, on one line.
pub(crate) fn told(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (**cause).source());
    let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    texts.collect::<Vec<_>>().join(": ")
}

/// The causes below an error, as owned texts. One that is told already is left out.
fn chain(error: &(dyn Error + 'static), told: &str) -> Option<Cause> {
    let cause = error.source()?;
    let text = cause.to_string();
    if told.contains(&text) {
        return chain(cause, told);
    }
    let source = chain(cause, &text).map(Box::new);
    Some(Cause { text, source })
}

#[derive(Debug)]
struct Cause {
    text: String,
    source: Option<Box<Self>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.text))
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.message))
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl Diagnostic for Failure {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.rule.map(|rule| Box::new(rule) as Box<dyn fmt::Display>)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(printable(help)) as Box<dyn fmt::Display>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.faults.is_empty() {
            return None;
        }
        Some(Box::new(self.faults.iter().map(|fault| fault as &dyn Diagnostic)))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An excerpt says itself where it stands.
        if !self.subject.is_empty() && self.excerpt.is_none() {
            write!(f, "{}: ", printable(&self.subject))?;
        }
        f.write_str(&printable(&self.message))
    }
}

impl Error for Fault {}

impl Diagnostic for Fault {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.rule))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.help.is_empty()).then(|| Box::new(printable(&self.help)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| &excerpt.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let excerpt = self.excerpt.as_ref()?;
        Some(Box::new(std::iter::once(excerpt.label.clone())))
    }
}
