//! A file system in memory that can lose what was not synced.
//!
//! It keeps the five rules a file system has to keep (see the crate) and breaks every other habit that
//! real ones have. What a power loss may do, and whose behaviour that is:
//!
//! * Of the operations on directories that were not synced any subset survives, in any order: ext4 orders
//!   them all by its journal, XFS by its log, btrfs by a transaction except for what `fsync` logs on its own;
//!   none of these orders is promised. A name whose removal was not synced comes back.
//! * A rename is atomic: it survives as a whole or not at all. That is the first rule, and what ext4, XFS and
//!   btrfs do; that btrfs broke it at times (a file in both directories, or in neither) counted as a fault and
//!   was mended (`CrashMonkey`: Mohan et al., OSDI 2018).
//! * A rename between two directories is durable once *both* were synced. Strictly, rules one and two
//!   together would make it so with either, and ext4 and XFS do; but `fsync(2)` speaks of one directory, and
//!   applications were found to sync fewer directories than they need (ALICE: Pillai et al., OSDI
//!   2014), so nothing here may need the stronger reading. What stays whole is the rename: no half of it is seen.
//! * Content that was not synced comes back old, new, torn between sectors, or as garbage, page by page, and
//!   the size as it was, as it is, or between. ext4 with `data=writeback` shows garbage, XFS and btrfs zeros.
//! * Attributes (mode, owner, modification time, each extended attribute) that were not synced come back each
//!   on its own as they are or as they once were since the last sync.
//! * `fsync` of a file or directory keeps its attributes too, as fsync(2) says; `fdatasync` does not. `syncfs`
//!   keeps everything. The text of a symlink is durable with its name: there is no call to sync it.
//!
//! Its one process is root, there are no permissions; access control lists are kept like any other extended
//! attribute and mean nothing. Inode numbers are never used again.

mod content;
mod dice;
mod inode;
mod lock;
mod log;
mod rename;
mod stat;
mod state;
mod walk;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;
use tmp_core::{
    Mode,
    module::{Kind, Timestamp},
};

use self::{
    content::{Content, PAGE},
    inode::Body,
    lock::Held,
    log::{Change, Entries},
    state::State,
};
use crate::{
    component::{component, component_or_itself},
    disk::{At, Dir, Disk, Durability, Extent, FileSystem, Lock, OpenFile, Rename, Right, Sharing, Stat},
};

/// A file system in memory, empty at first. Clones are the same file system.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

/// What an open directory or file is here.
struct Handle {
    disk: SimDisk,
    inode: u64,
    writable: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.disk.state().closed(self.inode);
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty file system without limits.
    pub fn new() -> Self {
        Self::like("simulated")
    }

    /// The same, saying that it is of this type. A [`Barrier`](crate::Barrier) on `ext4` syncs few files one
    /// by one, which a simulation can see through; on others it syncs everything.
    pub fn like(file_system: &'static str) -> Self {
        Self(Arc::new(Mutex::new(State::new(file_system))))
    }

    /// The same, without the means to exchange two names in one step, as file systems of before 2014 are.
    #[must_use]
    pub fn without_exchange(self) -> Self {
        self.state().exchange = false;
        self
    }

