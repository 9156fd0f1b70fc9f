//! Puts what SQLite says into the words of the seam.

use rusqlite::{Error, ErrorCode};
use tmp_core::{DatabaseName, database::DatabaseError};

/// Turns what SQLite said into an error of the seam. `doing` completes "database x, …".
pub(super) fn told(database: &DatabaseName, doing: &'static str) -> impl Fn(Error) -> DatabaseError + use<> {
    let database = database.clone();
    move |error| {
        of_disk(&error, || format!("database {database}, {doing}"))
            .or_else(|| of_others(&database, &error, || message(&error)))
            .unwrap_or_else(|| engine(&database, doing, message(&error)))
    }
}

/// The error, where it is or may be the disk's and not the database's. `SQLITE_FULL` is what SQLite makes of ENOSPC,
/// `SQLITE_CORRUPT` of EIO on a read (by way of `SQLITE_IOERR_CORRUPTFS`), `SQLITE_READONLY` of a file system that turned
/// read-only and of a file that could be opened for reading alone, and `SQLITE_IOERR` of everything else that a disk says
/// (<https://sqlite.org/rescode.html>).
pub(super) fn of_disk(error: &Error, doing: impl FnOnce() -> String) -> Option<DatabaseError> {
    match error.sqlite_error_code()? {
        ErrorCode::DiskFull => Some(DatabaseError::NoRoom { doing: doing(), message: message(error) }),
        ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::ReadOnly => {
            Some(DatabaseError::Disk { doing: doing(), message: message(error) })
        }
        _ => None,
    }
}

/// The error, where the database cannot be had now: others hold it, or a file of it cannot be opened.
pub(super) fn of_others(
    database: &DatabaseName,
    error: &Error,
    message: impl FnOnce() -> String,
) -> Option<DatabaseError> {
    let database = || database.clone();
    match error.sqlite_error_code()? {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Some(DatabaseError::Busy { database: database(), message: message() })
        }
        ErrorCode::CannotOpen | ErrorCode::NotADatabase => {
            Some(DatabaseError::Unreachable { database: database(), message: message() })
        }
        _ => None,
    }
}

/// An error in words of our own.
pub(super) fn engine(
    database: &DatabaseName,
    doing: &'static str,
    message: impl Into<String>,
) -> DatabaseError {
    DatabaseError::Engine { database: database.clone(), doing, message: message.into() }
}

/// What SQLite said, without the words around it.
pub(super) fn message(error: &Error) -> String {
    match error {
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    /// What an error of this extended code is taken for.
    fn told_of(code: i32) -> &'static str {
        let database = "shop".parse().unwrap();
        match told(&database, "reading it")(Error::SqliteFailure(ffi::Error::new(code), None)) {
            DatabaseError::Disk { .. } => "disk",
            DatabaseError::NoRoom { .. } => "room",
            DatabaseError::Busy { .. } => "busy",
            DatabaseError::Unreachable { .. } => "unreachable",
            _ => "engine",
        }
    }

    #[test]
    fn what_a_disk_said_is_known_for_that() {
        let disk = [ffi::SQLITE_IOERR, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_READ, ffi::SQLITE_CORRUPT];
        for code in disk.into_iter().chain([ffi::SQLITE_READONLY, ffi::SQLITE_READONLY_DIRECTORY]) {
            assert_eq!(told_of(code), "disk", "{code}");
        }
        assert_eq!(told_of(ffi::SQLITE_FULL), "room");
        assert_eq!(told_of(ffi::SQLITE_BUSY_SNAPSHOT), "busy");
        assert_eq!(told_of(ffi::SQLITE_CANTOPEN), "unreachable");
        for code in [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_ERROR] {
            assert_eq!(told_of(code), "engine", "{code}");
        }
    }
}
