//! All that a simulated file system is: inodes, space, locks, and what of it is durable.

use std::{collections::BTreeMap, ffi::OsStr, io};

use rustix::io::Errno;
use tmp_core::{Mode, module::Timestamp};

use super::{
    content::PAGE,
    dice::Dice,
    inode::{Body, Inode},
    log::{Change, Entries, Log},
};
use crate::disk::Sharing;

/// The inode of the topmost directory, as on ext4.
pub(super) const ROOT: u64 = 2;

/// How long a name may be, in bytes.
const LONGEST: usize = 255;

#[derive(Debug, Clone)]
pub(super) struct State {
    /// The type of file system that it says it is.
    pub(super) name: &'static str,
    /// Whether two names can be exchanged.
    pub(super) exchange: bool,
    inodes: BTreeMap<u64, Inode>,
    log: Log,
    next: u64,
    ticks: u32,
    used_pages: u64,
    used_inodes: u64,
    most_pages: u64,
    most_inodes: u64,
    /// How each locked inode is held, and by how many.
    pub(super) locks: BTreeMap<u64, (Sharing, u64)>,
}

impl State {
    pub(super) fn new(name: &'static str) -> Self {
        let mut state = Self {
            name,
            exchange: true,
            inodes: BTreeMap::new(),
            log: Log::default(),
            next: ROOT + 1,
            ticks: 0,
            used_pages: 0,
            used_inodes: 1,
            most_pages: u64::MAX,
            most_inodes: u64::MAX,
            locks: BTreeMap::new(),
        };
        let now = state.now();
        let root = Inode { names: 1, ..Inode::new(now, Mode::DIRECTORY, Body::Directory(Entries::new())) };
        state.inodes.insert(ROOT, root);
        state
    }

    /// The instant: later with every change.
    pub(super) fn now(&mut self) -> Timestamp {
        self.ticks += 1;
        Timestamp { seconds: 1_700_000_000, nanoseconds: self.ticks }
    }

    pub(super) fn inode(&self, number: u64) -> io::Result<&Inode> {
        self.inodes.get(&number).ok_or_else(|| Errno::STALE.into())
    }

    /// An inode that is about to change.
    pub(super) fn inode_mut(&mut self, number: u64) -> io::Result<&mut Inode> {
        let now = self.now();
        let inode = self.inodes.get_mut(&number).ok_or(Errno::STALE)?;
        inode.meta_mut().ctime = now;
        Ok(inode)
    }

    pub(super) fn entries(&self, dir: u64) -> io::Result<&Entries> {
        match &self.inode(dir)?.body {
            Body::Directory(entries) => Ok(entries),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    /// The inode at a name, or of the directory where the name is empty.
    pub(super) fn find(&self, dir: u64, name: &OsStr) -> io::Result<Option<u64>> {
        if name.len() > LONGEST {
            return Err(Errno::NAMETOOLONG.into());
        }
        if name.is_empty() {
            return Ok(Some(dir));
        }
        Ok(self.entries(dir)?.get(name).copied())
    }

    /// The same, where something has to be there.
    pub(super) fn present(&self, dir: u64, name: &OsStr) -> io::Result<u64> {
        self.find(dir, name)?.ok_or_else(|| Errno::NOENT.into())
    }

    /// Makes something new at a name.
    pub(super) fn make(&mut self, dir: u64, name: &OsStr, mode: Mode, body: Body) -> io::Result<u64> {
        if self.find(dir, name)?.is_some() {
            return Err(Errno::EXIST.into());
        }
        if self.used_inodes >= self.most_inodes {
            return Err(Errno::NOSPC.into());
        }
        let (number, now) = (self.next, self.now());
        self.enter(vec![Change { dir, name: name.to_owned(), inode: Some(number) }], |state| {
            state.next += 1;
            state.used_inodes += 1;
            state.inodes.insert(number, Inode::new(now, mode, body));
        })?;
        Ok(number)
    }

    /// Changes entries, as one operation. `prepare` comes before, once it is sure that they can be.
    pub(super) fn enter(&mut self, changes: Vec<Change>, prepare: impl FnOnce(&mut Self)) -> io::Result<()> {
        for change in &changes {
            self.entries(change.dir)?;
            if change.inode.is_some() && self.inode(change.dir)?.names == 0 {
                return Err(Errno::NOENT.into());
            }
        }
        prepare(self);
        let now = self.now();
        let mut left = Vec::new();
        for Change { dir, name, inode } in &changes {
            if let Some(found) = self.inodes.get_mut(dir)
                && let Body::Directory(entries) = &mut found.body
            {
                left.extend(entries.remove(name));
                entries.extend(inode.map(|inode| (name.clone(), inode)));
                let meta = found.meta_mut();
                (meta.mtime, meta.ctime) = (now, now);
            }
            if let Some(found) = inode.and_then(|inode| self.inodes.get_mut(&inode)) {
                found.names += 1;
                found.meta.ctime = now;
            }
        }
        for number in left {
            if let Some(found) = self.inodes.get_mut(&number) {
                found.names = found.names.saturating_sub(1);
                found.meta.ctime = now;
            }
            self.give_back(number);
        }
        self.log.record(changes);
        Ok(())
    }

    /// Counts a handle on an inode, or one less.
    pub(super) fn opened(&mut self, number: u64) {
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.handles += 1;
        }
    }

    pub(super) fn closed(&mut self, number: u64) {
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.handles = inode.handles.saturating_sub(1);
        }
        self.give_back(number);
    }

