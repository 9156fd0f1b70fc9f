//! Looking at everything below some paths, with all processors, without reading it.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, ScopedJoinHandle},
};

use tmp_core::{module::Kind, path::RESERVED};
use tmp_disk::{At, Dir, Disk, Stat, Tree};

use crate::{
    ArchiveError, EntryPath,
    ignored::Ignored,
    stat_cache::StatCache,
    threads::{start, workers},
    walk::{locate, same},
};

/// What stands below some paths.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Each root, in order; `None` where nothing stands.
    pub(crate) roots: Vec<(EntryPath, Option<Seen>)>,
    folders: Vec<Folder>,
}

/// What a survey comes to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) entries: u64,
    pub(crate) changed: u64,
    pub(crate) bytes: u64,
}

/// What a directory holds.
#[derive(Debug, Default)]
struct Folder {
    /// By name.
    seen: Vec<Seen>,
    /// Whether the directory changed after it was looked at and before it was listed.
    moved: bool,
}

/// One entry that was looked at.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) what: What,
    /// Where it is in the survey, for a directory.
    folder: u32,
}

/// What is known of an entry.
#[derive(Debug)]
pub(crate) enum What {
    /// It is as the record at this place of the cache says.
    Same(u64),
    /// It is new or may have changed.
    Other {
        /// Its name.
        name: Box<[u8]>,
        /// What it looked like.
        stat: Box<Stat>,
    },
}

/// A directory to be gone through.
struct Job {
    parent: Dir,
    name: OsString,
    path: EntryPath,
    stat: Stat,
    folder: u32,
    cached: Option<u64>,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    busy: usize,
    failed: bool,
}

struct Surveyor<'a> {
    disk: &'a dyn Disk,
    ignored: &'a Ignored,
    cache: Option<&'a StatCache>,
    queue: Mutex<Queue>,
    wake: Condvar,
    folders: AtomicU32,
    /// Threads that wait for work.
    waiting: AtomicU32,
}

impl Survey {
    /// Looks at everything below `roots`.
    pub(crate) fn new(
        tree: &Tree,
        roots: &[EntryPath],
        ignored: &Ignored,
        cache: Option<&StatCache>,
    ) -> Result<Self, ArchiveError> {
        let surveyor = Surveyor {
            disk: &**tree.disk(),
            ignored,
            cache,
            queue: Mutex::default(),
            wake: Condvar::new(),
            folders: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
        };
        let mut tops = Vec::with_capacity(roots.len());
        for path in roots {
            tops.push((path.clone(), surveyor.root(tree, path)?));
        }
        let found = thread::scope(|scope| {
            // This thread works too, alone where the machine gives no other.
            let others = (1..workers()).map_while(|_| start(scope, || surveyor.work()).ok());
            let others: Vec<_> = others.collect();
            let own = surveyor.work();
            let found = others.into_iter().map(ScopedJoinHandle::join);
            found.chain([Ok(own)]).collect::<Vec<_>>()
        });
        let count = surveyor.folders.load(Ordering::SeqCst) as usize;
        let mut folders: Vec<Folder> = (0..count).map(|_| Folder::default()).collect();
        for worker in found {
            let died = || ArchiveError::store("look at", "the tree")(std::io::Error::other("a thread died"));
            for (folder, seen) in worker.map_err(|_| died())?? {
                if let Some(place) = folders.get_mut(folder as usize) {
                    *place = seen;
                }
            }
        }
        Ok(Self { roots: tops, folders })
    }

    /// How many entries there are, and how many of them have to be read, with the bytes of their files.
    pub(crate) fn counts(&self) -> Counts {
        let tops = self.roots.iter().filter_map(|(_, seen)| seen.as_ref());
        let mut counts = Counts::default();
        for seen in tops.chain(self.folders.iter().flat_map(|folder| &folder.seen)) {
            counts.entries += 1;
            if self.same(seen).is_none() {
                counts.changed += 1;
            }
            if let What::Other { stat, .. } = &seen.what {
                counts.bytes += if stat.kind == Kind::File { stat.size } else { 0 };
            }
        }
        counts
    }

    /// What a directory holds, by name.
    pub(crate) fn folder(&self, seen: &Seen) -> &[Seen] {
        self.folders.get(seen.folder as usize).map_or(&[], |folder| folder.seen.as_slice())
    }

    /// The place in the cache of what an entry is like still; `None` for one that is to be read.
    pub(crate) fn same(&self, seen: &Seen) -> Option<u64> {
        match seen.what {
            What::Same(at) => {
                let moved = self.folders.get(seen.folder as usize).is_some_and(|folder| folder.moved);
                (!moved).then_some(at)
            }
            What::Other { .. } => None,
        }
    }
}

/// That an entry is no directory.
const NONE: u32 = u32::MAX;

