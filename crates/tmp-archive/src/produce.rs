//! Turns what was seen in a tree, and copies of databases, into the objects of a snapshot, in order.

mod feed;
mod long;
mod ways;

use std::collections::{HashMap, VecDeque};

use tmp_disk::{At, Disk, Stat, Tree};

use self::{
    feed::Feed,
    long::{LongFile, Purpose},
    ways::{Way, Ways},
};
use crate::{
    ArchiveError, ArchivedDatabase, DatabaseCopy, Entry, EntryPath, FileEntry, Manifest,
    block::Block,
    capture::NewCache,
    earlier::Earlier,
    manifest_writer::{ManifestWriter, Run, begins_piece},
    order::{Order, Step, name},
    parents::Parents,
    reading::Reading,
    shelf::{Press, Shelf},
    stat_cache::{KEY, Record, StatCache, StatCacheWriter, key},
    survey::{Seen, Survey, What},
    workers::{Looked, Workers},
};

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

    /// The next block of new objects; `None` once there are no more and [`Producer::finish`] may be asked.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, ArchiveError> {
        loop {
            if let Some(block) = self.shelf.pop() {
                return Ok(Some(block));
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
                let Looked { stat, entry } = self.next_looked()?;
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
