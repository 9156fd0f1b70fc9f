//! What the last archive of a tree saw of each entry, so that the next one reads only what changed since.
//! Format: `docs/format/stat-cache.md`.
//!
//! The file is disposable: one that is missing, damaged or of another version only means that everything is
//! read. So nothing here is an error.

use std::io;

use tmp_core::{
    Mode,
    module::{Kind, Timestamp},
};
use tmp_disk::{At, Disk, Rename, Stat, read_whole, write_all_at, write_new};

use crate::{Manifest, SnapshotId, manifest_writer::Run};

const MAGIC: &[u8; 8] = b"TMPSTAT\n";
const VERSION: u32 = 1;

/// The length of the header in bytes.
const HEADER: usize = 48;

/// The length of a record without its name, in bytes.
const RECORD: usize = 54;

/// The longest cache that is read, in bytes.
const LONGEST: u64 = 16 << 30;

/// It has to be read again, whatever it looks like.
const RACY: u8 = 1 << 4;
/// It had several names.
const LINKED: u8 = 1 << 5;
/// Its line begins a piece of the manifest.
const BEGINS: u8 = 1 << 6;

/// A cache that was read and is sound.
#[derive(Debug)]
pub(crate) struct StatCache {
    /// The snapshot it was written with.
    pub(crate) snapshot: SnapshotId,
    /// The whole file.
    file: Vec<u8>,
    /// Where its folders begin.
    begin: usize,
    runs: Vec<Run>,
    top: u64,
}

/// What is remembered of one entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// Its line in the manifest, from 0.
    pub(crate) line: u32,
    /// What a directory held, if anything.
    pub(crate) folder: Option<u64>,
    pub(crate) size: u64,
    pub(crate) name: &'a [u8],
    flags: u8,
    key: &'a [u8],
    whole: &'a [u8],
}

impl Record<'_> {
    /// Whether what stands there now is surely what was archived.
    pub(crate) fn is(&self, stat: &Stat) -> bool {
        self.flags & RACY == 0 && self.flags & 0xf == kind(stat.kind) && self.key == key(stat)
    }

    /// Whether an entry that looks like it is what was archived.
    pub(crate) fn is_trusted(&self) -> bool {
        self.flags & RACY == 0
    }

    /// What it looked like.
    pub(crate) fn key(&self) -> Option<[u8; KEY]> {
        self.key.first_chunk().copied()
    }

    /// Which inode it was.
    pub(crate) fn inode(&self) -> u64 {
        self.key.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.flags & LINKED != 0
    }

    pub(crate) fn is_file(&self) -> bool {
        self.flags & 0xf == kind(Kind::File)
    }

    pub(crate) fn begins_piece(&self) -> bool {
        self.flags & BEGINS != 0
    }
}

fn kind(kind: Kind) -> u8 {
    match kind {
        Kind::File => 1,
        Kind::Directory => 2,
        Kind::Symlink => 3,
        Kind::Absent | Kind::Special => 0,
    }
}

/// The length of what must be equal, in bytes.
pub(crate) const KEY: usize = 40;

/// Everything that changes with every change of an entry.
pub(crate) fn key(stat: &Stat) -> [u8; KEY] {
    let mut key = [0; KEY];
    let time = |time: Timestamp| time.seconds.to_le_bytes().into_iter().chain(time.nanoseconds.to_le_bytes());
    let fields = stat.size.to_le_bytes().into_iter().chain(time(stat.mtime)).chain(time(stat.ctime));
    for (to, from) in key.iter_mut().zip(fields.chain(stat.identity.inode.to_le_bytes())) {
        *to = from;
    }
    key
}

