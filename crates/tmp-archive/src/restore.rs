//! Putting a snapshot back.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread::{self, Scope},
};

use tmp_core::{
    Mode,
    module::{Attributes, Kind},
    path::RESERVED,
};
use tmp_disk::{At, Dir, Stat, Tree};

use crate::{
    Archive, ArchiveError, Entry, EntryPath, FileEntry, Ignored, Snapshot, SnapshotId,
    parents::Parents,
    placer::{Placer, settle},
    stat_cache::StatCache,
    threads,
    trusted::Trusted,
    walk::{locate, roots},
};

/// Which part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it.
    All,
    /// These paths, each with everything below it.
    Paths(Vec<EntryPath>),
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Entries that are now as they were archived.
    pub entries: u64,
    /// Files that had to be written for it.
    pub written: u64,
    /// Bytes of these files.
    pub bytes: u64,
}

/// What a restore over a live tree has to know.
#[derive(Debug)]
pub struct Beside<'a> {
    /// Paths that are left alone beside those that the snapshot ignores.
    pub ignored: &'a Ignored,
    /// Where the stat cache of the tree lies, if it has one.
    pub cache: Option<At<'a>>,
}

impl Archive {
    /// Makes the selected paths of a tree what the snapshot says, in an empty root or over what stands
    /// there: what is right is kept, what was absent is removed, and so is what an archived directory
    /// did not hold. Missing parents are made, as archived where they are, else with mode 0755. The
    /// root-level work directory `.tmp-work` is never touched. Hard links are made among the selected
    /// names. Durable on return. `progress` is told entries and bytes so far.
    ///
    /// With a `staging` directory, on the tree's own mount and outside of what is restored, a file or
    /// symlink that replaces another is made there as `tmp-archive-restore-…` and renamed into place;
    /// without, the other is removed first.
    ///
    /// # Errors
    /// There is no such snapshot, it does not cover a path or is damaged, or the tree cannot be
    /// changed. Part of the selection may have been restored; restoring again mends that.
    pub fn restore(
        &self,
        id: &SnapshotId,
        selection: &Selection,
        to: &Tree,
        staging: Option<&Dir>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Restored, ArchiveError> {
        let beside = Beside { ignored: &Ignored::default(), cache: None };
        self.restore_beside(id, selection, to, staging, &beside, progress)
    }

    /// The same over a live tree: what is ignored, now or when the snapshot was made, is left alone, and so
    /// are the directories that hold it; what a stat cache vouches for is not read.
    ///
    /// # Errors
    /// As [`Archive::restore`].
    pub fn restore_beside(
        &self,
        id: &SnapshotId,
        selection: &Selection,
        to: &Tree,
        staging: Option<&Dir>,
        beside: &Beside<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Restored, ArchiveError> {
        let snapshot = self.read(id)?;
        let selected = match selection {
            Selection::All => snapshot.info.roots.clone(),
            Selection::Paths(paths) => roots(paths.iter().cloned()),
        };
        if let Some(path) = selected.iter().find(|path| !snapshot.info.covers(path)) {
            return Err(ArchiveError::NotCovered { id: *id, path: path.clone() });
        }
        let mut groups: HashMap<u64, Vec<&EntryPath>> = HashMap::new();
        for (path, entry) in &snapshot.entries {
            if let Entry::File(FileEntry { link_group: Some(group), .. }) = entry
                && selected.iter().any(|root| path.is_within(root))
            {
                groups.entry(*group).or_default().push(path);
            }
        }
        let globs = snapshot.info.ignored.iter().chain(beside.ignored.globs());
        let ignored = Ignored::new(globs.cloned())?;
        let cache = beside.cache.and_then(|at| StatCache::read(&**to.disk(), at));
        let trusted = cache.map(|cache| Trusted::new(self, &snapshot, &cache)).unwrap_or_default();
        let objects = self.objects(&snapshot.info)?;
        let placer = Placer::new(to, staging, objects, groups, ignored, trusted);
        let mut restore = Restore {
            placer: &placer,
            snapshot: &snapshot,
            parents: Parents::new(to),
            directories: BTreeMap::new(),
            fresh: None,
            links: Vec::new(),
            entries: 0,
        };
        thread::scope(|scope| {
            let mut hands = Hands::start(scope, &placer)?;
            for root in &selected {
                restore.root(root, &mut hands, progress)?;
            }
            hands.finish()
        })?;
        restore.finish()
    }
}

struct Restore<'a> {
    placer: &'a Placer<'a>,
    snapshot: &'a Snapshot,
    parents: Parents<'a>,
    /// Directories, whose attributes are set last.
    directories: BTreeMap<EntryPath, &'a Attributes>,
    /// The last directory that was made in one that was there.
    fresh: Option<&'a EntryPath>,
    /// Further names of files, which are made when these are in place.
    links: Vec<(&'a EntryPath, &'a Entry)>,
    entries: u64,
}

impl<'a> Restore<'a> {
    fn root(
        &mut self,
        root: &EntryPath,
        hands: &mut Hands<'a>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), ArchiveError> {
        let snapshot = self.snapshot;
        if matches!(snapshot.entry(root), None | Some(Entry::Absent)) {
            if let Some((dir, name)) = locate(self.placer.tree, root)? {
                self.placer.clear(root, At::new(&dir, &name))?;
            }
            self.entries += 1;
        } else {
            for path in self.parents.make(root)? {
                if let Some(Entry::Directory { attributes }) = snapshot.entries.get(&path) {
                    self.directories.insert(path, attributes);
                }
            }
            let below = snapshot.entries.range(root.clone()..);
            let mut alone: Option<&EntryPath> = None;
            for (path, entry) in below.take_while(|(path, _)| path.is_within(root)) {
                if alone.is_some_and(|alone| path.is_within(alone)) {
                    continue;
                }
                if self.placer.leaves_alone(path) {
                    alone = Some(path);
                    continue;
                }
                self.entry(path, entry, hands)?;
                self.entries += 1;
                progress(self.entries, self.placer.bytes.load(Ordering::Relaxed));
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &'a EntryPath,
        entry: &'a Entry,
        hands: &mut Hands<'a>,
    ) -> Result<(), ArchiveError> {
        match entry {
            Entry::Absent => Ok(()),
            Entry::Directory { attributes } => {
                self.directories.insert(path.clone(), attributes);
                let dir = self.parents.of(path)?;
                let at = At::new(&dir, path.name());
                let found = if self.is_fresh(path) {
                    None
                } else {
                    self.placer.disk.stat(at).map_err(ArchiveError::disk("look at", path))?
                };
                if !self.is_fresh(path) && found.is_none_or(|stat| stat.kind != Kind::Directory) {
                    self.fresh = Some(path);
                }
                self.directory(path, at, found)
            }
            Entry::Symlink { .. } | Entry::File(_) => {
                if self.placer.first_name(path, entry).is_some() {
                    self.links.push((path, entry));
                    Ok(())
                } else {
                    hands.give((path, entry, self.is_fresh(path)))
                }
            }
        }
    }

    /// Whether something is to stand in a directory that was made for it.
    fn is_fresh(&self, path: &EntryPath) -> bool {
        self.fresh.is_some_and(|fresh| path.is_within(fresh))
    }

    fn directory(&self, path: &EntryPath, at: At<'_>, found: Option<Stat>) -> Result<(), ArchiveError> {
        match found {
            Some(stat) if stat.kind == Kind::Directory => {
                if stat.mode.bits() & 0o700 != 0o700 {
                    self.placer.disk.set_mode(at, PRIVATE).map_err(ArchiveError::disk("open up", path))?;
                }
                self.remove_others(path, at)
            }
            found => {
                if found.is_some() {
                    self.placer.disk.remove_file(at).map_err(ArchiveError::disk("remove", path))?;
                }
                self.placer.disk.create_dir(at, PRIVATE).map_err(ArchiveError::disk("create", path))
            }
        }
    }

    /// Removes what the archived directory did not hold.
    fn remove_others(&self, path: &EntryPath, at: At<'_>) -> Result<(), ArchiveError> {
        let dir = self.placer.disk.open_dir(at.dir, at.name).map_err(ArchiveError::disk("enter", path))?;
        for name in self.placer.disk.list(&dir).map_err(ArchiveError::disk("list", path))? {
            let work = *path == EntryPath::root() && name.eq_ignore_ascii_case(RESERVED);
            let inner = path
                .join(&name)
                .map_err(|error| ArchiveError::Name { path: path.clone(), fault: error.to_string() })?;
            if !work && !self.snapshot.entries.contains_key(&inner) {
                self.placer.clear(&inner, At::new(&dir, &name))?;
            }
        }
        Ok(())
    }

    /// Sets the attributes of directories, innermost first, and makes everything durable.
    fn finish(mut self) -> Result<Restored, ArchiveError> {
        let (disk, tree) = (self.placer.disk, self.placer.tree);
        for (path, entry) in &self.links {
            self.placer.put(path, entry, false, &mut self.parents)?;
        }
        for (path, attributes) in self.directories.iter().rev() {
            let dir = disk.open_dir(tree.root(), OsStr::from_bytes(path.as_bytes()));
            let dir = dir.map_err(ArchiveError::disk("enter", path))?;
            settle(disk, At::itself(&dir), Kind::Directory, attributes)?;
        }
        disk.sync_all(tree.root()).map_err(ArchiveError::disk("make durable", &EntryPath::root()))?;
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (written, bytes) = (count(&self.placer.written), count(&self.placer.bytes));
        Ok(Restored { entries: self.entries, written, bytes })
    }
}

/// The threads that put files in their places.
struct Hands<'a> {
    work: SyncSender<Batch<'a>>,
    batch: Batch<'a>,
    failures: Receiver<ArchiveError>,
}

/// Entries that a thread is given at a time.
type Batch<'a> = Vec<Given<'a>>;

/// An entry, and whether its directory was made for it.
type Given<'a> = (&'a EntryPath, &'a Entry, bool);

/// How many entries a thread is given at a time: more than share a block, so that few blocks are read twice.
const BATCH: usize = 128;

/// How many batches wait at most.
const WAITING: usize = 16;

impl<'a> Hands<'a> {
    fn start<'s>(scope: &'s Scope<'s, 'a>, placer: &'a Placer<'a>) -> Result<Self, ArchiveError> {
        let (work, todo) = sync_channel::<Batch<'a>>(WAITING);
        let (failed, failures) = channel();
        let todo = Arc::new(Mutex::new(todo));
        threads::start_all(scope, move || {
            let mut parents = Parents::new(placer.tree);
            loop {
                let next = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(batch) = next else { return };
                for (path, entry, fresh) in batch {
                    if let Err(error) = placer.put(path, entry, fresh, &mut parents) {
                        // Whoever waits for it may have gone.
                        let _ = failed.send(error);
                        return;
                    }
                }
            }
        })?;
        Ok(Self { work, batch: Vec::new(), failures })
    }

    fn give(&mut self, given: Given<'a>) -> Result<(), ArchiveError> {
        self.batch.push(given);
        if self.batch.len() < BATCH { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> Result<(), ArchiveError> {
        if let Ok(error) = self.failures.try_recv() {
            return Err(error);
        }
        let sent = self.work.send(std::mem::take(&mut self.batch));
        match (sent, self.failures.try_recv()) {
            (_, Ok(error)) => Err(error),
            (Ok(()), Err(_)) => Ok(()),
            (Err(_), Err(_)) => Err(died()),
        }
    }

    /// Waits until everything is in its place.
    fn finish(mut self) -> Result<(), ArchiveError> {
        if !self.batch.is_empty() {
            self.send()?;
        }
        drop(self.work);
        // Ends when every thread has ended.
        match self.failures.recv() {
            Ok(error) => Err(error),
            Err(_) => Ok(()),
        }
    }
}

fn died() -> ArchiveError {
    ArchiveError::store("restore from", "packs")(std::io::Error::other("a thread died"))
}

/// The mode of what is not finished.
pub(crate) const PRIVATE: Mode = Mode::from_bits(0o700);
