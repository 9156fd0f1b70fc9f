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

/// A lock that is held. It is given up when this is dropped, not when the last descriptor of it is closed: a
/// process that another thread is just starting has one too, until its program runs.
pub(super) struct Held(OwnedFd);

impl Drop for Held {
    fn drop(&mut self) {
        // Nothing but a descriptor that is not one can fail here; closing it gives the lock up all the same.
        let _ = retry_on_intr(|| fs::flock(&self.0, FlockOperation::Unlock));
    }
}

/// Whether somebody holds the lock.
pub(super) fn is_locked(dir: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match retry_on_intr(|| fs::openat(dir, name, flags, Mode::empty())) {
        Err(Errno::NOENT) => return Ok(false),
        file => file?,
    };
    match retry_on_intr(|| fs::flock(&file, FlockOperation::NonBlockingLockShared)) {
        Ok(()) => {
            drop(Held(file));
            Ok(false)
        }
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock without waiting for whoever holds it; `None` then.
pub(super) fn try_lock(dir: &OwnedFd, name: &OsStr, note: &str) -> io::Result<Option<Held>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = retry_on_intr(|| fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR))?;
    let Some(held) = take(dir, name, file, FlockOperation::NonBlockingLockExclusive)? else {
        return Ok(None);
    };
    write(&held.0, note.as_bytes())?;
    Ok(Some(held))
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
pub(super) fn try_lock_existing(dir: &OwnedFd, name: &OsStr, sharing: Sharing) -> io::Result<Option<Held>> {
    let file = super::open::file(dir, name, OFlags::RDONLY)?;
    let operation = match sharing {
        Sharing::Shared => FlockOperation::NonBlockingLockShared,
        Sharing::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    take(dir, name, file, operation)
}

/// Locks an open file; `None` when somebody else holds it.
fn take(dir: &OwnedFd, name: &OsStr, file: OwnedFd, operation: FlockOperation) -> io::Result<Option<Held>> {
    let mut tried = 0;
    while let Err(error) = retry_on_intr(|| fs::flock(&file, operation)) {
        tried += 1;
        match error {
            Errno::WOULDBLOCK if tried < ASKED.0 => std::thread::sleep(ASKED.1),
            Errno::WOULDBLOCK if mutant::is("lock") => break,
            Errno::WOULDBLOCK => return Ok(None),
            error => return Err(error.into()),
        }
    }
    let file = Held(file);
    // A lock on a file that lost its name would exclude nobody.
    let (held, named) = (fs::fstat(&file.0)?, fs::statat(dir, name, fs::AtFlags::SYMLINK_NOFOLLOW)?);
    if (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino) {
        return Err(io::Error::other("the lock file was exchanged while it was being locked"));
    }
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    /// As a process has it that is being started by another thread, between fork and exec.
    #[test]
    fn a_copy_of_the_descriptor_keeps_nobody_out() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let dir = OwnedFd::from(std::fs::File::open(folder.path())?);
        let name = OsStr::new("lock");
        let held = try_lock(&dir, name, "")?.ok_or("nobody has it")?;
        let copy = held.0.try_clone()?;
        assert!(is_locked(&dir, name)? && try_lock(&dir, name, "")?.is_none());
        drop(held);
        assert!(!is_locked(&dir, name)?);
        assert!(try_lock(&dir, name, "")?.is_some());
        assert!(try_lock_existing(&dir, name, Sharing::Exclusive)?.is_some());
        drop(copy);
        Ok(())
    }
}
