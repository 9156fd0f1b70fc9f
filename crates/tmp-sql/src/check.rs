//! Checks a script when it is packaged, so that what no script may do is told to its author.

use tmp_core::enhancement::{DatabaseEngine, TransactionMode};

use crate::{client, rules, split};

/// What a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptRole {
    /// It makes the change.
    Apply,
    /// It takes the change back.
    Rollback,
    /// It asks whether the change is right.
    Verify,
}

/// One mistake in a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}: {help}")]
pub struct ScriptFault {
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
    /// What is wrong.
    pub what: String,
    /// Why, and how to mend it.
    pub help: String,
}

impl ScriptFault {
    fn new(line: u64, column: u64, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { line, column, what: what.into(), help: help.into() }
    }
}

/// Every mistake of a script that shows without a database; empty for a good one. Whether the database
/// understands a statement is for the database to say.
///
/// A verify script always runs in the transaction, whatever `mode` its change has.
pub fn check_script(
    engine: DatabaseEngine,
    mode: TransactionMode,
    role: ScriptRole,
    text: &[u8],
) -> Vec<ScriptFault> {
    match readable(text) {
        Ok(text) => check_text(engine, mode, role, text),
        Err(fault) => vec![fault],
    }
}

/// A character that makes SQL end, or begin, elsewhere than it seems to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flaw {
    at: usize,
    pub(crate) what: &'static str,
    pub(crate) help: &'static str,
}

/// The first flaw of a text.
pub(crate) fn flaw(text: &str) -> Option<Flaw> {
    if text.starts_with('\u{feff}') {
        return Some(Flaw { at: 0, what: "a byte order mark", help: "save the script as UTF-8 without one" });
    }
    let at = text.find('\0')?;
    Some(Flaw { at, what: "a NUL character", help: "SQL ends there for the database; take it out" })
}

fn readable(bytes: &[u8]) -> Result<&str, ScriptFault> {
    let fault = |flaw: Flaw| {
        let before = String::from_utf8_lossy(bytes.get(..flaw.at).unwrap_or_default());
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        ScriptFault::new(line as u64, column as u64, flaw.what, flaw.help)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        fault(Flaw { at, what: "a byte that is not UTF-8", help: "save the script as UTF-8" })
    })?;
    flaw(text).map_or(Ok(text), |flaw| Err(fault(flaw)))
}

fn check_text(
    engine: DatabaseEngine,
    mode: TransactionMode,
    role: ScriptRole,
    text: &str,
) -> Vec<ScriptFault> {
    let mode = if role == ScriptRole::Verify { TransactionMode::Shared } else { mode };
    let (statements, error) = split::split_until_error(engine, text);
    let mut faults = Vec::new();
    for statement in &statements {
        if let Some(command) = client::command(engine, statement) {
            faults.push(ScriptFault::new(command.at.line, command.at.column, command.what, command.help));
        } else if let Some(refusal) = rules::refusal(engine, mode, statement) {
            let what = format!("{} is refused", refusal.what);
            faults.push(ScriptFault::new(statement.line, statement.column, what, refusal.why));
        }
    }
    if let Some(error) = error {
        faults.push(ScriptFault::new(error.line, error.column, error.what, error.help));
    } else if mode == TransactionMode::None && statements.len() != 1 {
        let what = format!("{} statements with `transaction: none`", statements.len());
        faults.push(ScriptFault::new(
            1,
            1,
            what,
            "such a script holds exactly one statement; make it several changes",
        ));
    } else if role == ScriptRole::Apply && statements.is_empty() {
        faults.push(ScriptFault::new(
            1,
            1,
            "no statement",
            "write what the change does, or leave the change out",
        ));
    }
    faults
}