impl Surveyor<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn root(&self, tree: &Tree, path: &EntryPath) -> Result<Option<Seen>, ArchiveError> {
        let Some((dir, name)) = locate(tree, path)? else { return Ok(None) };
        let look = self.disk.stat(At::new(&dir, &name)).map_err(ArchiveError::disk("look at", path))?;
        let Some(stat) = look else { return Ok(None) };
        let cached = self.cache.filter(|_| *path == EntryPath::root()).and_then(StatCache::root);
        let mut jobs = Vec::new();
        let seen = self.seen(&dir, name, path, stat, cached, &mut jobs);
        self.queue().jobs.append(&mut jobs);
        Ok(Some(seen))
    }

    /// Takes directories until there are none and nobody finds more. What a thread finds it goes through
    /// itself, deepest first, but for what it gives to those that wait.
    fn work(&self) -> Result<Vec<(u32, Folder)>, ArchiveError> {
        let mut done = Vec::new();
        let mut own = Vec::new();
        while let Some(job) = own.pop().or_else(|| self.next()) {
            let folder = self.enter(&job, &mut own).inspect_err(|_| self.fail())?;
            done.push((job.folder, folder));
            if own.is_empty() {
                self.rest();
            } else if self.waiting.load(Ordering::Relaxed) > 0 && own.len() > 1 {
                // The first are the highest: the most lies below them.
                let given = own.len() / 2;
                self.queue().jobs.extend(own.drain(..given));
                self.wake.notify_all();
            }
        }
        Ok(done)
    }

    fn fail(&self) {
        self.queue().failed = true;
        self.wake.notify_all();
    }

    /// Says that this thread has nothing more of its own.
    fn rest(&self) {
        let mut queue = self.queue();
        queue.busy -= 1;
        let over = queue.busy == 0 && queue.jobs.is_empty();
        drop(queue);
        if over {
            self.wake.notify_all();
        }
    }

    /// The next directory that somebody gave away; this thread is busy from then on.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if queue.failed {
                return None;
            }
            if let Some(job) = queue.jobs.pop() {
                queue.busy += 1;
                return Some(job);
            }
            if queue.busy == 0 {
                return None;
            }
            self.waiting.fetch_add(1, Ordering::Relaxed);
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Lists a directory, once more where it changed meanwhile, and looks at what it holds.
    fn enter(&self, job: &Job, jobs: &mut Vec<Job>) -> Result<Folder, ArchiveError> {
        let (path, at) = (&job.path, At::new(&job.parent, &job.name));
        let mut before = job.stat;
        for moved in [false, true] {
            let dir = self.disk.open_dir(at.dir, at.name).map_err(ArchiveError::disk("enter", path))?;
            let mut names = self.disk.list(&dir).map_err(ArchiveError::disk("list", path))?;
            let after = self.disk.stat(at).map_err(ArchiveError::disk("look at", path))?;
            let after = after.ok_or_else(|| ArchiveError::Changed { path: path.clone() })?;
            if same(&before, &after) {
                names.sort_unstable();
                let seen = self.look(job, &dir, names, jobs)?;
                return Ok(Folder { seen, moved });
            }
            before = after;
        }
        Err(ArchiveError::Changed { path: path.clone() })
    }

    fn look(
        &self,
        job: &Job,
        dir: &Dir,
        names: Vec<OsString>,
        jobs: &mut Vec<Job>,
    ) -> Result<Vec<Seen>, ArchiveError> {
        let is_root = job.path == EntryPath::root();
        let mut cached = self.cache.zip(job.cached).map(|(cache, at)| cache.folder(at).peekable());
        let mut path = job.path.as_bytes().to_vec();
        if !is_root {
            path.push(b'/');
        }
        let above = path.len();
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            if is_root && name.as_bytes().eq_ignore_ascii_case(RESERVED.as_bytes()) {
                continue;
            }
            path.truncate(above);
            path.extend_from_slice(name.as_bytes());
            if self.ignored.has(&path) {
                continue;
            }
            let fault = |fault: String| ArchiveError::Name { path: job.path.clone(), fault };
            let stat = self.disk.stat(At::new(dir, &name)).map_err(|error| {
                ArchiveError::disk("look at", &job.path.join(&name).unwrap_or_else(|_| job.path.clone()))(
                    error,
                )
            })?;
            let stat = stat.ok_or_else(|| ArchiveError::Changed { path: job.path.clone() })?;
            let record = cached.as_mut().and_then(|records| {
                while records.next_if(|(_, record)| record.name < name.as_bytes()).is_some() {}
                records.next_if(|(_, record)| record.name == name.as_bytes())
            });
            let path = if stat.kind == Kind::Directory {
                EntryPath::from_bytes(path.as_slice()).map_err(|error| fault(error.to_string()))?
            } else {
                EntryPath::root()
            };
            found.push(self.seen(dir, name, &path, stat, record, jobs));
        }
        Ok(found)
    }

    /// What was seen of an entry; a directory becomes a job.
    fn seen(
        &self,
        dir: &Dir,
        name: OsString,
        path: &EntryPath,
        stat: Stat,
        record: Option<(u64, crate::stat_cache::Record<'_>)>,
        jobs: &mut Vec<Job>,
    ) -> Seen {
        let what = match &record {
            Some((at, record)) if record.is(&stat) => What::Same(*at),
            _ => What::Other { name: OsStr::new(&name).as_bytes().into(), stat: Box::new(stat) },
        };
        if stat.kind != Kind::Directory {
            return Seen { what, folder: NONE };
        }
        let folder = self.folders.fetch_add(1, Ordering::SeqCst);
        let cached = record.and_then(|(_, record)| record.folder);
        jobs.push(Job { parent: dir.clone(), name, path: path.clone(), stat, folder, cached });
        Seen { what, folder }
    }
}
