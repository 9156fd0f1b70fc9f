//! Opening without being led astray, and what works on the opened file.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use rustix::{
    fs::{self, FileType, OFlags, ResolveFlags, SeekFrom},
    io::{Errno, retry_on_intr},
};
use tmp_core::Mode;

use crate::disk::Extent;

/// Opens an absolute path as a directory.
pub(super) fn root(path: &Path) -> io::Result<OwnedFd> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not absolute"));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(retry_on_intr(|| fs::open(path, flags, fs::Mode::empty()))?)
}

/// Opens a directory below another: no symlink, no `..`, no other mount on the way.
pub(super) fn beneath(dir: &OwnedFd, path: &OsStr) -> io::Result<OwnedFd> {
    if path.as_bytes().split(|byte| *byte == b'/').any(|name| name == b"..") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has a '..' component"));
    }
    let path = if path.is_empty() { OsStr::new(".") } else { path };
    // No O_NOFOLLOW, which would say of a symlink at the end that it is no directory.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    Ok(retry_on_intr(|| fs::openat2(dir, path, flags, fs::Mode::empty(), resolve))?)
}

/// Opens an existing regular file. Without `O_NONBLOCK` a FIFO put there would block for ever.
pub(super) fn file(dir: &OwnedFd, name: &OsStr, access: OFlags) -> io::Result<OwnedFd> {
    let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = retry_on_intr(|| fs::openat(dir, name, flags, fs::Mode::empty()))?;
    match FileType::from_raw_mode(fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file),
        FileType::Directory => Err(Errno::ISDIR.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

/// Makes a new file with exactly these permission bits, whatever the umask.
pub(super) fn new_file(dir: &OwnedFd, name: &OsStr, mode: Mode) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = fs::Mode::from_raw_mode(mode.bits());
    let file = retry_on_intr(|| fs::openat(dir, name, flags, mode & fs::Mode::RWXU))?;
    retry_on_intr(|| fs::fchmod(&file, mode))?;
    Ok(file)
}

/// Sets permission bits, never of what a symlink points to: `fchmodat` cannot be told so (before Linux
/// 6.6), hence by way of a descriptor that only names the inode.
pub(super) fn set_mode(dir: &OwnedFd, name: &OsStr, mode: Mode) -> io::Result<()> {
    let mode = fs::Mode::from_raw_mode(mode.bits());
    if name.is_empty() {
        return Ok(retry_on_intr(|| fs::fchmod(dir, mode))?);
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inode = retry_on_intr(|| fs::openat(dir, name, flags, fs::Mode::empty()))?;
    if FileType::from_raw_mode(fs::fstat(&inode)?.st_mode) == FileType::Symlink {
        return Err(Errno::OPNOTSUPP.into());
    }
    let path = format!("/proc/self/fd/{}", inode.as_raw_fd());
    Ok(retry_on_intr(|| fs::chmod(&path, mode))?)
}

/// The runs of a file that are not holes.
pub(super) fn extents(file: &OwnedFd, size: u64) -> io::Result<Vec<Extent>> {
    // One question is enough for most files: they have no holes.
    if size > 0 && fs::seek(file, SeekFrom::Hole(0)).is_ok_and(|hole| hole >= size) {
        return Ok(vec![Extent { offset: 0, length: size }]);
    }
    let mut extents = Vec::new();
    let mut offset = 0;
    while offset < size {
        let start = match fs::seek(file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            // Nothing but a hole from here on.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        if start >= size {
            break;
        }
        let end = fs::seek(file, SeekFrom::Hole(start))?.min(size);
        extents.push(Extent { offset: start, length: end.saturating_sub(start) });
        offset = end.max(start.saturating_add(1));
    }
    Ok(extents)
}