impl StatCache {
    /// Reads the cache at a place; `None` where there is none that can be used.
    pub(crate) fn read(disk: &dyn Disk, at: At<'_>) -> Option<Self> {
        let bytes = read_whole(disk, at, LONGEST).ok()?;
        let (header, body) = bytes.split_first_chunk::<HEADER>()?;
        let (fields, sum) = header.split_last_chunk::<4>()?;
        let number = |at: usize| Some(u64::from_le_bytes(*header.get(at..)?.first_chunk()?));
        let sound = fields.starts_with(MAGIC)
            && header.get(8..12)? == VERSION.to_le_bytes()
            && crc32c::crc32c(fields) == u32::from_le_bytes(*sum)
            && crc32c::crc32c(body) == u32::from_le_bytes(*header.get(40..)?.first_chunk()?)
            && number(32)? == body.len() as u64;
        if !sound {
            return None;
        }
        let snapshot = SnapshotId::from_bits(u128::from_le_bytes(*header.get(16..)?.first_chunk()?));
        let mut cursor = Cursor(body);
        let top = cursor.u64()?;
        let runs = (0..cursor.u32()?)
            .map(|_| Some(Run { pieces: cursor.u32()?, lines: cursor.u32()? }))
            .collect::<Option<Vec<_>>>()?;
        let begin = bytes.len() - cursor.0.len();
        Some(Self { snapshot, runs, top, file: bytes, begin })
    }

    /// What stands at a place, and everything after it.
    fn at(&self, place: u64) -> Option<&[u8]> {
        self.file.get(self.begin.checked_add(usize::try_from(place).ok()?)?..)
    }

    /// Whether it can be of this manifest.
    pub(crate) fn fits(&self, manifest: &Manifest) -> bool {
        let pieces: u64 = self.runs.iter().map(|run| u64::from(run.pieces)).sum();
        pieces == manifest.pieces.len() as u64
    }

    /// How many entries it remembers.
    pub(crate) fn lines(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.lines)).sum()
    }

    /// The runs of the manifest of the snapshot it was written with.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The record of the root.
    pub(crate) fn root(&self) -> Option<(u64, Record<'_>)> {
        self.folder(self.top).next()
    }

    /// Goes through all records in the order of the manifest, each with its path.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&[u8], &Record<'_>)) {
        let mut open = vec![(self.folder(self.top), 0)];
        let mut path = Vec::new();
        while let Some((records, above)) = open.last_mut() {
            path.truncate(*above);
            let Some((_, record)) = records.next() else {
                open.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(record.name);
            visit(&path, &record);
            if let Some(folder) = record.folder {
                open.push((self.folder(folder), path.len()));
            }
        }
    }

    /// The record at a place.
    pub(crate) fn record(&self, at: u64) -> Option<Record<'_>> {
        let bytes = self.at(at)?;
        let name = bytes.get(RECORD..)?.get(..usize::from(*bytes.get(RECORD - 1)?))?;
        let mut cursor = Cursor(bytes);
        let (line, folder) = (cursor.u32()?, cursor.u64()?);
        Some(Record {
            line,
            folder: folder.checked_sub(1),
            size: cursor.u64()?,
            name,
            flags: *bytes.get(RECORD - 2)?,
            key: bytes.get(12..RECORD - 2)?,
            whole: bytes.get(..RECORD + name.len())?,
        })
    }

    /// What a directory held, by name, each with its place.
    pub(crate) fn folder(&self, at: u64) -> Records<'_> {
        let left = Cursor(self.at(at).unwrap_or_default()).u32().unwrap_or_default();
        Records { cache: self, left, at: at.saturating_add(4) }
    }
}

/// Goes through the records of a folder.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    cache: &'a StatCache,
    left: u32,
    at: u64,
}

impl<'a> Iterator for Records<'a> {
    type Item = (u64, Record<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let record = self.cache.record(self.at)?;
        let at = self.at;
        self.at += record.whole.len() as u64;
        Some((at, record))
    }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// Makes the cache of a new snapshot, in the order of its manifest.
#[derive(Debug)]
pub(crate) struct StatCacheWriter {
    /// What was there before this instant of the tree's own clock changes its times when it changes again.
    stamp: Timestamp,
    finished: Vec<u8>,
    open: Vec<Block>,
    lines: u32,
}

/// The records of a directory that is being gone through.
#[derive(Debug, Default)]
struct Block {
    records: Vec<u8>,
    count: u32,
    /// Where the last record begins.
    last: usize,
}

impl StatCacheWriter {
    pub(crate) fn new(stamp: Timestamp) -> Self {
        Self { stamp, finished: Vec::new(), open: vec![Block::default()], lines: 0 }
    }

