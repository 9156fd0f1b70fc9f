//! Extended attributes, of a symlink itself where a symlink stands there.
//!
//! There is no `getxattrat` before Linux 6.13. A path through the held directory's entry in
//! `/proc/self/fd` ends in the one component, which the `l…xattr` calls do not follow.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use rustix::{
    fs::{self, XattrFlags},
    io::{Errno, retry_on_intr},
};

/// How often a buffer is doubled before the reading is given up: up to 8 MiB.
const ATTEMPTS: u32 = 16;

/// Every extended attribute; none where the file system has none.
pub(super) fn all(dir: &OwnedFd, name: &OsStr) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let place = place(dir, name);
    let names = match growing(|buffer| match &place {
        Some(path) => fs::llistxattr(path, buffer),
        None => fs::flistxattr(dir, buffer),
    }) {
        Ok(names) => names,
        Err(Errno::OPNOTSUPP) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = BTreeMap::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        match growing(|buffer| match &place {
            Some(path) => fs::lgetxattr(path, name, buffer),
            None => fs::fgetxattr(dir, name, buffer),
        }) {
            Ok(value) => drop(found.insert(name.to_vec(), value)),
            // Gone since it was listed.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Sets one, new or not.
pub(super) fn set(dir: &OwnedFd, name: &OsStr, xattr: &[u8], value: &[u8]) -> io::Result<()> {
    let flags = XattrFlags::empty();
    Ok(retry_on_intr(|| match place(dir, name) {
        Some(path) => fs::lsetxattr(path, xattr, value, flags),
        None => fs::fsetxattr(dir, xattr, value, flags),
    })?)
}

/// Removes one.
pub(super) fn remove(dir: &OwnedFd, name: &OsStr, xattr: &[u8]) -> io::Result<()> {
    Ok(retry_on_intr(|| match place(dir, name) {
        Some(path) => fs::lremovexattr(path, xattr),
        None => fs::fremovexattr(dir, xattr),
    })?)
}

/// The path of a component through the held directory; `None` for the directory itself.
fn place(dir: &OwnedFd, name: &OsStr) -> Option<Vec<u8>> {
    if name.is_empty() {
        return None;
    }
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.as_bytes());
    Some(path)
}

/// Reads into a buffer that is made larger until all fits.
fn growing(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 256];
    for _ in 0..ATTEMPTS {
        match retry_on_intr(|| read(&mut buffer)) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            // The kernel's own limit on lists and values is 64 KiB; some file systems store more.
            Err(Errno::RANGE) => buffer = vec![0; buffer.len().saturating_mul(2)],
            Err(error) => return Err(error),
        }
    }
    Err(Errno::RANGE)
}
