//! Questions, asked on a terminal alone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::{exit::Exit, failure::Failure, output::Output};

/// Makes sure that a person means this: its name, as `tmp status` shows it, was given by `--confirm`, or
/// `--yes` was, or the person types it now.
///
/// # Errors
/// It was not confirmed; nothing may be done.
pub(crate) fn confirm(out: &Output, what: &str, word: &str, given: Option<&str>) -> Result<(), Failure> {
    if out.yes() || given == Some(word) {
        return Ok(());
    }
    let refused = |message: String| {
        Failure::new(Exit::NotPermitted, message)
            .rule("not-confirmed")
            .help(format!("type it as `tmp status` shows it: --confirm {word}; or --yes"))
    };
    if let Some(given) = given {
        return Err(refused(format!("{what}: --confirm says {given:?}, not {word:?}")));
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(refused(format!("{what}: nobody is there to confirm it")));
    }
    let _ = write!(anstream::stderr(), "{what}.\nType {word} to go on: ");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(Failure::unexpected)?;
    if line.trim() == word { Ok(()) } else { Err(refused(format!("{what}: not confirmed"))) }
}