    /// Gives back the space of an inode without names and handles.
    fn give_back(&mut self, number: u64) {
        let Some(inode) = self.inodes.get_mut(&number) else { return };
        if inode.names == 0 && inode.handles == 0 && !inode.freed {
            inode.freed = true;
            self.used_inodes = self.used_inodes.saturating_sub(1);
            self.used_pages = self.used_pages.saturating_sub(inode.pages());
        }
    }

    /// Changes the content of a file; told is how many new pages there may be.
    pub(super) fn change_content<T>(
        &mut self,
        number: u64,
        change: impl FnOnce(&mut super::content::Content, u64) -> io::Result<T>,
    ) -> io::Result<T> {
        let (now, free) = (self.now(), self.free_pages());
        let inode = self.inodes.get_mut(&number).ok_or(Errno::STALE)?;
        let Body::File(content) = &mut inode.body else { return Err(Errno::INVAL.into()) };
        let before = content.pages();
        let result = change(content, free);
        self.used_pages = (self.used_pages + content.pages()).saturating_sub(before);
        if result.is_ok() {
            let meta = inode.meta_mut();
            (meta.mtime, meta.ctime) = (now, now);
        }
        result
    }

    pub(super) fn free_pages(&self) -> u64 {
        self.most_pages.saturating_sub(self.used_pages)
    }

    pub(super) fn free_inodes(&self) -> u64 {
        self.most_inodes.saturating_sub(self.used_inodes)
    }

    /// Leaves room for this much from now on.
    pub(super) fn set_free(&mut self, bytes: u64, inodes: u64) {
        self.most_pages = self.used_pages.saturating_add(bytes / PAGE);
        self.most_inodes = self.used_inodes.saturating_add(inodes);
    }

    pub(super) fn sync_content(&mut self, number: u64) -> io::Result<()> {
        self.inodes.get_mut(&number).ok_or(Errno::STALE)?.sync_content();
        Ok(())
    }

    pub(super) fn sync_meta(&mut self, number: u64) -> io::Result<()> {
        self.inodes.get_mut(&number).ok_or(Errno::STALE)?.sync_meta();
        Ok(())
    }

    pub(super) fn sync_entries(&mut self, dir: u64) {
        self.log.settle(dir);
    }

    pub(super) fn sync_all(&mut self) {
        self.log.settle_all();
        let durable = self.log.inodes();
        self.inodes.retain(|number, inode| !inode.freed || durable.contains(number));
        for inode in self.inodes.values_mut() {
            inode.sync_content();
            inode.sync_meta();
        }
    }

    /// What the death of every process leaves: nothing is open or locked, and what was not synced still is not.
    pub(super) fn after_kill(&self) -> Self {
        let mut found = self.clone();
        found.locks.clear();
        let numbers: Vec<u64> = found.inodes.keys().copied().collect();
        for number in numbers {
            if let Some(inode) = found.inodes.get_mut(&number) {
                inode.handles = 0;
            }
            found.give_back(number);
        }
        found
    }

    /// What a power loss leaves: everything visible is durable then, and nothing is open or locked.
    pub(super) fn after_power_loss(&self, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut entries = self.log.survivors(&mut dice);
        let fresh = Self::new(self.name);
        let mut found = Self { next: self.next, ticks: self.ticks, exchange: self.exchange, ..fresh };
        found.inodes.clear();
        found.used_inodes = 0;
        let mut reached = vec![ROOT];
        while let Some(number) = reached.pop() {
            if let Some(inode) = found.inodes.get_mut(&number) {
                inode.names += 1;
                continue;
            }
            let Some(old) = self.inodes.get(&number) else { continue };
            // Each has its own, so that names of another run of the same calls, which are different, do not
            // change what becomes of it.
            let mut dice = Dice::new(seed ^ (number << 32));
            let mut inode = Inode { names: 1, ..old.after_power_loss(&mut dice) };
            if let Body::Directory(_) = inode.body {
                let inside = entries.entry(number).or_default();
                reached.extend(inside.values());
                inode.body = Body::Directory(inside.clone());
            }
            found.used_inodes += 1;
            found.used_pages += inode.pages();
            found.inodes.insert(number, inode);
        }
        entries.retain(|dir, _| found.inodes.contains_key(dir));
        found.log = Log::of(entries);
        found.most_pages = self.most_pages.max(found.used_pages);
        found.most_inodes = self.most_inodes.max(found.used_inodes);
        found
    }
}
