//! Puts what SQLite says into the words of the seam.

use rusqlite::{Error, ErrorCode};
use tmp_core::{DatabaseName, database::DatabaseError};

/// Turns what SQLite said into an error of the seam. `doing` completes "database x, …".
pub(super) fn told(database: &DatabaseName, doing: &'static str) -> impl Fn(Error) -> DatabaseError + use<> {
    let database = database.clone();
    move |error| {
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
