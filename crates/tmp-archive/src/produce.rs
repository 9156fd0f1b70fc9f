//! Turns what was seen in a tree, and copies of databases, into the objects of a snapshot, in order.

use std::collections::{HashMap, HashSet, VecDeque};

use tmp_core::module::Kind;
use tmp_disk::{At, Disk, Stat, Tree};

use crate::{
    ArchiveError, ArchivedDatabase, DatabaseCopy, Entry, EntryPath, FileEntry, Manifest,
    capture::NewCache,
    earlier::Earlier,
    manifest_writer::{ManifestWriter, Run, begins_piece},
    object::{Object, PIECE},
    order::{Order, Step, name},
    parents::Parents,
    reading::{Next, Reading},
    shelf::{Press, Shelf},
    stat_cache::{KEY, Record, StatCache, StatCacheWriter, key},
    survey::{Seen, Survey, What},
    workers::{Looked, Ticket, Workers},
};

/// How many bytes of files may be under way in the threads.
const UNDER_WAY: u64 = 16 << 20;

/// What a thread is given at a time: so many entries, or so many bytes.
const BATCH: (usize, u64) = (64, 1 << 20);

/// How many pieces of a long file may be under way.
const PIECES_UNDER_WAY: usize = 8;

/// Where the objects of a snapshot come from.
pub(crate) struct Sources<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) survey: &'a Survey,
    pub(crate) databases: &'a [DatabaseCopy<'a>],
    /// The manifest, where it is known already; with the entries and bytes it comes to.
    pub(crate) manifest: Option<(Manifest, u64, u64)>,
    /// The cache with the manifest it goes with.
    pub(crate) cache: Option<(&'a StatCache, Earlier<'a>)>,
    /// The cache to write, if one is wanted.
    pub(crate) new_cache: Option<StatCacheWriter>,
}

/// Everything a snapshot's document says of its content, and the cache that goes with it.
pub(crate) struct Produced {
    pub(crate) manifest: Manifest,
    pub(crate) databases: Vec<ArchivedDatabase>,
    pub(crate) shelf: Shelf,
    pub(crate) cache: Option<NewCache>,
}

/// How the next entry comes into the snapshot.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// As its record says.
    Same(u64),
    /// As another name of its file that came before.
    Linked(u64),
    /// Read here, its pieces pressed by the threads.
    Long,
    /// Read by a thread.
    Short,
}

/// Finds out how entries come into the snapshot; asked twice in the same order it answers the same.
#[derive(Default)]
struct Ways {
    linked: HashSet<u64>,
}

impl Ways {
    fn of(&mut self, sources: (&Survey, Option<&StatCache>), seen: &Seen) -> Way {
        let (survey, cache) = sources;
        let record = match seen.what {
            What::Same(at) => cache.and_then(|cache| cache.record(at)),
            What::Other { .. } => None,
        };
        let linked = match (&seen.what, &record) {
            (What::Other { stat, .. }, _) => {
                (stat.kind == Kind::File && stat.links > 1).then_some(stat.identity.inode)
            }
            (_, Some(record)) => record.is_linked().then(|| record.inode()),
            _ => None,
        };
        if let Some(inode) = linked
            && !self.linked.insert(inode)
        {
            return Way::Linked(inode);
        }
        match (survey.same(seen), &seen.what) {
            (Some(at), _) => Way::Same(at),
            (None, What::Other { stat, .. }) if stat.kind == Kind::File && stat.size > PIECE as u64 => {
                Way::Long
            }
            _ => Way::Short,
        }
    }
}

/// Produces the objects of a snapshot that the store does not have yet.
pub(crate) struct Producer<'a> {
    sources: Sources<'a>,
    workers: Workers,
    press: Press<'a>,
    shelf: Shelf,
    order: Order<'a>,
    ways: Ways,
    feed: Feed<'a>,
    parents: Parents<'a>,
    looked: VecDeque<Looked>,
    writer: Option<ManifestWriter>,
    known: Option<Manifest>,
    /// Files of several names, by inode, with what they looked like.
    linked: HashMap<u64, ([u8; KEY], FileEntry)>,
    reading: Option<LongFile<'a>>,
    databases: std::slice::Iter<'a, DatabaseCopy<'a>>,
    archived: Vec<ArchivedDatabase>,
    finished: Option<(Manifest, Vec<Run>)>,
    progress: &'a mut dyn FnMut(u64, u64),
}

/// What the threads are given, ahead of what is taken in.
struct Feed<'a> {
    order: Order<'a>,
    ways: Ways,
    given: VecDeque<(Ticket, u64)>,
    bytes: u64,
}

/// A long file, or the copy of a database, of which some pieces were read.
struct LongFile<'a> {
    reading: Reading,
    purpose: Purpose<'a>,
    /// Pieces in order: holes, and those that the threads have.
    pieces: Vec<Option<tmp_core::Digest>>,
    pending: VecDeque<(usize, Ticket)>,
}

