//! Threads that read, hash and compress, and whose results come back in order.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{Scope, panicking},
};

use tmp_core::{Digest, module::Kind};
use tmp_disk::{At, Disk, Stat, Tree};

use crate::{
    ArchiveError, Entry, EntryPath,
    parents::Parents,
    reading::{Next, Reading, XATTRS, attributes},
    shelf::{Claims, Press, Pressed},
    short, threads,
    walk::same,
};

/// What a thread is to do.
enum Work {
    /// Read some entries, files of one piece at most among them; each with what it looked like.
    Look(Vec<(EntryPath, Option<Stat>)>),
    /// Press one piece of a long file.
    Press(Vec<u8>),
}

/// What came of it.
enum Done {
    Looked(Vec<Looked>, Pressed),
    Pressed(Digest, Pressed),
}

/// An entry that was looked at and read.
pub(crate) struct Looked {
    pub(crate) stat: Stat,
    pub(crate) entry: Entry,
}

type Results = (u64, Result<Done, ArchiveError>);

/// The threads of one capture.
pub(crate) struct Workers {
    work: Sender<(u64, Work)>,
    results: Receiver<Results>,
    arrived: HashMap<u64, Done>,
    next: u64,
}

/// Work that was given away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(u64);

impl Workers {
    /// Starts the threads; they end when this is dropped.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub(crate) fn start<'s, 'e>(
        scope: &'s Scope<'s, 'e>,
        tree: &'e Tree,
        claims: &'e Claims<'e>,
    ) -> Result<Self, ArchiveError> {
        let (work, todo) = channel();
        let (sender, results) = channel();
        let (todo, alarm) = (Arc::new(Mutex::new(todo)), Alarm(sender));
        threads::start_all(scope, move || run(&todo, &alarm, tree, claims))?;
        Ok(Self { work, results, arrived: HashMap::new(), next: 0 })
    }

    /// Gives entries away.
    pub(crate) fn look(&mut self, paths: Vec<(EntryPath, Option<Stat>)>) -> Ticket {
        self.give(Work::Look(paths))
    }

    /// Gives one piece away.
    pub(crate) fn press(&mut self, bytes: Vec<u8>) -> Ticket {
        self.give(Work::Press(bytes))
    }

    fn give(&mut self, work: Work) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        // Where nobody is left to do it, waiting for it says so.
        let _ = self.work.send((ticket, work));
        Ticket(ticket)
    }

    /// Waits for entries.
    pub(crate) fn looked(&mut self, ticket: Ticket) -> Result<(Vec<Looked>, Pressed), ArchiveError> {
        match self.wait(ticket)? {
            Done::Looked(looked, pressed) => Ok((looked, pressed)),
            Done::Pressed(..) => Err(died()),
        }
    }

    /// Waits for a piece.
    pub(crate) fn pressed(&mut self, ticket: Ticket) -> Result<(Digest, Pressed), ArchiveError> {
        match self.wait(ticket)? {
            Done::Pressed(digest, pressed) => Ok((digest, pressed)),
            Done::Looked(..) => Err(died()),
        }
    }

    fn wait(&mut self, Ticket(ticket): Ticket) -> Result<Done, ArchiveError> {
        loop {
            if let Some(done) = self.arrived.remove(&ticket) {
                return Ok(done);
            }
            let (ticket, done) = self.results.recv().map_err(|_| died())?;
            self.arrived.insert(ticket, done?);
        }
    }
}

fn died() -> ArchiveError {
    ArchiveError::store("read for", "packs")(io::Error::other("a thread died"))
}

/// Tells when its thread panics: its results would be waited for in vain.
#[derive(Clone)]
struct Alarm(Sender<Results>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if panicking() {
            let _ = self.0.send((u64::MAX, Err(died())));
        }
    }
}

