//! Pieces on their way into packs: what is new is compressed, once, several short ones together.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tmp_core::Digest;

use crate::{
    ArchiveError, Totals,
    block::{BLOCK, Block, Encoder, PIECE},
    index::Index,
};

/// What a store has, and what somebody is about to store.
#[derive(Debug)]
pub(crate) struct Claims<'a> {
    known: &'a Index,
    claimed: Mutex<HashSet<Digest>>,
}

impl<'a> Claims<'a> {
    pub(crate) fn new(known: &'a Index) -> Self {
        Self { known, claimed: Mutex::default() }
    }

    /// Whether whoever asks has to store an object: the first who asks of each that is not there.
    fn claim(&self, digest: Digest) -> bool {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(digest)
    }
}

/// What pressing some pieces came to.
#[derive(Debug, Default)]
pub(crate) struct Pressed {
    /// Blocks of those that are new.
    blocks: Vec<Block>,
    /// Packs that have others already.
    used: BTreeSet<Arc<str>>,
}

/// Makes blocks of pieces. Each thread has its own.
pub(crate) struct Press<'a> {
    claims: &'a Claims<'a>,
    encoder: Encoder,
    /// Room for raw bytes; the first `filled` are those of `objects`.
    room: Vec<u8>,
    filled: usize,
    objects: Vec<(Digest, u32)>,
    pressed: Pressed,
}

impl<'a> Press<'a> {
    pub(crate) fn new(claims: &'a Claims<'a>) -> Result<Self, ArchiveError> {
        Ok(Self {
            claims,
            encoder: Encoder::new().map_err(ArchiveError::store("compress for", "packs"))?,
            room: Vec::new(),
            filled: 0,
            objects: Vec::new(),
            pressed: Pressed::default(),
        })
    }

    /// Room for the bytes of one piece, of at most [`PIECE`]. What it holds is not kept before
    /// [`Press::keep`].
    pub(crate) fn room(&mut self, length: usize) -> Result<&mut [u8], ArchiveError> {
        if self.filled + length > BLOCK {
            self.flush()?;
        }
        if self.room.is_empty() {
            self.room = vec![0; PIECE];
        }
        Ok(self.room.get_mut(self.filled..self.filled + length).unwrap_or_default())
    }

    /// Takes in the piece of so many bytes that is in the room made for it last, and answers its digest.
    pub(crate) fn keep(&mut self, length: usize) -> Digest {
        let raw = self.room.get(self.filled..self.filled + length).unwrap_or_default();
        let digest = Digest::of(raw);
        if self.is_new(digest) {
            self.filled += length;
            self.objects.push((digest, u32::try_from(length).unwrap_or(u32::MAX)));
        }
        digest
    }

    /// Takes in one piece that gets a block of its own, so that it can be read without others.
    pub(crate) fn alone(&mut self, raw: &[u8]) -> Result<Digest, ArchiveError> {
        let digest = Digest::of(raw);
        if self.is_new(digest) {
            let length = u32::try_from(raw.len()).unwrap_or(u32::MAX);
            let block = self.encoder.encode(vec![(digest, length)], raw);
            self.push(block)?;
        }
        Ok(digest)
    }

    fn is_new(&mut self, digest: Digest) -> bool {
        match self.claims.known.pack_of(&digest) {
            Some(pack) => {
                if !self.pressed.used.contains(pack) {
                    self.pressed.used.insert(Arc::clone(pack));
                }
                false
            }
            None => self.claims.claim(digest),
        }
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        let (objects, filled) = (std::mem::take(&mut self.objects), std::mem::take(&mut self.filled));
        if objects.is_empty() {
            return Ok(());
        }
        let block = self.encoder.encode(objects, self.room.get(..filled).unwrap_or_default());
        self.push(block)
    }

    fn push(&mut self, block: std::io::Result<Block>) -> Result<(), ArchiveError> {
        self.pressed.blocks.push(block.map_err(ArchiveError::store("compress", "an object"))?);
        Ok(())
    }

    /// What came of the pieces since this was asked last.
    pub(crate) fn take(&mut self) -> Result<Pressed, ArchiveError> {
        self.flush()?;
        Ok(std::mem::take(&mut self.pressed))
    }
}

/// Keeps blocks until they are written, and counts.
#[derive(Default)]
pub(crate) struct Shelf {
    /// Packs that were there before and hold pieces.
    pub(crate) used: BTreeSet<Arc<str>>,
    ready: VecDeque<Block>,
    pub(crate) totals: Totals,
}

impl Shelf {
    /// Takes in what was pressed.
    pub(crate) fn put(&mut self, pressed: Pressed) {
        self.used.extend(pressed.used);
        for block in pressed.blocks {
            self.totals.new_objects += block.header.objects.len() as u64;
            self.totals.new_bytes += block.length();
            self.ready.push_back(block);
        }
    }

    /// Takes in one piece that gets a block of its own, and answers its digest.
    pub(crate) fn alone(&mut self, press: &mut Press<'_>, raw: &[u8]) -> Result<Digest, ArchiveError> {
        let digest = press.alone(raw)?;
        self.put(press.take()?);
        Ok(digest)
    }

    /// The next block that waits.
    pub(crate) fn pop(&mut self) -> Option<Block> {
        self.ready.pop_front()
    }
}
