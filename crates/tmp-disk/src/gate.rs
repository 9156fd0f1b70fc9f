//! Disks that stand before another one and decide what reaches it.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt::Debug,
    io,
    path::Path,
};

use tmp_core::{Mode, module::Timestamp};

use crate::disk::{At, Dir, Disk, Extent, FileSystem, Lock, OpenFile, Rename, Right, Sharing, Stat};

/// Whoever is one is a [`Disk`].
pub trait Gate: Debug + Send + Sync {
    /// Stands before every call without effect.
    fn read(&self) -> io::Result<&dyn Disk>;

    /// Stands before every effect: a call that changes something or makes something durable.
    fn effect(&self) -> io::Result<&dyn Disk>;

    /// Stands around every sync.
    fn sync(&self, sync: &dyn Fn(&dyn Disk) -> io::Result<()>) -> io::Result<()> {
        sync(self.effect()?)
    }
}

impl<G: Gate> Disk for G {
    fn open_root(&self, path: &Path) -> io::Result<Dir> {
        self.read()?.open_root(path)
    }

    fn open_dir(&self, dir: &Dir, path: &OsStr) -> io::Result<Dir> {
        self.read()?.open_dir(dir, path)
    }

    fn list(&self, dir: &Dir) -> io::Result<Vec<OsString>> {
        self.read()?.list(dir)
    }

    fn stat(&self, at: At<'_>) -> io::Result<Option<Stat>> {
        self.read()?.stat(at)
    }

    fn open_file(&self, at: At<'_>) -> io::Result<OpenFile> {
        self.read()?.open_file(at)
    }

    fn read_at(&self, file: &OpenFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read()?.read_at(file, offset, buffer)
    }

    fn extents(&self, file: &OpenFile, size: u64) -> io::Result<Vec<Extent>> {
        self.read()?.extents(file, size)
    }

    fn drop_cache(&self, file: &OpenFile) -> io::Result<()> {
        self.read()?.drop_cache(file)
    }

    fn read_link(&self, at: At<'_>) -> io::Result<Vec<u8>> {
        self.read()?.read_link(at)
    }

    fn xattrs(&self, at: At<'_>) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        self.read()?.xattrs(at)
    }

    fn may(&self, right: Right<'_>) -> io::Result<()> {
        self.read()?.may(right)
    }

    fn file_system(&self, dir: &Dir) -> io::Result<FileSystem> {
        self.read()?.file_system(dir)
    }

    fn create_file(&self, at: At<'_>, mode: Mode) -> io::Result<OpenFile> {
        self.effect()?.create_file(at, mode)
    }

    fn open_file_to_write(&self, at: At<'_>) -> io::Result<OpenFile> {
        self.read()?.open_file_to_write(at)
    }

    fn write_at(&self, file: &OpenFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.effect()?.write_at(file, offset, bytes)
    }

    fn allocate(&self, file: &OpenFile, size: u64) -> io::Result<()> {
        self.effect()?.allocate(file, size)
    }

    fn set_len(&self, file: &OpenFile, size: u64) -> io::Result<()> {
        self.effect()?.set_len(file, size)
    }

    fn clone_file(&self, from: &OpenFile, to: &OpenFile) -> io::Result<bool> {
        self.effect()?.clone_file(from, to)
    }

    fn create_dir(&self, at: At<'_>, mode: Mode) -> io::Result<()> {
        self.effect()?.create_dir(at, mode)
    }

    fn create_symlink(&self, at: At<'_>, target: &[u8]) -> io::Result<()> {
        self.effect()?.create_symlink(at, target)
    }

    fn create_link(&self, from: At<'_>, to: At<'_>) -> io::Result<()> {
        self.effect()?.create_link(from, to)
    }

    fn rename(&self, from: At<'_>, to: At<'_>, how: Rename) -> io::Result<()> {
        self.effect()?.rename(from, to, how)
    }

    fn remove_file(&self, at: At<'_>) -> io::Result<()> {
        self.effect()?.remove_file(at)
    }

    fn remove_dir(&self, at: At<'_>) -> io::Result<()> {
        self.effect()?.remove_dir(at)
    }

    fn set_mode(&self, at: At<'_>, mode: Mode) -> io::Result<()> {
        self.effect()?.set_mode(at, mode)
    }

    fn set_owner(&self, at: At<'_>, uid: u32, gid: u32) -> io::Result<()> {
        self.effect()?.set_owner(at, uid, gid)
    }

    fn set_mtime(&self, at: At<'_>, time: Timestamp) -> io::Result<()> {
        self.effect()?.set_mtime(at, time)
    }

    fn set_xattr(&self, at: At<'_>, name: &[u8], value: &[u8]) -> io::Result<()> {
        self.effect()?.set_xattr(at, name, value)
    }

    fn remove_xattr(&self, at: At<'_>, name: &[u8]) -> io::Result<()> {
        self.effect()?.remove_xattr(at, name)
    }

    fn sync_data(&self, file: &OpenFile) -> io::Result<()> {
        self.sync(&|disk| disk.sync_data(file))
    }

    fn sync_file(&self, file: &OpenFile) -> io::Result<()> {
        self.sync(&|disk| disk.sync_file(file))
    }

    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        self.sync(&|disk| disk.sync_dir(dir))
    }

    fn sync_all(&self, dir: &Dir) -> io::Result<()> {
        self.sync(&|disk| disk.sync_all(dir))
    }

    fn try_lock(&self, at: At<'_>, note: &str) -> io::Result<Option<Lock>> {
        self.effect()?.try_lock(at, note)
    }

    fn is_locked(&self, at: At<'_>) -> io::Result<bool> {
        self.read()?.is_locked(at)
    }

    fn try_lock_existing(&self, at: At<'_>, sharing: Sharing) -> io::Result<Option<Lock>> {
        self.read()?.try_lock_existing(at, sharing)
    }
}
