//! A disk served over FUSE: it remembers every request that reached it and can be told to fail.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyWrite,
    Request, TimeOrNow, WriteFlags,
};

use super::{DiskLog, LogEntry, mount::unmount};
use crate::context::Context;

/// The name of the one file, and its inode.
const NAME: &str = "disk";
const INODE: INodeNo = INodeNo(2);
/// How long the kernel may believe what it was told: nothing ever changes.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

/// How a disk fails. Flushes are counted from 1 since the fault was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskFault {
    /// It does not.
    None,
    /// The flush of this number fails, once, and what was written since the flush before it is lost.
    Flush(u64),
    /// Every write between the flush before this number and the flush of this number fails; the flush does not.
    Writes(u64),
    /// From the flush of this number on every flush and every write fails.
    Gone(u64),
}

/// A disk that is served from a file, as `disk` in a folder of its own, until it is stopped.
#[derive(Debug)]
#[must_use = "stop it"]
pub struct ServedDisk {
    folder: PathBuf,
    session: BackgroundSession,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    log: DiskLog,
    fault: DiskFault,
    /// Flushes asked for since the fault was set.
    flushes: u64,
    /// Requests that were made to fail.
    failed: u64,
    /// What was there before each write since the last flush.
    before: Vec<(u64, Vec<u8>)>,
}

impl ServedDisk {
    /// Serves a file. The folder is made if it is not there.
    ///
    /// # Errors
    /// FUSE is not there, or the folder cannot be made.
    pub fn serve(file: File, folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder).context("make", folder.display())?;
        let state = State {
            log: DiskLog::default(),
            fault: DiskFault::None,
            flushes: 0,
            failed: 0,
            before: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let size = file.metadata()?.len();
        let disk = Disk { file, size, state: Arc::clone(&state) };
        let mut options = Config::default();
        options.mount_options = vec![MountOption::FSName("disk".to_owned())];
        let session = fuser::spawn_mount(disk, folder, &options).context("serve", folder.display())?;
        Ok(Self { folder: folder.to_owned(), session, state })
    }

    /// The file to mount.
    pub fn file(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// Fails that way from now on; counting begins anew.
    pub fn fail(&self, fault: DiskFault) {
        let mut state = lock(&self.state);
        (state.fault, state.flushes, state.failed) = (fault, 0, 0);
    }

    /// How many requests failed since the fault was set.
    pub fn failed(&self) -> u64 {
        lock(&self.state).failed
    }

    /// How many requests reached it since it was last asked for its log.
    pub fn requests(&self) -> usize {
        lock(&self.state).log.entries.len()
    }

    /// Takes what reached it since this was last asked.
    pub fn take_log(&self) -> DiskLog {
        std::mem::take(&mut lock(&self.state).log)
    }

    /// Stops serving. What is mounted from it has to be unmounted before.
    ///
    /// # Errors
    /// It stays in use.
    pub fn stop(self) -> io::Result<()> {
        unmount(&self.folder)?;
        match self.session.join() {
            // Nobody uses it any more; what is still on its way, such as the close of the file, the kernel ends with this.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(()),
            ended => ended,
        }
    }
}

/// Nothing that holds the lock can panic half-way, so what it guards is sound.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Disk {
    file: File,
    size: u64,
    state: Arc<Mutex<State>>,
}

impl Disk {
    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let is_disk = inode == INODE;
        FileAttr {
            ino: inode,
            size: if is_disk { self.size } else { 0 },
            blocks: self.size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_disk { FileType::RegularFile } else { FileType::Directory },
            perm: if is_disk { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = lock(&self.state);
        let fails = match state.fault {
            DiskFault::Writes(number) => state.flushes + 1 == number,
            DiskFault::Gone(number) => state.flushes >= number,
            DiskFault::None | DiskFault::Flush(_) => false,
        };
        if fails {
            state.failed += 1;
            return Err(io::Error::from_raw_os_error(nix::libc::EIO));
        }
        if matches!(state.fault, DiskFault::Flush(number) if state.flushes < number) {
            let mut before = vec![0; bytes.len()];
            self.file.read_exact_at(&mut before, offset)?;
            state.before.push((offset, before));
        }
        self.file.write_all_at(bytes, offset)?;
        state.log.entries.push(LogEntry::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.flushes += 1;
        let before = std::mem::take(&mut state.before);
        let fails = match state.fault {
            DiskFault::Flush(number) => state.flushes == number,
            DiskFault::Gone(number) => state.flushes >= number,
            DiskFault::None | DiskFault::Writes(_) => false,
        };
        if !fails {
            state.log.entries.push(LogEntry::Flush);
            return Ok(());
        }
        state.failed += 1;
        for (offset, bytes) in before.iter().rev() {
            self.file.write_all_at(bytes, *offset)?;
        }
        Err(io::Error::from_raw_os_error(nix::libc::EIO))
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME {
            reply.entry(&FOREVER, &self.attributes(INODE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _request: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOREVER, &self.attributes(inode));
    }

    /// The kernel sets times when it writes; they are not kept.
    fn setattr(
        &self,
        _request: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<std::time::SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<std::time::SystemTime>,
        _chgtime: Option<std::time::SystemTime>,
        _bkuptime: Option<std::time::SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.attr(&FOREVER, &self.attributes(inode));
    }

    fn read(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let length = u64::from(size).min(self.size.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => reply.data(&bytes),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match (self.write_at(offset, data), u32::try_from(data.len())) {
            (Ok(()), Ok(length)) => reply.written(length),
            _ => reply.error(Errno::EIO),
        }
    }

    fn fsync(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _data: bool,
        reply: ReplyEmpty,
    ) {
        match self.settle() {
            Ok(()) => reply.ok(),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn flush(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    /// Discarding is left to the file system to do without, and so is zeroing.
    fn fallocate(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _offset: u64,
        _length: u64,
        _mode: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EOPNOTSUPP);
    }
}
