//! Paths as people give them, and the few files that the command line itself writes.

use std::{ffi::OsStr, io};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use tmp_core::Mode;
use tmp_disk::{At, DiskError, RealDisk, ensure_dirs, write_new};

use crate::{exit::Exit, failure::Failure};

/// The directory the process works in.
pub(crate) fn current() -> Result<Utf8PathBuf, Failure> {
    let here = std::env::current_dir().map_err(Failure::unexpected)?;
    Utf8PathBuf::from_path_buf(here)
        .map_err(|path| Failure::new(Exit::Usage, format!("the path {} is not UTF-8", path.display())))
}

/// A path from where the process works, without `.` and `..`.
pub(crate) fn absolute(path: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    Ok(join(&current()?, path))
}

/// A path from `base`, without `.` and `..` (taken off as text, so not through symlinks).
pub(crate) fn join(base: &Utf8Path, path: &Utf8Path) -> Utf8PathBuf {
    let mut joined = Utf8PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => drop(joined.pop()),
            other => joined.push(other),
        }
    }
    joined
}

/// The path as the kernel knows it, as far as it exists.
pub(crate) fn real(path: &Utf8Path) -> Utf8PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(real) = ancestor.canonicalize_utf8() {
            let rest = path.strip_prefix(ancestor).unwrap_or(Utf8Path::new(""));
            return if rest.as_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

/// Writes a new file with these permission bits, making the directories above it. Nothing may stand
/// there. It is not made durable.
///
/// # Errors
/// Something stands there, or it cannot be written.
pub(crate) fn create(path: &Utf8Path, mode: Mode, bytes: &[u8]) -> Result<(), DiskError> {
    let disk = RealDisk;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(DiskError::at("create", path)(io::ErrorKind::InvalidInput.into()));
    };
    let dir = ensure_dirs(&disk, folder.as_std_path())?;
    write_new(&disk, At::new(&dir, OsStr::new(name)), mode, &mut &*bytes).map(drop)
}

/// Whether a directory can be filled: it is not there, or is empty.
///
/// # Errors
/// It cannot be listed.
pub(crate) fn is_free(path: &Utf8Path) -> io::Result<bool> {
    match path.read_dir_utf8() {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