    /// The file system as it is found after every process died now: nothing is open or locked. What was not
    /// synced can still be lost by a power loss later. This one goes on as if nothing had happened.
    #[must_use = "the processes of this file system go on; those of the one that is answered died"]
    pub fn after_kill(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().after_kill())))
    }

    /// The file system as it could be found after a power loss now, by the rules above. Another seed is another
    /// possibility. This one goes on as if nothing had happened.
    #[must_use = "this file system has not lost anything; the one that is answered has"]
    pub fn power_loss(&self, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(self.state().after_power_loss(seed))))
    }

    /// Leaves room for this many bytes (in whole pages of 4 KiB) and inodes from now on.
    pub fn set_free(&self, bytes: u64, inodes: u64) {
        self.state().set_free(bytes, inodes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, state: &mut State, inode: u64, writable: bool) -> Handle {
        state.opened(inode);
        Handle { disk: self.clone(), inode, writable }
    }

    fn own(&self, handle: &Handle) -> io::Result<u64> {
        if Arc::ptr_eq(&self.0, &handle.disk.0) {
            Ok(handle.inode)
        } else {
            Err(io::Error::other("a handle of another disk"))
        }
    }

    fn dir(&self, dir: &Dir) -> io::Result<u64> {
        self.own(dir.get()?)
    }

    fn file(&self, file: &OpenFile) -> io::Result<u64> {
        self.own(file.get()?)
    }

    fn writable(&self, file: &OpenFile) -> io::Result<u64> {
        let handle: &Handle = file.get()?;
        if handle.writable { self.own(handle) } else { Err(Errno::BADF.into()) }
    }

    fn open_regular(&self, at: At<'_>, writable: bool) -> io::Result<OpenFile> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        let mut state = self.state();
        let inode = state.present(dir, name)?;
        match state.inode(inode)?.kind() {
            Kind::File => Ok(OpenFile::new(self.open(&mut state, inode, writable))),
            Kind::Directory => Err(Errno::ISDIR.into()),
            _ => Err(Errno::LOOP.into()),
        }
    }

    /// Changes an inode found by a name, which may be empty.
    fn change<T>(
        &self,
        at: At<'_>,
        change: impl FnOnce(&mut inode::Inode) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let (dir, name) = (self.dir(at.dir)?, component_or_itself(at.name)?);
        let mut state = self.state();
        let inode = state.present(dir, name)?;
        Ok(change(state.inode_mut(inode)?)?)
    }
}

impl Disk for SimDisk {
    fn open_root(&self, path: &Path) -> io::Result<Dir> {
        let mut state = self.state();
        let inode = walk::follow(&state, path)?;
        state.entries(inode)?;
        Ok(Dir::new(self.open(&mut state, inode, false)))
    }

    fn open_dir(&self, dir: &Dir, path: &OsStr) -> io::Result<Dir> {
        let dir = self.dir(dir)?;
        let mut state = self.state();
        let inode = walk::beneath(&state, dir, path)?;
        Ok(Dir::new(self.open(&mut state, inode, false)))
    }

    fn list(&self, dir: &Dir) -> io::Result<Vec<OsString>> {
        Ok(self.state().entries(self.dir(dir)?)?.keys().cloned().collect())
    }

    fn stat(&self, at: At<'_>) -> io::Result<Option<Stat>> {
        let (dir, name) = (self.dir(at.dir)?, component_or_itself(at.name)?);
        let state = self.state();
        state.find(dir, name)?.map(|number| stat::stat(&state, number)).transpose()
    }

    fn open_file(&self, at: At<'_>) -> io::Result<OpenFile> {
        self.open_regular(at, false)
    }

    fn read_at(&self, file: &OpenFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(content(&self.state(), self.file(file)?)?.read(offset, buffer))
    }

    fn extents(&self, file: &OpenFile, size: u64) -> io::Result<Vec<Extent>> {
        let state = self.state();
        let content = content(&state, self.file(file)?)?;
        Ok(content.extents(size.min(content.size())))
    }

    fn drop_cache(&self, file: &OpenFile) -> io::Result<()> {
        self.file(file).map(drop)
    }