enum Purpose<'a> {
    Entry { dir: tmp_disk::Dir, path: EntryPath, depth: usize, name: Vec<u8> },
    Database(&'a DatabaseCopy<'a>),
}

impl Purpose<'_> {
    fn at(&self) -> At<'_> {
        match self {
            Self::Entry { dir, path, .. } => At::new(dir, path.name()),
            Self::Database(copy) => copy.at,
        }
    }
}

impl<'a> Producer<'a> {
    pub(crate) fn new(
        mut sources: Sources<'a>,
        workers: Workers,
        press: Press<'a>,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        let cache = sources.cache.as_ref().map(|(cache, _)| *cache);
        let mut shelf = Shelf::default();
        let known = sources.manifest.take().map(|(manifest, entries, bytes)| {
            (shelf.totals.entries, shelf.totals.bytes) = (entries, bytes);
            manifest
        });
        let order =
            if known.is_some() { Order::none(sources.survey) } else { Order::new(sources.survey, cache) };
        let feed = Feed { order: order.clone(), ways: Ways::default(), given: VecDeque::new(), bytes: 0 };
        Self {
            databases: sources.databases.iter(),
            parents: Parents::new(sources.tree),
            sources,
            workers,
            press,
            shelf,
            order,
            ways: Ways::default(),
            feed,
            looked: VecDeque::new(),
            writer: known.is_none().then(ManifestWriter::default),
            known,
            linked: HashMap::new(),
            reading: None,
            archived: Vec::new(),
            finished: None,
            progress,
        }
    }

