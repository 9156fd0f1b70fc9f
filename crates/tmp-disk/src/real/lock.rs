//! The lock of a work directory: `flock`, which dies with its process, however it dies.

use std::{ffi::OsStr, io, os::fd::OwnedFd, time::Duration};

use rustix::{
    fs::{self, FlockOperation, Mode, OFlags},
    io::{Errno, retry_on_intr},
};

use tmp_core::mutant;

use crate::disk::Sharing;

/// How often, and how long apart, a lock that is held is tried again: whoever asks whether it is held
/// has it for a moment, shared.
const ASKED: (usize, Duration) = (4, Duration::from_millis(5));

/// Whether somebody holds the lock.
pub(super) fn is_locked(dir: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match retry_on_intr(|| fs::openat(dir, name, flags, Mode::empty())) {
        Err(Errno::NOENT) => return Ok(false),
        file => file?,
    };
    match retry_on_intr(|| fs::flock(&file, FlockOperation::NonBlockingLockShared)) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock without waiting for whoever holds it; `None` then. The descriptor is the lock.
pub(super) fn try_lock(dir: &OwnedFd, name: &OsStr, note: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = retry_on_intr(|| fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR))?;
    if !take(dir, name, &file, FlockOperation::NonBlockingLockExclusive)? && !mutant::is("lock") {
        return Ok(None);
    }
    write(&file, note.as_bytes())?;
    Ok(Some(file))
}

/// Writes a note over the one before, which stays where there is no room for this one.
fn write(file: &OwnedFd, note: &[u8]) -> Result<(), Errno> {
    let (mut rest, mut offset) = (note, 0);
    while !rest.is_empty() {
        let written = retry_on_intr(|| rustix::io::pwrite(file, rest, offset))?;
        offset = offset.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        rest = rest.get(written..).unwrap_or_default();
    }
    retry_on_intr(|| fs::ftruncate(file, offset))
}

/// The same of a file that is there and is not touched.
pub(super) fn try_lock_existing(
    dir: &OwnedFd,
    name: &OsStr,
    sharing: Sharing,
) -> io::Result<Option<OwnedFd>> {
    let file = super::open::file(dir, name, OFlags::RDONLY)?;
    let operation = match sharing {
        Sharing::Shared => FlockOperation::NonBlockingLockShared,
        Sharing::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    Ok(take(dir, name, &file, operation)?.then_some(file))
}

/// Locks an open file; `false` when somebody else holds it.
fn take(dir: &OwnedFd, name: &OsStr, file: &OwnedFd, operation: FlockOperation) -> io::Result<bool> {
    let mut tried = 0;
    while let Err(error) = retry_on_intr(|| fs::flock(file, operation)) {
        tried += 1;
        match error {
            Errno::WOULDBLOCK if tried < ASKED.0 => std::thread::sleep(ASKED.1),
            Errno::WOULDBLOCK => return Ok(false),
            error => return Err(error.into()),
        }
    }
    // A lock on a file that lost its name would exclude nobody.
    let (held, named) = (fs::fstat(file)?, fs::statat(dir, name, fs::AtFlags::SYMLINK_NOFOLLOW)?);
    if (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino) {
        return Err(io::Error::other("the lock file was exchanged while it was being locked"));
    }
    Ok(true)
}
