//! The file system of this machine, by system calls.
//!
//! Needs Linux 5.8 (`openat2`, mount ids and birth times of `statx`, errors of `syncfs`) and `/proc`.

mod file_system;
mod lock;
mod open;
mod rights;
mod stat;
mod xattr;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStringExt as _},
    path::Path,
};

use rustix::{
    fs::{self, AtFlags, FallocateFlags, Gid, RenameFlags, Timespec, Timestamps, UTIME_OMIT, Uid},
    io::{Errno, retry_on_intr},
};
use tmp_core::{Mode, module::Timestamp};

use crate::component::{component, component_or_itself};
use crate::disk::{At, Dir, Disk, Extent, FileSystem, Lock, OpenFile, Rename, Right, Sharing, Stat};

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

fn fd(dir: &Dir) -> io::Result<&OwnedFd> {
    dir.get()
}

impl Disk for RealDisk {
    fn open_root(&self, path: &Path) -> io::Result<Dir> {
        open::root(path).map(Dir::new)
    }

    fn open_dir(&self, dir: &Dir, path: &OsStr) -> io::Result<Dir> {
        open::beneath(fd(dir)?, path).map(Dir::new)
    }

    fn list(&self, dir: &Dir) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(fd(dir)?)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    fn stat(&self, at: At<'_>) -> io::Result<Option<Stat>> {
        stat::stat(fd(at.dir)?, component_or_itself(at.name)?)
    }

    fn open_file(&self, at: At<'_>) -> io::Result<OpenFile> {
        open::file(fd(at.dir)?, component(at.name)?, fs::OFlags::RDONLY).map(OpenFile::new)
    }

    fn read_at(&self, file: &OpenFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file: &OwnedFd = file.get()?;
        Ok(retry_on_intr(|| rustix::io::pread(file, &mut *buffer, offset))?)
    }

    fn extents(&self, file: &OpenFile, size: u64) -> io::Result<Vec<Extent>> {
        open::extents(file.get()?, size)
    }

    fn drop_cache(&self, file: &OpenFile) -> io::Result<()> {
        Ok(fs::fadvise(file.get::<OwnedFd>()?, 0, None, fs::Advice::DontNeed)?)
    }

    fn read_link(&self, at: At<'_>) -> io::Result<Vec<u8>> {
        let (dir, name) = (fd(at.dir)?, component(at.name)?);
        Ok(retry_on_intr(|| fs::readlinkat(dir, name, Vec::new()))?.into_bytes())
    }

    fn xattrs(&self, at: At<'_>) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        xattr::all(fd(at.dir)?, component_or_itself(at.name)?)
    }

    fn may(&self, right: Right<'_>) -> io::Result<()> {
        rights::may(right)
    }

    fn file_system(&self, dir: &Dir) -> io::Result<FileSystem> {
        file_system::of(fd(dir)?)
    }

    fn create_file(&self, at: At<'_>, mode: Mode) -> io::Result<OpenFile> {
        open::new_file(fd(at.dir)?, component(at.name)?, mode).map(OpenFile::new)
    }

    fn open_file_to_write(&self, at: At<'_>) -> io::Result<OpenFile> {
        open::file(fd(at.dir)?, component(at.name)?, fs::OFlags::RDWR).map(OpenFile::new)
    }

    fn write_at(&self, file: &OpenFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let file: &OwnedFd = file.get()?;
        Ok(retry_on_intr(|| rustix::io::pwrite(file, bytes, offset))?)
    }

    fn allocate(&self, file: &OpenFile, size: u64) -> io::Result<()> {
        let file: &OwnedFd = file.get()?;
        if size == 0 {
            return Ok(());
        }
        Ok(retry_on_intr(|| fs::fallocate(file, FallocateFlags::empty(), 0, size))?)
    }

    fn set_len(&self, file: &OpenFile, size: u64) -> io::Result<()> {
        let file: &OwnedFd = file.get()?;
        Ok(retry_on_intr(|| fs::ftruncate(file, size))?)
    }