    fn read_link(&self, at: At<'_>) -> io::Result<Vec<u8>> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        let state = self.state();
        match &state.inode(state.present(dir, name)?)?.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn xattrs(&self, at: At<'_>) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let (dir, name) = (self.dir(at.dir)?, component_or_itself(at.name)?);
        let state = self.state();
        Ok(state.inode(state.present(dir, name)?)?.meta.xattrs.clone())
    }

    /// Its one process is root: it may do everything to what is there.
    fn may(&self, right: Right<'_>) -> io::Result<()> {
        match right {
            Right::Read(at) | Right::Enter(at) | Right::Change(at) | Right::Adjust(at) => {
                self.stat(at)?.map(drop).ok_or_else(|| Errno::NOENT.into())
            }
            Right::Give { .. } => Ok(()),
        }
    }

    fn file_system(&self, dir: &Dir) -> io::Result<FileSystem> {
        self.dir(dir)?;
        let state = self.state();
        Ok(FileSystem {
            name: state.name.to_owned(),
            free_bytes: state.free_pages().saturating_mul(PAGE),
            free_inodes: Some(state.free_inodes()),
            durability: Durability::Local,
        })
    }

    fn create_file(&self, at: At<'_>, mode: Mode) -> io::Result<OpenFile> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        let mut state = self.state();
        let inode = state.make(dir, name, mode, Body::File(Content::default()))?;
        Ok(OpenFile::new(self.open(&mut state, inode, true)))
    }

    fn open_file_to_write(&self, at: At<'_>) -> io::Result<OpenFile> {
        self.open_regular(at, true)
    }

    fn write_at(&self, file: &OpenFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let inode = self.writable(file)?;
        self.state().change_content(inode, |content, free| match content.write(offset, bytes, free) {
            0 if !bytes.is_empty() => Err(Errno::NOSPC.into()),
            written => Ok(written),
        })
    }

    fn allocate(&self, file: &OpenFile, size: u64) -> io::Result<()> {
        let inode = self.writable(file)?;
        self.state().change_content(inode, |content, free| {
            if content.allocate(size, free) { Ok(()) } else { Err(Errno::NOSPC.into()) }
        })
    }

    fn set_len(&self, file: &OpenFile, size: u64) -> io::Result<()> {
        let inode = self.writable(file)?;
        self.state().change_content(inode, |content, _| {
            content.set_len(size);
            Ok(())
        })
    }

    fn clone_file(&self, from: &OpenFile, to: &OpenFile) -> io::Result<bool> {
        let (from, to) = (self.file(from)?, self.writable(to)?);
        let mut state = self.state();
        let copy = content(&state, from)?.clone();
        state.change_content(to, |content, free| {
            if copy.pages() > free.saturating_add(content.pages()) {
                return Err(Errno::NOSPC.into());
            }
            *content = copy;
            Ok(true)
        })
    }

    fn create_dir(&self, at: At<'_>, mode: Mode) -> io::Result<()> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        self.state().make(dir, name, mode, Body::Directory(Entries::new())).map(drop)
    }

    fn create_symlink(&self, at: At<'_>, target: &[u8]) -> io::Result<()> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        if target.is_empty() {
            return Err(Errno::NOENT.into());
        }
        self.state().make(dir, name, Mode::from_bits(0o777), Body::Symlink(target.to_vec())).map(drop)
    }

    fn create_link(&self, from: At<'_>, to: At<'_>) -> io::Result<()> {
        let (from_dir, from_name) = (self.dir(from.dir)?, component(from.name)?);
        let (to_dir, to_name) = (self.dir(to.dir)?, component(to.name)?);
        let mut state = self.state();
        let inode = state.present(from_dir, from_name)?;
        if state.find(to_dir, to_name)?.is_some() {
            return Err(Errno::EXIST.into());
        }
        if state.inode(inode)?.kind() == Kind::Directory {
            return Err(Errno::PERM.into());
        }
        state.enter(vec![Change { dir: to_dir, name: to_name.to_owned(), inode: Some(inode) }], |_| ())
    }

    fn rename(&self, from: At<'_>, to: At<'_>, how: Rename) -> io::Result<()> {
        let from = (self.dir(from.dir)?, component(from.name)?);
        let to = (self.dir(to.dir)?, component(to.name)?);
        rename::rename(&mut self.state(), from, to, how)
    }

    fn remove_file(&self, at: At<'_>) -> io::Result<()> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        let mut state = self.state();
        let inode = state.present(dir, name)?;
        if state.inode(inode)?.kind() == Kind::Directory {
            return Err(Errno::ISDIR.into());
        }
        state.enter(vec![Change { dir, name: name.to_owned(), inode: None }], |_| ())
    }