    /// Adds an entry that was looked at. One that stands `depth` directories below the root closes those
    /// below it.
    pub(crate) fn push(&mut self, depth: usize, name: &[u8], stat: &Stat, begins: bool) {
        let racy = stat.mtime >= self.stamp || stat.ctime >= self.stamp;
        let flags = kind(stat.kind)
            | if racy { RACY } else { 0 }
            | if stat.links > 1 && stat.kind == Kind::File { LINKED } else { 0 }
            | if begins { BEGINS } else { 0 };
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let tail = [&key(stat)[..], &[flags, length], name].concat();
        self.add(depth, &tail, stat.kind == Kind::Directory);
    }

    /// Adds an entry that is as a record says.
    pub(crate) fn keep(&mut self, depth: usize, record: &Record<'_>) {
        let tail = record.whole.get(12..).unwrap_or_default();
        self.add(depth, tail, record.flags & 0xf == kind(Kind::Directory));
    }

    fn add(&mut self, depth: usize, tail: &[u8], directory: bool) {
        while self.open.len() > depth + 1 {
            self.close();
        }
        let line = self.lines;
        self.lines += 1;
        if let Some(block) = self.open.last_mut() {
            block.count += 1;
            block.last = block.records.len();
            block.records.extend_from_slice(&line.to_le_bytes());
            block.records.extend_from_slice(&0_u64.to_le_bytes());
            block.records.extend_from_slice(tail);
        }
        if directory {
            self.open.push(Block::default());
        }
    }

    /// Ends the innermost directory and notes its place in the record of it.
    fn close(&mut self) {
        let Some(block) = self.open.pop() else { return };
        let place = self.finished.len() as u64;
        self.finished.extend_from_slice(&block.count.to_le_bytes());
        self.finished.extend_from_slice(&block.records);
        if let Some(above) = self.open.last_mut()
            && let Some(field) = above.records.get_mut(above.last + 4..above.last + 12)
        {
            field.copy_from_slice(&(place + 1).to_le_bytes());
        }
    }

    /// Puts the cache at a place, whole or not at all; it is not made durable.
    pub(crate) fn write(
        mut self,
        disk: &dyn Disk,
        at: At<'_>,
        snapshot: SnapshotId,
        runs: &[Run],
    ) -> io::Result<()> {
        while self.open.len() > 1 {
            self.close();
        }
        let top = self.finished.len() as u64;
        self.close();
        let mut body = top.to_le_bytes().to_vec();
        let count = u32::try_from(runs.len()).map_err(io::Error::other)?;
        body.extend_from_slice(&count.to_le_bytes());
        body.extend(runs.iter().flat_map(|run| [run.pieces, run.lines]).flat_map(u32::to_le_bytes));
        body.append(&mut self.finished);
        let header = header(snapshot, body.len() as u64, crc32c::crc32c(&body));
        let mut beside = at.name.to_owned();
        beside.push(".new");
        let beside = At::new(at.dir, &beside);
        // What a killed process left.
        let _ = disk.remove_file(beside);
        let bytes = [&header[..], &body].concat();
        let written = write_new(disk, beside, Mode::from_bits(0o600), &mut &*bytes);
        drop(written.map_err(|error| error.source)?);
        disk.rename(beside, at, Rename::Replace)
    }
}

/// Says of the cache at a place that it fits another snapshot with the same manifest.
pub(crate) fn adopt(disk: &dyn Disk, at: At<'_>, snapshot: SnapshotId) -> io::Result<()> {
    let file = disk.open_file_to_write(at)?;
    let mut old = [0; HEADER];
    if disk.read_at(&file, 0, &mut old)? < HEADER {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut cursor = Cursor(old.get(32..).unwrap_or_default());
    let (Some(length), Some(sum)) = (cursor.u64(), cursor.u32()) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    write_all_at(disk, &file, 0, &header(snapshot, length, sum))
}

fn header(snapshot: SnapshotId, length: u64, sum: u32) -> [u8; HEADER] {
    let fields = [
        &MAGIC[..],
        &VERSION.to_le_bytes(),
        &[0; 4],
        &snapshot.bits().to_le_bytes(),
        &length.to_le_bytes(),
        &sum.to_le_bytes(),
    ]
    .concat();
    let mut header = [0; HEADER];
    let own = crc32c::crc32c(&fields).to_le_bytes();
    for (to, from) in header.iter_mut().zip(fields.into_iter().chain(own)) {
        *to = from;
    }
    header
}
