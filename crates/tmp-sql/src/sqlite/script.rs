//! Runs the statements of a script, one by one, under guard.

use std::fmt;

use rusqlite::{Connection, Row, types::ValueRef};
use tmp_core::{
    DatabaseName,
    database::{DatabaseError, SqlText},
    enhancement::{DatabaseEngine, TransactionMode},
};

use super::{
    error::{message, of_disk, of_others},
    guard::{Guard, Scope},
};
use crate::{
    check,
    rules::{self, Refusal},
    split::{self, Statement},
};

/// A script taken apart, with nothing in it that its tokens show to be refused.
pub(super) struct Script<'a> {
    database: DatabaseName,
    name: &'a str,
    mode: TransactionMode,
    statements: Vec<Statement<'a>>,
}

/// A statement's place in its script, for error messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    script: &'a str,
    line: u64,
    statement: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}, statement {}", self.script, self.line, self.statement)
    }
}

impl Place<'_> {
    fn failed(self, message: impl Into<String>) -> DatabaseError {
        DatabaseError::Statement {
            script: self.script.to_owned(),
            line: self.line,
            statement: self.statement,
            message: message.into(),
        }
    }

    fn refused(self, refusal: Refusal) -> DatabaseError {
        DatabaseError::Refused {
            script: self.script.to_owned(),
            line: self.line,
            statement: self.statement,
            what: refusal.what,
            why: refusal.why,
        }
    }

    fn not_true(self, column: &str, value: String) -> DatabaseError {
        DatabaseError::NotTrue {
            script: self.script.to_owned(),
            line: self.line,
            statement: self.statement,
            column: column.to_owned(),
            value,
        }
    }
}

impl<'a> Script<'a> {
    /// Takes `text` apart. Nothing has run if this fails.
    pub(super) fn read(
        database: &DatabaseName,
        text: &SqlText<'a>,
        mode: TransactionMode,
    ) -> Result<Self, DatabaseError> {
        let engine = DatabaseEngine::Sqlite;
        let nowhere = Place { script: text.name, line: 1, statement: 1 };
        if let Some(flaw) = check::flaw(text.text) {
            return Err(nowhere.failed(format!("{}: {}", flaw.what, flaw.help)));
        }
        let statements = split::split(engine, text.text).map_err(|error| {
            Place { line: error.line, statement: error.statement, ..nowhere }
                .failed(format!("{}: {}", error.what, error.help))
        })?;
        let script = Self { database: database.clone(), name: text.name, mode, statements };
        for (place, statement) in script.places() {
            if let Some(refusal) = rules::refusal(engine, mode, statement) {
                return Err(place.refused(refusal));
            }
        }
        if mode == TransactionMode::None && script.statements.len() != 1 {
            return Err(nowhere.failed("such a script holds exactly one statement"));
        }
        Ok(script)
    }

    fn places(&self) -> impl Iterator<Item = (Place<'a>, &Statement<'a>)> {
        let name = self.name;
        self.statements.iter().enumerate().map(move |(index, statement)| {
            (Place { script: name, line: statement.line, statement: index + 1 }, statement)
        })
    }

    fn scope(&self) -> Scope {
        let vacuum =
            |statement: &Statement<'_>| statement.lexemes.iter().take(1).any(|word| word.is_word("VACUUM"));
        match self.mode {
            TransactionMode::Shared => Scope::Shared,
            TransactionMode::None if self.statements.iter().any(vacuum) => Scope::Vacuum,
            TransactionMode::None => Scope::Alone,
        }
    }

    /// Runs every statement to its end.
    pub(super) fn run(&self, connection: &mut Connection) -> Result<(), DatabaseError> {
        self.run_reading(connection, &mut |_, _| Ok(()))
    }

    /// Runs every statement to its end; every value it answers must be true, and there must be one.
    pub(super) fn run_asserting(&self, connection: &mut Connection) -> Result<(), DatabaseError> {
        let mut answered = false;
        self.run_reading(connection, &mut |place, row| {
            answered = true;
            for (index, column) in row.as_ref().column_names().enumerate() {
                let value = row.get_ref(index).map_err(|error| place.failed(message(&error)))?;
                if !is_true(value) {
                    return Err(place.not_true(column, shown(value)));
                }
            }
            Ok(())
        })?;
        let last =
            self.places().last().map_or(Place { script: self.name, line: 1, statement: 1 }, |last| last.0);
        if answered { Ok(()) } else { Err(last.not_true("the answer of all statements", "empty".to_owned())) }
    }

    fn run_reading(
        &self,
        connection: &mut Connection,
        read: &mut dyn FnMut(Place<'a>, &Row<'_>) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let nowhere = Place { script: self.name, line: 1, statement: 1 };
        let guard =
            Guard::install(connection, self.scope()).map_err(|error| nowhere.failed(message(&error)))?;
        let result = self.places().try_for_each(|(place, statement)| {
            let result = run_one(connection, &guard, (&self.database, place), statement.text, read);
            self.still_inside(connection, place, result)
        });
        let removed = Guard::remove(connection).map_err(|error| nowhere.failed(message(&error)));
        result.and(removed)
    }

    /// A conflict clause such as `OR ROLLBACK` ends the transaction without any statement for it.
    fn still_inside(
        &self,
        connection: &Connection,
        place: Place<'_>,
        result: Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        if self.mode == TransactionMode::None || !connection.is_autocommit() {
            return result;
        }
        let said = match result {
            // Then it is SQLite that rolled back.
            Err(
                failed @ (DatabaseError::NoRoom { .. }
                | DatabaseError::Disk { .. }
                | DatabaseError::Busy { .. }
                | DatabaseError::Unreachable { .. }),
            ) => return Err(failed),
            Err(DatabaseError::Statement { message, .. }) => format!("{message}; "),
            _ => String::new(),
        };
        Err(place.failed(format!("{said}the statement ended the transaction, and everything is rolled back")))
    }
}

fn run_one<'a>(
    connection: &Connection,
    guard: &Guard,
    (database, place): (&DatabaseName, Place<'a>),
    sql: &str,
    read: &mut dyn FnMut(Place<'a>, &Row<'_>) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    let failed = |error: rusqlite::Error| match guard.denied() {
        Some(refusal) => place.refused(refusal),
        None => of_disk(&error, || place.to_string())
            .or_else(|| of_others(database, &error, || format!("{place}: {}", message(&error))))
            .unwrap_or_else(|| place.failed(message(&error))),
    };
    let mut statement = connection.prepare(sql).map_err(failed)?;
    if statement.parameter_count() > 0 {
        return Err(
            place.refused(Refusal::new("a parameter", "a script has no values to give it; write the value"))
        );
    }
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failed)? {
        read(place, row)?;
    }
    Ok(())
}

/// A whole number other than zero, or the text `true` in any case. NULL is not true, nor is any other
/// text, nor a number with a fraction.
fn is_true(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Integer(number) => number != 0,
        ValueRef::Text(text) => text.eq_ignore_ascii_case(b"true"),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => false,
    }
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(text) => {
            let text: String = String::from_utf8_lossy(text).chars().take(80).collect();
            format!("{text:?}")
        }
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}
