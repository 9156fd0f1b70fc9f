//! Pieces on their way into packs: what is new is compressed, once.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::Arc,
};

use tmp_core::Digest;

use crate::{
    ArchiveError, Totals,
    index::Index,
    object::{Encoder, HEADER, Object},
};

/// One piece that was looked at.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) digest: Digest,
    stored: Stored,
}

#[derive(Debug)]
enum Stored {
    /// In this pack already.
    In(Arc<str>),
    /// Not yet.
    New(Object),
}

/// Makes pieces of bytes. Each thread has its own.
pub(crate) struct Press<'a> {
    known: &'a Index,
    encoder: Encoder,
}

impl<'a> Press<'a> {
    pub(crate) fn new(known: &'a Index) -> Result<Self, ArchiveError> {
        let encoder = Encoder::new().map_err(ArchiveError::store("compress for", "packs"))?;
        Ok(Self { known, encoder })
    }

    /// The piece that at most [`PIECE`](crate::PIECE) bytes make up.
    pub(crate) fn piece(&mut self, raw: &[u8]) -> Result<Piece, ArchiveError> {
        let digest = Digest::of(raw);
        let stored = match self.known.get(&digest) {
            Some(location) => Stored::In(location.pack),
            None => Stored::New(
                self.encoder.encode(digest, raw).map_err(ArchiveError::store("compress", "an object"))?,
            ),
        };
        Ok(Piece { digest, stored })
    }
}

/// Takes in pieces in the order of the snapshot and keeps those that are new until they are written. Which
/// objects those are, and in which order, does not depend on the threads that made them.
#[derive(Default)]
pub(crate) struct Shelf {
    new: HashSet<Digest>,
    /// Packs that were there before and hold pieces.
    pub(crate) used: BTreeSet<Arc<str>>,
    ready: VecDeque<Object>,
    pub(crate) totals: Totals,
}

impl Shelf {
    /// Takes in one piece and answers its digest.
    pub(crate) fn put(&mut self, piece: Piece) -> Digest {
        let digest = piece.digest;
        match piece.stored {
            Stored::In(pack) => {
                if !self.used.contains(&pack) {
                    self.used.insert(pack);
                }
            }
            Stored::New(object) => {
                if self.new.insert(digest) {
                    self.totals.new_objects += 1;
                    self.totals.new_bytes += (HEADER + object.stored.len()) as u64;
                    self.ready.push_back(object);
                }
            }
        }
        digest
    }

    /// Takes in what a press makes of some bytes.
    pub(crate) fn press(&mut self, press: &mut Press<'_>, raw: &[u8]) -> Result<Digest, ArchiveError> {
        press.piece(raw).map(|piece| self.put(piece))
    }

    /// The next new object that waits.
    pub(crate) fn pop(&mut self) -> Option<Object> {
        self.ready.pop_front()
    }
}
