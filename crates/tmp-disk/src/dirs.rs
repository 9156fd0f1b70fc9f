//! Making directories that stay.

use std::{
    ffi::OsStr,
    io,
    path::{Component, Path},
};

use tmp_core::{Mode, mutant};

use crate::{
    disk::{At, Dir, Disk, Stat},
    error::DiskError,
};

/// What group and others may not do with a directory that TMP relies on.
const WRITE: u32 = 0o022;

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
    if !mutant::is("directory-sync") {
        disk.sync_dir(parent).map_err(DiskError::at("make durable the parent directory of", name))?;
    }
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

/// As [`ensure_dirs`], for a directory that TMP keeps what it relies on in: refused where somebody else than this
/// process's user and root could change what lies there.
///
/// # Errors
/// As of [`ensure_dirs`]; or the directory belongs to another user, or its mode lets others write.
pub fn ensure_private_dir(disk: &dyn Disk, path: &Path) -> Result<Dir, DiskError> {
    let dir = ensure_dirs(disk, path)?;
    let stat =
        disk.stat(At::itself(&dir)).and_then(|stat| stat.ok_or_else(|| io::ErrorKind::NotFound.into()));
    let exposed = exposed(&stat.map_err(DiskError::at("look at", path))?);
    match exposed {
        None => Ok(dir),
        Some(why) => {
            Err(DiskError::at("rely on", path)(io::Error::new(io::ErrorKind::PermissionDenied, why)))
        }
    }
}

/// Why somebody else than this process's user and root could change what lies in a directory, if so.
pub fn exposed(stat: &Stat) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    if stat.uid != own && stat.uid != 0 {
        return Some(format!(
            "it belongs to user {}, who could change what lies there; chown it to {own}",
            stat.uid
        ));
    }
    let writable = stat.mode.bits() & WRITE != 0;
    writable.then(|| format!("its mode {} lets others change what lies there; chmod go-w it", stat.mode))
}
