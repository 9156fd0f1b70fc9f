//! A disk that fails at a chosen effect.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tmp_core::{Mode, module::Timestamp};

use crate::disk::{At, Dir, Disk, Extent, FileSystem, Lock, OpenFile, Rename, Right, Sharing, Stat};

/// What goes wrong, and when. Counted are effects, from 1: calls that change something or make
/// something durable, whether they succeed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// An effect fails without having any.
    Error {
        /// Which.
        at: u64,
        /// The operating system's error number.
        errno: i32,
        /// Whether every later effect fails too.
        persistent: bool,
    },
    /// As if the process were killed just before an effect: it and every later call, reads too, fail.
    Stop {
        /// Which.
        at: u64,
    },
}

/// Another disk with a [`Fault`].
#[derive(Debug)]
pub struct FaultDisk {
    inner: Arc<dyn Disk>,
    fault: Fault,
    watch: Option<Watch>,
    effects: AtomicU64,
    reads: AtomicU64,
}

/// What is called before every effect, with its number.
struct Watch(Box<dyn Fn(u64) + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl FaultDisk {
    /// Wraps a disk.
    pub fn new(inner: Arc<dyn Disk>, fault: Fault) -> Self {
        Self { inner, fault, watch: None, effects: AtomicU64::new(0), reads: AtomicU64::new(0) }
    }

    /// Wraps a disk that does not fail. Just before every effect `watch` is called with its number, and may
    /// look at the inner disk.
    pub fn watched(inner: Arc<dyn Disk>, watch: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { watch: Some(Watch(Box::new(watch))), ..Self::new(inner, Fault::None) }
    }

    /// How many effects there were so far, failed ones included.
    pub fn effects(&self) -> u64 {
        self.effects.load(Ordering::SeqCst)
    }

    /// How many calls without effect there were so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// Stands before every call without effect.
    fn read(&self) -> io::Result<&dyn Disk> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Stop { at } if self.effects() >= at => Err(stopped()),
            _ => Ok(&*self.inner),
        }
    }

    /// Stands before every effect.
    fn effect(&self) -> io::Result<&dyn Disk> {
        let count = self.effects.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(Watch(watch)) = &self.watch {
            watch(count);
        }
        match self.fault {
            Fault::Error { at, errno, persistent } if count == at || (persistent && count > at) => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Fault::Stop { at } if count >= at => Err(stopped()),
            _ => Ok(&*self.inner),
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the process was stopped here")
}

impl Disk for FaultDisk {
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
        self.effect()?.sync_data(file)
    }

    fn sync_file(&self, file: &OpenFile) -> io::Result<()> {
        self.effect()?.sync_file(file)
    }

    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        self.effect()?.sync_dir(dir)
    }

    fn sync_all(&self, dir: &Dir) -> io::Result<()> {
        self.effect()?.sync_all(dir)
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