fn run(todo: &Mutex<Receiver<(u64, Work)>>, Alarm(results): &Alarm, tree: &Tree, claims: &Claims<'_>) {
    let mut parents = Parents::new(tree);
    let mut press = Press::new(claims);
    loop {
        let next = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((ticket, work)) = next else { return };
        let done = match &mut press {
            Ok(press) => work_on(work, &**tree.disk(), &mut parents, press),
            Err(_) => Err(died()),
        };
        if results.send((ticket, done)).is_err() {
            return;
        }
    }
}

fn work_on(
    work: Work,
    disk: &dyn Disk,
    parents: &mut Parents<'_>,
    press: &mut Press<'_>,
) -> Result<Done, ArchiveError> {
    match work {
        Work::Press(bytes) => {
            let digest = press.alone(&bytes)?;
            Ok(Done::Pressed(digest, press.take()?))
        }
        Work::Look(paths) => {
            let looked = paths.into_iter().map(|(path, stat)| look(disk, &path, stat, parents, press));
            let looked = looked.collect::<Result<_, _>>()?;
            Ok(Done::Looked(looked, press.take()?))
        }
    }
}

/// Reads an entry that looked like this; once more where it changed since.
fn look(
    disk: &dyn Disk,
    path: &EntryPath,
    stat: Option<Stat>,
    parents: &mut Parents<'_>,
    press: &mut Press<'_>,
) -> Result<Looked, ArchiveError> {
    let gone = |path: &EntryPath| ArchiveError::Changed { path: path.clone() };
    let dir = match parents.of(path) {
        Err(ArchiveError::Disk(error)) if error.source.kind() == io::ErrorKind::NotFound => {
            return Err(gone(path));
        }
        dir => dir?,
    };
    let at = At::new(&dir, path.name());
    let stat = if let Some(stat) = stat {
        stat
    } else {
        let look = disk.stat(at).map_err(ArchiveError::disk("look at", path))?;
        look.ok_or_else(|| gone(path))?
    };
    match stat.kind {
        Kind::File => match short::read(disk, at, path, stat, press)? {
            Some(looked) => Ok(looked),
            None => file(disk, at, path.clone(), press),
        },
        Kind::Directory | Kind::Symlink => other(disk, at, path, stat),
        Kind::Special | Kind::Absent => Err(ArchiveError::Special { path: path.clone() }),
    }
}

/// Reads a file of any length.
fn file(disk: &dyn Disk, at: At<'_>, path: EntryPath, press: &mut Press<'_>) -> Result<Looked, ArchiveError> {
    let mut reading = Reading::open(disk, at, path)?;
    let mut digests = Vec::new();
    loop {
        match reading.next(disk, at)? {
            Next::Piece(None) => digests.push(None),
            Next::Piece(Some(bytes)) => digests.push(Some(press.alone(&bytes)?)),
            Next::Again => digests.clear(),
            Next::End(file) => {
                let (stat, entry) = file.entry(digests);
                return Ok(Looked { stat, entry: Entry::File(entry) });
            }
        }
    }
}

fn other(disk: &dyn Disk, at: At<'_>, path: &EntryPath, seen: Stat) -> Result<Looked, ArchiveError> {
    let changed = || ArchiveError::Changed { path: path.clone() };
    let look = || disk.stat(at).map_err(ArchiveError::disk("look at", path))?.ok_or_else(changed);
    let mut before = seen;
    for _ in 0..2 {
        let target = match before.kind {
            Kind::Symlink => Some(disk.read_link(at).map_err(ArchiveError::disk("read the link", path))?),
            Kind::Directory => None,
            Kind::File | Kind::Special | Kind::Absent => return Err(changed()),
        };
        let xattrs = disk.xattrs(at).map_err(ArchiveError::disk(XATTRS, path))?;
        let stat = look()?;
        if same(&before, &stat) {
            let attributes = attributes(&stat, xattrs);
            let entry = match target {
                Some(target) => Entry::Symlink { target, attributes },
                None => Entry::Directory { attributes },
            };
            return Ok(Looked { stat, entry });
        }
        before = stat;
    }
    Err(changed())
}