    fn remove_dir(&self, at: At<'_>) -> io::Result<()> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        let mut state = self.state();
        if !state.entries(state.present(dir, name)?)?.is_empty() {
            return Err(Errno::NOTEMPTY.into());
        }
        state.enter(vec![Change { dir, name: name.to_owned(), inode: None }], |_| ())
    }

    fn set_mode(&self, at: At<'_>, mode: Mode) -> io::Result<()> {
        self.change(at, |inode| {
            if inode.kind() == Kind::Symlink {
                return Err(Errno::OPNOTSUPP);
            }
            inode.meta.mode = mode;
            Ok(())
        })
    }

    fn set_owner(&self, at: At<'_>, uid: u32, gid: u32) -> io::Result<()> {
        self.change(at, |inode| {
            (inode.meta.uid, inode.meta.gid) = (uid, gid);
            // What chown(2) takes away with the owner: set-user-id, set-group-id of a program, capabilities.
            if inode.kind() == Kind::File {
                let bits = inode.meta.mode.bits();
                let program = if bits & 0o010 == 0 { 0 } else { 0o2000 };
                inode.meta.mode = Mode::from_bits(bits & !(0o4000 | program));
                inode.meta.xattrs.remove(b"security.capability".as_slice());
            }
            Ok(())
        })
    }

    fn set_mtime(&self, at: At<'_>, time: Timestamp) -> io::Result<()> {
        self.change(at, |inode| {
            inode.meta.mtime = time;
            Ok(())
        })
    }

    fn set_xattr(&self, at: At<'_>, name: &[u8], value: &[u8]) -> io::Result<()> {
        self.change(at, |inode| {
            inode.may_have(name)?;
            inode.meta.xattrs.insert(name.to_vec(), value.to_vec());
            Ok(())
        })
    }

    fn remove_xattr(&self, at: At<'_>, name: &[u8]) -> io::Result<()> {
        self.change(at, |inode| {
            inode.may_have(name)?;
            inode.meta.xattrs.remove(name).map(drop).ok_or(Errno::NODATA)
        })
    }

    fn sync_data(&self, file: &OpenFile) -> io::Result<()> {
        let inode = self.file(file)?;
        self.state().sync_content(inode)
    }

    fn sync_file(&self, file: &OpenFile) -> io::Result<()> {
        let inode = self.file(file)?;
        let mut state = self.state();
        state.sync_content(inode)?;
        state.sync_meta(inode)
    }

    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        let inode = self.dir(dir)?;
        let mut state = self.state();
        state.sync_entries(inode);
        state.sync_meta(inode)
    }

    fn sync_all(&self, dir: &Dir) -> io::Result<()> {
        self.dir(dir)?;
        self.state().sync_all();
        Ok(())
    }

    fn is_locked(&self, at: At<'_>) -> io::Result<bool> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        match self.open_file(at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => drop(other?),
        }
        let state = self.state();
        Ok(state.locks.contains_key(&state.present(dir, name)?))
    }

    fn try_lock(&self, at: At<'_>, note: &str) -> io::Result<Option<Lock>> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        let file = match self.open_file_to_write(at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_file(at, Mode::from_bits(0o600))?
            }
            other => other?,
        };
        let inode = self.state().present(dir, name)?;
        let Some(lock) = Held::take(self, inode, Sharing::Exclusive) else { return Ok(None) };
        let written = self.write_at(&file, 0, note.as_bytes())?;
        self.set_len(&file, written as u64)?;
        Ok(Some(Lock::new(lock)))
    }

    fn try_lock_existing(&self, at: At<'_>, sharing: Sharing) -> io::Result<Option<Lock>> {
        let (dir, name) = (self.dir(at.dir)?, component(at.name)?);
        self.open_file(at)?;
        let inode = self.state().present(dir, name)?;
        Ok(Held::take(self, inode, sharing).map(Lock::new))
    }
}

fn content(state: &State, inode: u64) -> io::Result<&Content> {
    match &state.inode(inode)?.body {
        Body::File(content) => Ok(content),
        _ => Err(Errno::INVAL.into()),
    }
}