    fn clone_file(&self, from: &OpenFile, to: &OpenFile) -> io::Result<bool> {
        let (from, to): (&OwnedFd, &OwnedFd) = (from.get()?, to.get()?);
        match retry_on_intr(|| fs::ioctl_ficlone(to, from)) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::INVAL | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn create_dir(&self, at: At<'_>, mode: Mode) -> io::Result<()> {
        let (dir, name) = (fd(at.dir)?, component(at.name)?);
        retry_on_intr(|| fs::mkdirat(dir, name, fs::Mode::from_raw_mode(mode.bits())))?;
        // The umask, and a set-group-id parent, have had their say.
        open::set_mode(dir, name, mode)
    }

    fn create_symlink(&self, at: At<'_>, target: &[u8]) -> io::Result<()> {
        let (dir, name) = (fd(at.dir)?, component(at.name)?);
        Ok(retry_on_intr(|| fs::symlinkat(target, dir, name))?)
    }

    fn create_link(&self, from: At<'_>, to: At<'_>) -> io::Result<()> {
        let (from_dir, from_name) = (fd(from.dir)?, component(from.name)?);
        let (to_dir, to_name) = (fd(to.dir)?, component(to.name)?);
        Ok(retry_on_intr(|| fs::linkat(from_dir, from_name, to_dir, to_name, AtFlags::empty()))?)
    }

    fn rename(&self, from: At<'_>, to: At<'_>, how: Rename) -> io::Result<()> {
        let (from_dir, from_name) = (fd(from.dir)?, component(from.name)?);
        let (to_dir, to_name) = (fd(to.dir)?, component(to.name)?);
        let flags = match how {
            Rename::Replace => RenameFlags::empty(),
            Rename::NoReplace => RenameFlags::NOREPLACE,
            Rename::Exchange => RenameFlags::EXCHANGE,
        };
        Ok(retry_on_intr(|| fs::renameat_with(from_dir, from_name, to_dir, to_name, flags))?)
    }

    fn remove_file(&self, at: At<'_>) -> io::Result<()> {
        let (dir, name) = (fd(at.dir)?, component(at.name)?);
        Ok(retry_on_intr(|| fs::unlinkat(dir, name, AtFlags::empty()))?)
    }

    fn remove_dir(&self, at: At<'_>) -> io::Result<()> {
        let (dir, name) = (fd(at.dir)?, component(at.name)?);
        Ok(retry_on_intr(|| fs::unlinkat(dir, name, AtFlags::REMOVEDIR))?)
    }

    fn set_mode(&self, at: At<'_>, mode: Mode) -> io::Result<()> {
        open::set_mode(fd(at.dir)?, component_or_itself(at.name)?, mode)
    }

    fn set_owner(&self, at: At<'_>, uid: u32, gid: u32) -> io::Result<()> {
        let (dir, name) = (fd(at.dir)?, component_or_itself(at.name)?);
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
        Ok(retry_on_intr(|| fs::chownat(dir, name, uid, gid, flags))?)
    }

    fn set_mtime(&self, at: At<'_>, time: Timestamp) -> io::Result<()> {
        let (dir, name) = (fd(at.dir)?, component_or_itself(at.name)?);
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() },
        };
        if name.is_empty() {
            return Ok(retry_on_intr(|| fs::futimens(dir, &times))?);
        }
        Ok(retry_on_intr(|| fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW))?)
    }

    fn set_xattr(&self, at: At<'_>, name: &[u8], value: &[u8]) -> io::Result<()> {
        xattr::set(fd(at.dir)?, component_or_itself(at.name)?, name, value)
    }

    fn remove_xattr(&self, at: At<'_>, name: &[u8]) -> io::Result<()> {
        xattr::remove(fd(at.dir)?, component_or_itself(at.name)?, name)
    }

    // No sync is ever made again: after a failure the kernel may have dropped the dirty pages, and the
    // second call would succeed over lost data (Rebello et al., "Can Applications Recover from fsync
    // Failures?", USENIX ATC 2020).

    fn sync_data(&self, file: &OpenFile) -> io::Result<()> {
        Ok(fs::fdatasync(file.get::<OwnedFd>()?)?)
    }

    fn sync_file(&self, file: &OpenFile) -> io::Result<()> {
        Ok(fs::fsync(file.get::<OwnedFd>()?)?)
    }

    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        Ok(fs::fsync(fd(dir)?)?)
    }

    fn sync_all(&self, dir: &Dir) -> io::Result<()> {
        Ok(fs::syncfs(fd(dir)?)?)
    }

    fn try_lock(&self, at: At<'_>, note: &str) -> io::Result<Option<Lock>> {
        Ok(lock::try_lock(fd(at.dir)?, component(at.name)?, note)?.map(Lock::new))
    }

    fn is_locked(&self, at: At<'_>) -> io::Result<bool> {
        lock::is_locked(fd(at.dir)?, component(at.name)?)
    }

    fn try_lock_existing(&self, at: At<'_>, sharing: Sharing) -> io::Result<Option<Lock>> {
        Ok(lock::try_lock_existing(fd(at.dir)?, component(at.name)?, sharing)?.map(Lock::new))
    }
}