    fn disk(&self) -> &'a dyn Disk {
        &**self.sources.tree.disk()
    }

    fn same_record(&self, seen: &Seen) -> Option<Record<'a>> {
        match (&seen.what, self.cache()) {
            (What::Same(at), Some(cache)) => cache.record(*at),
            _ => None,
        }
    }

    fn cache(&self) -> Option<&'a StatCache> {
        self.sources.cache.as_ref().map(|(cache, _)| *cache)
    }

    /// The next new object; `None` once there are no more and [`Producer::finish`] may be asked.
    pub(crate) fn next(&mut self) -> Result<Option<Object>, ArchiveError> {
        loop {
            if let Some(object) = self.shelf.pop() {
                return Ok(Some(object));
            }
            if self.finished.is_some() {
                return Ok(None);
            }
            self.step()?;
            let reading = self.reading.as_ref().map_or(0, |long| long.reading.bytes());
            (self.progress)(self.shelf.totals.entries, self.shelf.totals.bytes + reading);
        }
    }

    /// What was produced.
    pub(crate) fn finish(self) -> Option<Produced> {
        let (manifest, runs) = self.finished?;
        let cache = self.sources.new_cache.map(|cache| (cache, runs));
        Some(Produced { manifest, databases: self.archived, shelf: self.shelf, cache })
    }

    fn step(&mut self) -> Result<(), ArchiveError> {
        if self.reading.is_some() {
            return self.read_on();
        }
        let mut path = Vec::new();
        if let Some(step) = self.order.next(&mut path) {
            return match step {
                Step::Absent(root) => self.push(root, &Entry::Absent),
                Step::Seen(seen, depth) => {
                    let way = self.ways.of((self.sources.survey, self.cache()), seen);
                    self.entry(seen, way, depth, path)
                }
            };
        }
        if let Some(copy) = self.databases.next() {
            let reading = Reading::open(self.disk(), copy.at, database_path(copy)?)?;
            self.reading = Some(LongFile::new(reading, Purpose::Database(copy)));
        } else if let Some(writer) = self.writer.take() {
            self.finished = Some(writer.finish(&mut self.press, &mut self.shelf)?);
        } else if let Some(manifest) = self.known.take() {
            self.finished = Some((manifest, Vec::new()));
        }
        Ok(())
    }

    fn entry(&mut self, seen: &'a Seen, way: Way, depth: usize, path: Vec<u8>) -> Result<(), ArchiveError> {
        match way {
            Way::Same(at) => self.same(at, depth),
            Way::Linked(inode) => {
                let path = entry_path(path)?;
                let record = self.same_record(seen);
                let key = match (&seen.what, &record) {
                    (What::Other { stat, .. }, _) => Some(key(stat)),
                    (What::Same(_), record) => record.as_ref().and_then(Record::key),
                };
                let Some((first, file)) = self.linked.get(&inode).cloned() else {
                    return Err(ArchiveError::Changed { path });
                };
                if key != Some(first) {
                    return Err(ArchiveError::Changed { path });
                }
                match (&seen.what, record, &mut self.sources.new_cache) {
                    (What::Other { name, stat }, _, Some(new)) => {
                        new.push(depth, name, stat, begins_piece(path.as_bytes()));
                    }
                    (What::Same(_), Some(record), Some(new)) => new.keep(depth, &record),
                    _ => {}
                }
                self.push(&path, &Entry::File(file))
            }
            Way::Long => {
                let path = entry_path(path)?;
                let dir = self.parents.of(&path)?;
                let reading = Reading::open(self.disk(), At::new(&dir, path.name()), path.clone())?;
                let name = name(seen, self.cache()).to_vec();
                self.reading = Some(LongFile::new(reading, Purpose::Entry { dir, path, depth, name }));
                Ok(())
            }
            Way::Short => {
                let path = entry_path(path)?;
                let Looked { stat, entry, pieces } = self.next_looked()?;
                for piece in pieces {
                    self.shelf.put(piece);
                }
                self.remember(depth, name(seen, self.cache()), &stat, &path);
                match entry {
                    Entry::File(file) => self.file(&path, stat.identity.inode, key(&stat), file),
                    entry => self.push(&path, &entry),
                }
            }
        }
    }

    /// Takes in what is as it was: with its whole run of lines, where that is, else its line.
    fn same(&mut self, at: u64, depth: usize) -> Result<(), ArchiveError> {
        let (Some((cache, earlier)), Some(writer)) = (&mut self.sources.cache, &mut self.writer) else {
            return Ok(());
        };
        let cache = *cache;
        let lost = || ArchiveError::damaged("the stat cache", "a record is not where it was");
        let record = cache.record(at).ok_or_else(lost)?;
        if record.begins_piece() {
            writer.end_run(&mut self.press, &mut self.shelf)?;
        }
        if writer.is_between_runs()
            && let Some((run, pieces)) = earlier.run(record.line)
            && let Some((rest, order)) = same_run(self.sources.survey, cache, &self.order, &record, run)
        {
            writer.reuse(run, pieces);
            self.order = order;
            for (record, depth) in std::iter::once((record, depth)).chain(rest) {
                self.shelf.totals.entries += 1;
                self.shelf.totals.bytes += if record.is_file() { record.size } else { 0 };
                if let Some(new) = &mut self.sources.new_cache {
                    new.keep(depth, &record);
                }
            }
            return Ok(());
        }
        if record.is_linked() {
            let (path, entry) = earlier.entry(record.line)?;
            let Entry::File(file) = entry else { return Err(lost()) };
            if let Some(new) = &mut self.sources.new_cache {
                new.keep(depth, &record);
            }
            let key = record.key().ok_or_else(lost)?;
            return self.file(&path, record.inode(), key, file);
        }
        let line = earlier.line(record.line)?;
        writer.push_line(line, record.begins_piece(), &mut self.press, &mut self.shelf)?;
        if let Some(new) = &mut self.sources.new_cache {
            new.keep(depth, &record);
        }
        self.shelf.totals.entries += 1;
        self.shelf.totals.bytes += if record.is_file() { record.size } else { 0 };
        Ok(())
    }

    /// Takes in a file that was read, or whose line was.
    fn file(
        &mut self,
        path: &EntryPath,
        inode: u64,
        key: [u8; KEY],
        mut file: FileEntry,
    ) -> Result<(), ArchiveError> {
        self.shelf.totals.bytes += file.content.size;
        if file.links > 1 {
            file.link_group = Some(self.linked.len() as u64 + 1);
            self.linked.insert(inode, (key, file.clone()));
        }
        self.push(path, &Entry::File(file))
    }

    fn push(&mut self, path: &EntryPath, entry: &Entry) -> Result<(), ArchiveError> {
        self.shelf.totals.entries += 1;
        match &mut self.writer {
            Some(writer) => writer.push(path, entry, &mut self.press, &mut self.shelf),
            None => Ok(()),
        }
    }

    /// Notes for the next capture what was seen.
    fn remember(&mut self, depth: usize, name: &[u8], stat: &Stat, path: &EntryPath) {
        if let Some(new) = &mut self.sources.new_cache {
            new.push(depth, name, stat, begins_piece(path.as_bytes()));
        }
    }

    /// The next entry that a thread looked at; the threads are given more first.
    fn next_looked(&mut self) -> Result<Looked, ArchiveError> {
        while self.looked.is_empty() {
            self.feed()?;
            let Some((ticket, bytes)) = self.feed.given.pop_front() else {
                let lost = "its entries are not in the order in which they were looked at";
                return Err(ArchiveError::damaged("the new snapshot", lost));
            };
            self.feed.bytes -= bytes;
            self.looked.extend(self.workers.looked(ticket)?);
            self.feed()?;
        }
        let none = || ArchiveError::damaged("the new snapshot", "an entry was not looked at");
        self.looked.pop_front().ok_or_else(none)
    }

    /// Gives the threads entries until enough are under way.
    fn feed(&mut self) -> Result<(), ArchiveError> {
        let cache = self.sources.cache.as_ref().map(|(cache, _)| *cache);
        while self.feed.bytes < UNDER_WAY {
            let (mut paths, mut bytes) = (Vec::new(), 0);
            let mut path = Vec::new();
            while paths.len() < BATCH.0 && bytes < BATCH.1 {
                let Some(step) = self.feed.order.next(&mut path) else { break };
                let Step::Seen(seen, _) = step else { continue };
                if let Way::Short = self.feed.ways.of((self.sources.survey, cache), seen) {
                    // What an entry takes besides its bytes.
                    bytes += 4096;
                    if let What::Other { stat, .. } = &seen.what {
                        bytes += if stat.kind == Kind::File { stat.size } else { 0 };
                    }
                    paths.push(entry_path(path.clone())?);
                }
            }
            if paths.is_empty() {
                break;
            }
            self.feed.bytes += bytes;
            self.feed.given.push_back((self.workers.look(paths), bytes));
        }
        Ok(())
    }

    /// Reads the next piece of a long file.
    fn read_on(&mut self) -> Result<(), ArchiveError> {
        let disk = self.disk();
        let Some(mut long) = self.reading.take() else { return Ok(()) };
        match long.reading.next(disk, long.purpose.at())? {
            Next::Piece(None) => long.pieces.push(None),
            Next::Piece(Some(bytes)) => {
                long.pending.push_back((long.pieces.len(), self.workers.press(bytes)));
                long.pieces.push(None);
            }
            Next::Again => {
                self.settle(&mut long, 0)?;
                long.pieces.clear();
            }
            Next::End(file) => {
                self.settle(&mut long, 0)?;
                let (stat, file) = file.entry(long.pieces);
                return self.long(long.purpose, &stat, file);
            }
        }
        self.settle(&mut long, PIECES_UNDER_WAY)?;
        self.reading = Some(long);
        Ok(())
    }

    /// Takes in pieces until at most so many are under way.
    fn settle(&mut self, long: &mut LongFile<'_>, left: usize) -> Result<(), ArchiveError> {
        while long.pending.len() > left {
            let Some((at, ticket)) = long.pending.pop_front() else { break };
            let digest = self.shelf.put(self.workers.pressed(ticket)?);
            if let Some(piece) = long.pieces.get_mut(at) {
                *piece = Some(digest);
            }
        }
        Ok(())
    }

    fn long(&mut self, purpose: Purpose<'_>, stat: &Stat, file: FileEntry) -> Result<(), ArchiveError> {
        match purpose {
            Purpose::Entry { path, depth, name, .. } => {
                self.remember(depth, &name, stat, &path);
                self.file(&path, stat.identity.inode, key(stat), file)
            }
            Purpose::Database(copy) => {
                self.shelf.totals.bytes += file.content.size;
                self.archived.push(ArchivedDatabase {
                    name: copy.name.clone(),
                    engine: copy.engine,
                    content: file.content,
                    fingerprint: copy.fingerprint.clone(),
                });
                Ok(())
            }
        }
    }
}

