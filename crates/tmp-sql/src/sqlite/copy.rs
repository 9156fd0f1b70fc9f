//! Copies a database by SQLite's online backup.

use std::path::Path;

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use tmp_core::database::DatabaseError;

use super::{
    SqliteDatabase,
    error::{engine, told},
    session::{self, Phase},
};

const DOING: &str = "copying it";

pub(super) fn copy_to(database: &mut SqliteDatabase, path: &Path) -> Result<(), DatabaseError> {
    let (name, file) = (database.name.clone(), database.file.clone());
    let misuse = database.misuse(DOING);
    let session = database.session()?;
    if session.phase != Phase::Idle {
        return Err(misuse);
    }
    if path.symlink_metadata().is_ok() {
        return Err(engine(&name, DOING, format!("{} exists already", path.display())));
    }
    // One read transaction spans the version and the copy: what is copied is that version.
    let version = session.snapshot(&name, |connection| {
        let said = told(&name, DOING);
        connection.query_row("SELECT count(*) FROM main.sqlite_schema", [], |_| Ok(())).map_err(&said)?;
        session::refuse_damage(&name, &file, connection)?;
        let version = session::data_version(connection).map_err(&said)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(path, flags).map_err(&said)?;
        // The caller makes the file durable; a copy that was interrupted is thrown away.
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(&said)?;
        let step = Backup::new(connection, &mut copy).and_then(|backup| backup.step(-1)).map_err(&said)?;
        copy.close().map_err(|(_, error)| said(error))?;
        match step {
            StepResult::Done => Ok(version),
            other => Err(engine(&name, DOING, format!("the copy stopped early: {other:?}"))),
        }
    })?;
    session.copied = Some(version);
    Ok(())
}
