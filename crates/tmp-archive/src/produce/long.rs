//! Long files and copies of databases: read here, piece by piece, and pressed by threads.

use std::collections::VecDeque;

use tmp_disk::{At, Stat};

use super::Producer;
use crate::{
    ArchiveError, ArchivedDatabase, DatabaseCopy, EntryPath, FileEntry,
    reading::{Next, Reading},
    stat_cache::key,
    workers::Ticket,
};

/// How many pieces of a long file may be under way.
const PIECES_UNDER_WAY: usize = 8;

/// A long file, or the copy of a database, of which some pieces were read.
pub(super) struct LongFile<'a> {
    pub(super) reading: Reading,
    purpose: Purpose<'a>,
    /// Pieces in order: holes, and those that the threads have.
    pieces: Vec<Option<tmp_core::Digest>>,
    pending: VecDeque<(usize, Ticket)>,
}

pub(super) enum Purpose<'a> {
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

impl<'a> LongFile<'a> {
    pub(super) fn new(reading: Reading, purpose: Purpose<'a>) -> Self {
        Self { reading, purpose, pieces: Vec::new(), pending: VecDeque::new() }
    }
}

impl Producer<'_> {
    /// Reads the next piece of a long file.
    pub(super) fn read_on(&mut self) -> Result<(), ArchiveError> {
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
            let (digest, pressed) = self.workers.pressed(ticket)?;
            self.shelf.put(pressed);
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
