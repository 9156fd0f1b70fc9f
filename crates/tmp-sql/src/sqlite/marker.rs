//! TMP's own table: one row for each migration that committed here and was not undone.
//!
//! Its format is in docs/format/marker.md. The statement is one that every SQLite since 3.0 can read,
//! because whatever library the application has must still open the database.

use rusqlite::{Connection, OptionalExtension as _, params};
use tmp_core::{
    DatabaseName,
    database::{DatabaseError, Marker},
    mutant,
};

use super::error::{engine, told};

const DOING: &str = "its marker";
const CREATE: &str = "CREATE TABLE tmp_marker (migration TEXT PRIMARY KEY NOT NULL, payload TEXT NOT NULL, \
                      nonce TEXT NOT NULL, version INTEGER NOT NULL)";
const VERSION: i64 = 1;

/// Whether TMP's table is there.
///
/// # Errors
/// Something else has its name, or something was put on it.
pub(super) fn is_there(name: &DatabaseName, connection: &Connection) -> Result<bool, DatabaseError> {
    let said = told(name, DOING);
    let mut statement = connection
        .prepare(
            "SELECT type, name, sql FROM main.sqlite_schema \
             WHERE lower(tbl_name) = 'tmp_marker' OR lower(name) = 'tmp_marker'",
        )
        .map_err(&said)?;
    let mut rows = statement.query([]).map_err(&said)?;
    let mut there = false;
    while let Some(row) = rows.next().map_err(&said)? {
        let (kind, object): (String, String) = (row.get(0).map_err(&said)?, row.get(1).map_err(&said)?);
        let sql: Option<String> = row.get(2).map_err(&said)?;
        match (kind.as_str(), sql.as_deref()) {
            ("table", Some(CREATE)) => there = true,
            ("index", None) => {}
            _ => {
                return Err(engine(
                    name,
                    DOING,
                    format!("{kind} {object} is not as TMP makes it; rename or drop it"),
                ));
            }
        }
    }
    Ok(there)
}

/// Whether the marker is there.
///
/// # Errors
/// A marker of the same migration with another nonce or payload is there: not ours.
pub(super) fn find(
    name: &DatabaseName,
    connection: &Connection,
    marker: &Marker,
) -> Result<bool, DatabaseError> {
    if !is_there(name, connection)? {
        return Ok(false);
    }
    let row: Option<(String, String, i64)> = connection
        .query_row(
            "SELECT payload, nonce, version FROM main.tmp_marker WHERE migration = ?1",
            [marker.migration.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()
        .map_err(told(name, DOING))?;
    let foreign = |what: &str| {
        Err(engine(name, DOING, format!("the row of migration {} has another {what}", marker.migration)))
    };
    match row {
        None => Ok(false),
        Some((_, _, version)) if version != VERSION => foreign("version; a newer TMP wrote it"),
        Some((_, nonce, _)) if nonce != marker.nonce && !mutant::is("nonce") => {
            foreign("nonce: it is not the one in the journal")
        }
        Some((payload, ..)) if payload != marker.payload.to_string() => foreign("payload"),
        Some(_) => Ok(true),
    }
}

/// Writes the marker, making the table where `there` says that it is missing, and reads it back.
pub(super) fn insert(
    name: &DatabaseName,
    connection: &Connection,
    marker: &Marker,
    there: bool,
) -> Result<(), DatabaseError> {
    let said = told(name, DOING);
    if !there {
        connection.execute_batch(CREATE).map_err(&said)?;
    }
    connection
        .execute(
            "INSERT INTO main.tmp_marker (migration, payload, nonce, version) VALUES (?1, ?2, ?3, ?4)",
            params![marker.migration.as_str(), marker.payload.to_string(), marker.nonce, VERSION],
        )
        .map_err(&said)?;
    if find(name, connection, marker)? { Ok(()) } else { Err(engine(name, DOING, "the row is not there")) }
}

/// Removes the marker, and the table with its last row.
pub(super) fn remove(
    name: &DatabaseName,
    connection: &Connection,
    marker: &Marker,
) -> Result<(), DatabaseError> {
    let said = told(name, DOING);
    let rows = connection
        .execute("DELETE FROM main.tmp_marker WHERE migration = ?1", [marker.migration.as_str()])
        .map_err(&said)?;
    if rows != 1 {
        return Err(engine(name, DOING, "the row is not there"));
    }
    let left: i64 =
        connection.query_row("SELECT count(*) FROM main.tmp_marker", [], |row| row.get(0)).map_err(&said)?;
    if left == 0 { connection.execute_batch("DROP TABLE main.tmp_marker").map_err(&said) } else { Ok(()) }
}
