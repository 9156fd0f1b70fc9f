//! Says in an I/O error what was being done.

use std::{fmt::Display, io};

/// Adds what was being done to an error.
pub(crate) trait Context<T> {
    /// The error becomes `cannot {doing} {what}: {error}` and keeps its kind.
    fn context(self, doing: &str, what: impl Display) -> io::Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, doing: &str, what: impl Display) -> io::Result<T> {
        self.map_err(|error| {
            let error: io::Error = error.into();
            io::Error::new(error.kind(), format!("cannot {doing} {what}: {error}"))
        })
    }
}
