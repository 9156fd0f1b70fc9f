//! Puts what SQLite says into the words of the seam.

use rusqlite::{Error, ErrorCode};
use tmp_core::{DatabaseName, database::DatabaseError};

/// Turns what SQLite said into an error of the seam. `doing` completes "database x, …".
pub(super) fn told(database: &DatabaseName, doing: &'static str) -> impl Fn(Error) -> DatabaseError + use<> {
    let database = database.clone();
    move |error| {
        if let Some(failed) = of_disk(&error, || format!("database {database}, {doing}")) {
            return failed;
        }
        let (database, message) = (database.clone(), message(&error));
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                DatabaseError::Busy { database, message }
            }
            Some(ErrorCode::CannotOpen | ErrorCode::NotADatabase) => {
                DatabaseError::Unreachable { database, message }
            }
            _ => DatabaseError::Engine { database, doing, message },
        }
    }
}

/// The error, where it is or may be the disk's and not the database's. `SQLITE_FULL` is what SQLite makes of ENOSPC,
/// `SQLITE_CORRUPT` of EIO on a read (by way of `SQLITE_IOERR_CORRUPTFS`), `SQLITE_READONLY` of a file system that turned
/// read-only and of a file that cannot be looked at, and `SQLITE_IOERR` of everything else that a disk says
/// (<https://sqlite.org/rescode.html>).
pub(super) fn of_disk(error: &Error, doing: impl FnOnce() -> String) -> Option<DatabaseError> {
    match error.sqlite_error_code()? {
        ErrorCode::DiskFull => Some(DatabaseError::NoRoom { doing: doing(), message: message(error) }),
        ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt => {
            Some(DatabaseError::Disk { doing: doing(), message: message(error) })
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

    /// Whether an error of this extended code is taken for the disk's, for want of room, or neither.
    fn told_of(code: i32) -> &'static str {
        match of_disk(&Error::SqliteFailure(ffi::Error::new(code), None), String::new) {
            Some(DatabaseError::Disk { .. }) => "disk",
            Some(DatabaseError::NoRoom { .. }) => "room",
            _ => "neither",
        }
    }

    #[test]
    fn what_a_disk_said_is_known_for_that() {
        for code in [ffi::SQLITE_IOERR, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_READ, ffi::SQLITE_CORRUPT]
        {
            assert_eq!(told_of(code), "disk", "{code}");
        }
        assert_eq!(told_of(ffi::SQLITE_FULL), "room");
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_CONSTRAINT, ffi::SQLITE_CANTOPEN, ffi::SQLITE_ERROR] {
            assert_eq!(told_of(code), "neither", "{code}");
        }
    }
}
