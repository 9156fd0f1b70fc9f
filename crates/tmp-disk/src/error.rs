//! What a failed operation on a file system says.

use std::io;

/// An operation on a file system failed; the operation's own documentation says what it leaves.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}")]
pub struct DiskError {
    /// What was being done, as a verb.
    pub doing: &'static str,
    /// Where, as far as it is known: a path, or a name in a directory that is held open.
    pub path: String,
    /// The operating system's answer.
    pub source: io::Error,
}

impl DiskError {
    /// Wraps an error with what was being done and where. Made for `map_err`.
    pub fn at(doing: &'static str, path: impl AsRef<std::ffi::OsStr>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_string_lossy().into_owned();
        move |source| Self { doing, path: if path.is_empty() { ".".to_owned() } else { path }, source }
    }
}
