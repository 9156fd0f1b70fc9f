//! Names that cannot lead anywhere else.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _};

/// The name, if it is one component: not empty, no `/`, neither `.` nor `..`.
pub(crate) fn component(name: &OsStr) -> io::Result<&OsStr> {
    match name.as_bytes() {
        b"" | b"." | b".." => Err(refused()),
        bytes if bytes.contains(&b'/') || bytes.contains(&0) => Err(refused()),
        _ => Ok(name),
    }
}

/// The same, or empty for the directory itself.
pub(crate) fn component_or_itself(name: &OsStr) -> io::Result<&OsStr> {
    if name.is_empty() { Ok(name) } else { component(name) }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the name is not one component of a path")
}
