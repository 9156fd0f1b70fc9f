//! Removing something with all it holds.

use std::{ffi::OsString, io, path::PathBuf};

use tmp_core::{Mode, module::Kind};

use crate::{
    disk::{At, Dir, Disk},
    error::DiskError,
};

/// Removes what stands at `at` with everything below it, following no symlink and entering no other
/// mount, with two directories open at a time however deep it is. Nothing there is fine. Durable only
/// once the caller has synced `at.dir`.
///
/// # Errors
/// Something cannot be removed; what was removed before stays removed. May be repeated.
pub fn remove_tree(disk: &dyn Disk, at: At<'_>) -> Result<(), DiskError> {
    let mut pending = vec![PathBuf::from(at.name)];
    while let Some(path) = pending.last().cloned() {
        let inner = remove_or_list(disk, at.dir, &path).map_err(DiskError::at("remove", &path))?;
        if inner.is_empty() {
            pending.pop();
        } else {
            pending.extend(inner.into_iter().map(|name| path.join(name)));
        }
    }
    Ok(())
}

/// Removes what is not a directory, and a directory once it holds no others. Answers the directories
/// that have to go first.
fn remove_or_list(disk: &dyn Disk, base: &Dir, path: &std::path::Path) -> io::Result<Vec<OsString>> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = disk.open_dir(base, parent.as_os_str())?;
    let at = At::new(&parent, name);
    let Some(stat) = disk.stat(at)? else { return Ok(Vec::new()) };
    if stat.kind != Kind::Directory {
        return disk.remove_file(at).map(|()| Vec::new());
    }
    // Who may not write to a directory cannot empty it; its owner may give himself the right.
    if stat.mode.bits() & 0o700 != 0o700 {
        disk.set_mode(at, Mode::from_bits(0o700))?;
    }
    let dir = disk.open_dir(&parent, name)?;
    let mut inner = Vec::new();
    for name in disk.list(&dir)? {
        match disk.stat(At::new(&dir, &name))? {
            Some(stat) if stat.kind == Kind::Directory => inner.push(name),
            Some(_) => disk.remove_file(At::new(&dir, &name))?,
            None => {}
        }
    }
    if inner.is_empty() {
        disk.remove_dir(at)?;
    }
    Ok(inner)
}
