//! Says what a database is, before anything relies on it.

use tmp_core::database::{DatabaseError, DatabaseFacts};

use super::{SqliteDatabase, error::told, foreign_keys, marker, session};

pub(super) fn inspect(database: &mut SqliteDatabase) -> Result<DatabaseFacts, DatabaseError> {
    let name = database.name.clone();
    let file = database.file.clone();
    let session = database.session()?;
    let unsafe_to_use = |message: String| DatabaseError::Unreachable { database: name.clone(), message };
    if session.connection.is_readonly("main").map_err(told(&name, "inspecting it"))? {
        return Err(unsafe_to_use(format!("{file} cannot be written")));
    }
    session.snapshot(&name, |connection| {
        let number = |pragma: &str| {
            connection.query_row(&format!("PRAGMA main.{pragma}"), [], |row| row.get::<_, i64>(0))
        };
        let said = told(&name, "inspecting it");
        let size = number("page_count").map_err(&said)?.saturating_mul(number("page_size").map_err(&said)?);
        let check: String =
            connection.query_row("PRAGMA main.quick_check(1)", [], |row| row.get(0)).map_err(&said)?;
        if check != "ok" {
            return Err(unsafe_to_use(format!("{file} is damaged: {check}")));
        }
        marker::is_there(&name, connection)?;
        let mode = session::journal_mode(connection).map_err(&said)?;
        let mut notes = vec![format!("journal mode {mode}")];
        let violations = foreign_keys::Violations::read(connection).map_err(&said)?;
        if !violations.is_empty() {
            notes.push(format!("foreign keys that do not hold already, and may stay so: {violations}"));
        }
        Ok(DatabaseFacts {
            version: format!("SQLite {}", rusqlite::version()),
            size: u64::try_from(size).unwrap_or_default(),
            notes,
        })
    })
}