impl<'a> LongFile<'a> {
    fn new(reading: Reading, purpose: Purpose<'a>) -> Self {
        Self { reading, purpose, pieces: Vec::new(), pending: VecDeque::new() }
    }
}

type RunOfRecords<'a> = (Vec<(Record<'a>, usize)>, Order<'a>);

/// The records that follow `first` in a run, where the survey has exactly the run's lines next and none is
/// a file of several names, whose number may be another now; and where the survey goes on.
fn same_run<'a>(
    survey: &'a Survey,
    cache: &'a StatCache,
    order: &Order<'a>,
    first: &Record<'_>,
    run: Run,
) -> Option<RunOfRecords<'a>> {
    let mut order = order.clone();
    let mut path = Vec::new();
    let mut rest = Vec::with_capacity(run.lines as usize);
    if first.is_linked() {
        return None;
    }
    for number in 1..run.lines {
        let Step::Seen(seen, depth) = order.next(&mut path)? else { return None };
        let record = cache.record(survey.same(seen)?)?;
        if record.line != first.line + number || record.is_linked() {
            return None;
        }
        rest.push((record, depth));
    }
    Some((rest, order))
}

fn entry_path(path: Vec<u8>) -> Result<EntryPath, ArchiveError> {
    EntryPath::from_bytes(path)
        .map_err(|error| ArchiveError::Name { path: EntryPath::root(), fault: error.to_string() })
}

/// What stands for a database's copy in messages: the name of its file.
fn database_path(copy: &DatabaseCopy<'_>) -> Result<EntryPath, ArchiveError> {
    let root = EntryPath::root();
    root.join(copy.at.name).map_err(|error| ArchiveError::Name { path: root, fault: error.to_string() })
}
