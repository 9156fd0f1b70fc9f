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

use tmp_core::module::Kind;
use tmp_disk::{At, Disk, Stat, Tree};

use crate::{
    ArchiveError, Entry, EntryPath,
    index::Index,
    parents::Parents,
    reading::{Next, Reading, XATTRS, attributes},
    shelf::{Piece, Press},
    survey,
    walk::same,
};

/// What a thread is to do.
enum Work {
    /// Look at some entries, files of one piece at most among them.
    Look(Vec<EntryPath>),
    /// Press one piece of a long file.
    Press(Vec<u8>),
}

/// What came of it.
enum Done {
    Looked(Vec<Looked>),
    Pressed(Piece),
}

/// An entry that was looked at and read.
pub(crate) struct Looked {
    pub(crate) stat: Stat,
    pub(crate) entry: Entry,
    pub(crate) pieces: Vec<Piece>,
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
    pub(crate) fn start<'s, 'e>(scope: &'s Scope<'s, 'e>, tree: &'e Tree, known: &'e Index) -> Self {
        let (work, todo) = channel();
        let (sender, results) = channel();
        let todo = Arc::new(Mutex::new(todo));
        for _ in 0..survey::workers() {
            let (todo, alarm) = (Arc::clone(&todo), Alarm(sender.clone()));
            scope.spawn(move || run(&todo, &alarm, tree, known));
        }
        Self { work, results, arrived: HashMap::new(), next: 0 }
    }

    /// Gives entries away.
    pub(crate) fn look(&mut self, paths: Vec<EntryPath>) -> Ticket {
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
    pub(crate) fn looked(&mut self, ticket: Ticket) -> Result<Vec<Looked>, ArchiveError> {
        match self.wait(ticket)? {
            Done::Looked(looked) => Ok(looked),
            Done::Pressed(_) => Err(died()),
        }
    }

    /// Waits for a piece.
    pub(crate) fn pressed(&mut self, ticket: Ticket) -> Result<Piece, ArchiveError> {
        match self.wait(ticket)? {
            Done::Pressed(piece) => Ok(piece),
            Done::Looked(_) => Err(died()),
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
struct Alarm(Sender<Results>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if panicking() {
            let _ = self.0.send((u64::MAX, Err(died())));
        }
    }
}

fn run(todo: &Mutex<Receiver<(u64, Work)>>, Alarm(results): &Alarm, tree: &Tree, known: &Index) {
    let mut parents = Parents::new(tree);
    let mut press = Press::new(known);
    loop {
        let next = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((ticket, work)) = next else { return };
        let done = match (&mut press, work) {
            (Ok(press), Work::Press(bytes)) => press.piece(&bytes).map(Done::Pressed),
            (Ok(press), Work::Look(paths)) => {
                let disk = &**tree.disk();
                let looked = paths.iter().map(|path| look(disk, path, &mut parents, press));
                looked.collect::<Result<_, _>>().map(Done::Looked)
            }
            (Err(_), _) => Err(died()),
        };
        if results.send((ticket, done)).is_err() {
            return;
        }
    }
}

/// Looks at an entry and reads it; once more where it changed meanwhile.
fn look(
    disk: &dyn Disk,
    path: &EntryPath,
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
    let stat = disk.stat(at).map_err(ArchiveError::disk("look at", path))?;
    match stat.ok_or_else(|| gone(path))?.kind {
        Kind::File => file(disk, at, path.clone(), press),
        Kind::Directory | Kind::Symlink => other(disk, at, path),
        Kind::Special | Kind::Absent => Err(ArchiveError::Special { path: path.clone() }),
    }
}

fn file(disk: &dyn Disk, at: At<'_>, path: EntryPath, press: &mut Press<'_>) -> Result<Looked, ArchiveError> {
    let mut reading = Reading::open(disk, at, path)?;
    let (mut pieces, mut digests) = (Vec::new(), Vec::new());
    loop {
        match reading.next(disk, at)? {
            Next::Piece(None) => digests.push(None),
            Next::Piece(Some(bytes)) => {
                let piece = press.piece(&bytes)?;
                digests.push(Some(piece.digest));
                pieces.push(piece);
            }
            Next::Again => digests.clear(),
            Next::End(file) => {
                let (stat, entry) = file.entry(digests);
                return Ok(Looked { stat, entry: Entry::File(entry), pieces });
            }
        }
    }
}

fn other(disk: &dyn Disk, at: At<'_>, path: &EntryPath) -> Result<Looked, ArchiveError> {
    let changed = || ArchiveError::Changed { path: path.clone() };
    let look = || disk.stat(at).map_err(ArchiveError::disk("look at", path))?.ok_or_else(changed);
    for _ in 0..2 {
        let before = look()?;
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
            return Ok(Looked { stat, entry, pieces: Vec::new() });
        }
    }
    Err(changed())
}
