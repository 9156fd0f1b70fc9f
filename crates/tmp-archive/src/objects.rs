//! Reading objects, and the contents they make up.

use std::{
    collections::VecDeque,
    io::Write,
    ops::{Deref, Range},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tmp_core::{Digest, digest::Hasher, store::ArchiveStore};

use crate::{
    ArchiveError, Content,
    archive::PACKS,
    block::PIECE,
    index::{Index, Location},
    pack::read_block,
};

/// Takes one piece of a content: its offset, its length, and its bytes unless it is a piece of zeros that
/// is not stored.
pub(crate) type TakePiece<'t> = dyn FnMut(u64, usize, Option<&[u8]>) -> Result<(), ArchiveError> + 't;

/// How many blocks of several objects are kept: what is asked for next is likely to be in one of them.
const KEPT: usize = 8;

/// The bytes of one object.
#[derive(Debug)]
pub(crate) struct Raw {
    block: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Deref for Raw {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.block.get(self.range.clone()).unwrap_or_default()
    }
}

/// A block that was read, by its pack and its place in that.
type Kept = (Arc<str>, u64, Arc<Vec<u8>>);

/// The objects of a snapshot, ready to be read. Every byte is checked as it is read.
#[derive(Debug)]
pub struct Objects<'a> {
    store: &'a dyn ArchiveStore,
    /// The packs that the snapshot names.
    index: Index,
    /// Those that it names and that are not there: pruning puts objects into others.
    missing: Vec<String>,
    /// All packs, once one is needed that the snapshot does not name.
    rest: OnceLock<Index>,
    /// Blocks that were read last.
    kept: Mutex<VecDeque<Kept>>,
}

impl<'a> Objects<'a> {
    pub(crate) fn open(store: &'a dyn ArchiveStore, packs: &[String]) -> Result<Self, ArchiveError> {
        let (index, missing) = Index::load(store, packs.iter().map(String::as_str))?;
        Ok(Self { store, index, missing, rest: OnceLock::new(), kept: Mutex::default() })
    }

    pub(crate) fn locate(&self, digest: &Digest) -> Result<Location, ArchiveError> {
        if let Some(location) = self.index.get(digest) {
            return Ok(location);
        }
        let rest = if let Some(rest) = self.rest.get() {
            rest
        } else {
            let loaded = self.load_rest()?;
            self.rest.get_or_init(|| loaded)
        };
        rest.get(digest).ok_or_else(|| {
            let fault = match self.missing.first() {
                None => "no pack has it".to_owned(),
                Some(pack) => format!("no pack has it, and {pack} is missing"),
            };
            ArchiveError::damaged(format!("object {digest}"), fault)
        })
    }

    /// How many raw bytes an object has.
    pub(crate) fn length(&self, digest: &Digest) -> Result<u32, ArchiveError> {
        match self.index.length(digest) {
            Some(length) => Ok(length),
            None => self.locate(digest).map(|location| location.length),
        }
    }

    /// All packs; what is cached of them is dropped first, because whoever verifies has not done so.
    fn load_rest(&self) -> Result<Index, ArchiveError> {
        let packs = self.store.list(PACKS).map_err(ArchiveError::store("list", PACKS))?;
        for name in &packs {
            self.store.drop_cache(name).map_err(ArchiveError::store("read anew", name))?;
        }
        Index::load_sound(self.store, packs.iter().map(String::as_str))
    }

    /// The raw bytes of one object.
    pub(crate) fn object(&self, digest: &Digest) -> Result<Raw, ArchiveError> {
        let location = self.locate(digest)?;
        let block = self.block(&location)?;
        let begin = location.offset as usize;
        let raw = Raw { block, range: begin..begin + location.length as usize };
        if Digest::of(&raw) == *digest {
            Ok(raw)
        } else {
            Err(ArchiveError::damaged(
                format!("object {digest} in {}", location.pack),
                "it has another digest",
            ))
        }
    }

    /// The raw bytes of a block. One that several objects share is kept for the next of them.
    fn block(&self, location: &Location) -> Result<Arc<Vec<u8>>, ArchiveError> {
        let Location { pack, place, form, length, .. } = location;
        if *length == form.raw {
            return read_block(self.store, pack, place, form).map(Arc::new);
        }
        let is_it = |(of, begin, _): &Kept| *begin == place.begin && of == pack;
        if let Some((.., block)) = self.kept().iter().find(|kept| is_it(kept)) {
            return Ok(Arc::clone(block));
        }
        let block = Arc::new(read_block(self.store, pack, place, form)?);
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((Arc::clone(pack), place.begin, Arc::clone(&block)));
        Ok(block)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands each piece of a content to `take`, in order.
    ///
    /// # Errors
    /// A piece is missing or damaged, or `take` failed.
    pub(crate) fn each_piece(&self, content: &Content, take: &mut TakePiece<'_>) -> Result<(), ArchiveError> {
        let mut offset = 0;
        for (piece, length) in content.pieces() {
            let bytes = piece.map(|digest| self.object(&digest)).transpose()?;
            if bytes.as_ref().is_some_and(|bytes| bytes.len() != length) {
                let fault = "a piece does not have the length that its place asks for";
                return Err(ArchiveError::damaged(format!("content {}", content.digest), fault));
            }
            take(offset, length, bytes.as_deref())?;
            offset += length as u64;
        }
        Ok(())
    }

    /// Writes all bytes of a content to `out` and answers once their digest was found to be right.
    ///
    /// # Errors
    /// A piece is missing or damaged, or `out` failed; what was written until then is of no use.
    pub fn copy(&self, content: &Content, out: &mut dyn Write) -> Result<(), ArchiveError> {
        let name = format!("content {}", content.digest);
        let mut hasher = Hasher::new();
        let zeros = vec![0; if content.pieces.contains(&None) { PIECE } else { 0 }];
        self.each_piece(content, &mut |_, length, bytes| {
            let bytes = bytes.or(zeros.get(..length)).unwrap_or_default();
            hasher.update(bytes);
            out.write_all(bytes).map_err(ArchiveError::store("write out", &name))
        })?;
        if hasher.finish() == content.digest {
            Ok(())
        } else {
            Err(ArchiveError::damaged(name, "its pieces make up another digest"))
        }
    }
}
