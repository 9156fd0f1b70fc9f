//! From a path to an inode.

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::io::Errno;

use super::{
    inode::Body,
    state::{ROOT, State},
};

/// How many symlinks may be followed, as in Linux.
const MOST_SYMLINKS: u32 = 40;

/// Follows an absolute path, symlinks too.
pub(super) fn follow(state: &State, path: &Path) -> io::Result<u64> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not absolute"));
    }
    let mut path = path.to_owned();
    for _ in 0..=MOST_SYMLINKS {
        match step(state, &path)? {
            Ok(inode) => return Ok(inode),
            Err(instead) => path = instead,
        }
    }
    Err(Errno::LOOP.into())
}

/// Follows a path to its end, or to the first symlink: then the path to follow instead.
fn step(state: &State, path: &Path) -> io::Result<Result<u64, PathBuf>> {
    let mut trail = vec![ROOT];
    let mut parts = path.components();
    let mut here = PathBuf::from("/");
    while let Some(part) = parts.next() {
        let name = match part {
            Component::Normal(name) => name,
            Component::ParentDir => {
                here.pop();
                trail.truncate((trail.len() - 1).max(1));
                continue;
            }
            _ => continue,
        };
        let inode = state.present(trail.last().copied().unwrap_or(ROOT), name)?;
        if let Body::Symlink(target) = &state.inode(inode)?.body {
            let target = PathBuf::from(std::ffi::OsString::from_vec(target.clone()));
            return Ok(Err(here.join(target).join(parts.as_path())));
        }
        here.push(name);
        trail.push(inode);
    }
    Ok(Ok(trail.last().copied().unwrap_or(ROOT)))
}

/// Goes down from `dir` by directories only.
pub(super) fn beneath(state: &State, dir: u64, path: &OsStr) -> io::Result<u64> {
    let parts = || path.as_bytes().split(|byte| *byte == b'/');
    if path.as_bytes().contains(&0) || parts().any(|name| name == b"..") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has a '..' component"));
    }
    if path.as_bytes().starts_with(b"/") {
        return Err(Errno::XDEV.into());
    }
    state.entries(dir)?;
    parts().filter(|name| !matches!(*name, b"" | b".")).try_fold(dir, |dir, name| {
        let inode = state.present(dir, OsStr::from_bytes(name))?;
        match state.inode(inode)?.body {
            Body::Directory(_) => Ok(inode),
            Body::Symlink(_) => Err(Errno::LOOP.into()),
            Body::File(_) => Err(Errno::NOTDIR.into()),
        }
    })
}
