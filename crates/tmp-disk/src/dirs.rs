//! Making directories that stay.

use std::{
    ffi::OsStr,
    io,
    path::{Component, Path},
};

use tmp_core::Mode;

use crate::{
    disk::{At, Dir, Disk},
    error::DiskError,
};

/// Makes the directory `name` in `parent`, or takes the one that is there, and opens it. It is durable on
/// return. The mode of one that is there stays.
///
/// # Errors
/// Something else stands there, a symlink or a mount point included; or it cannot be made durable.
pub fn create_dir_durably(
    disk: &dyn Disk,
    parent: &Dir,
    name: &(impl AsRef<OsStr> + ?Sized),
    mode: Mode,
) -> Result<Dir, DiskError> {
    create_component(disk, parent, name.as_ref(), mode)
}

fn create_component(disk: &dyn Disk, parent: &Dir, name: &OsStr, mode: Mode) -> Result<Dir, DiskError> {
    match disk.create_dir(At::new(parent, name), mode) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(DiskError::at("create the directory", name)(error));
        }
        _ => {}
    }
    let dir = disk.open_dir(parent, name).map_err(DiskError::at("open the directory", name))?;
    // One that is there may have been made by a process that died before it could sync.
    disk.sync_dir(&dir).map_err(DiskError::at("make durable the directory", name))?;
    disk.sync_dir(parent).map_err(DiskError::at("make durable the parent directory of", name))?;
    Ok(dir)
}

/// Opens the directory at an absolute path, following symlinks; the components that are missing are made
/// with mode 0700, each durable before the next.
///
/// # Errors
/// The path is relative or has `..`; something on the way is no directory; or one cannot be made.
pub fn ensure_dirs(disk: &dyn Disk, path: &Path) -> Result<Dir, DiskError> {
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain {
        let refused = io::Error::new(io::ErrorKind::InvalidInput, "the path is relative or has '..'");
        return Err(DiskError::at("create the directory", path)(refused));
    }
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        match disk.open_root(ancestor) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.extend(ancestor.file_name()),
            Err(error) => return Err(DiskError::at("open the directory", ancestor)(error)),
            Ok(dir) => {
                return missing.iter().rev().try_fold(dir, |parent, name| {
                    create_component(disk, &parent, name, Mode::from_bits(0o700))
                });
            }
        }
    }
    Err(DiskError::at("open the directory", path)(io::ErrorKind::NotFound.into()))
}
