//! Where each object is: the indexes of packs, put together in memory.

use std::{
    collections::{HashMap, hash_map::Entry},
    io::ErrorKind,
    sync::Arc,
};

use tmp_core::{Digest, store::ArchiveStore};

use crate::{
    ArchiveError,
    block::Form,
    pack::{self, Listed, Place},
};

/// The objects of some packs.
#[derive(Debug, Default)]
pub(crate) struct Index {
    packs: Vec<Arc<str>>,
    blocks: Vec<Spot>,
    objects: HashMap<Digest, Part>,
}

/// Where one block is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    place: Place,
    form: Form,
    pack: u32,
}

/// Which part of a block an object is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    block: u32,
    offset: u32,
    length: u32,
}

/// Where one object is.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// The pack.
    pub(crate) pack: Arc<str>,
    /// Where its block is in that.
    pub(crate) place: Place,
    /// How the block is stored.
    pub(crate) form: Form,
    /// Where it begins in the block's raw bytes.
    pub(crate) offset: u32,
    /// How many bytes it has.
    pub(crate) length: u32,
}

impl Index {
    /// Reads the indexes of these packs, and answers with those that are not there. Of an object that
    /// several hold, the first counts.
    pub(crate) fn load<'a>(
        store: &dyn ArchiveStore,
        packs: impl IntoIterator<Item = &'a str>,
    ) -> Result<(Self, Vec<String>), ArchiveError> {
        let (mut index, mut missing) = (Self::default(), Vec::new());
        for name in packs {
            match pack::read_index(store, name) {
                Ok(blocks) => index.add(name, blocks),
                Err(ArchiveError::Store { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    missing.push(name.to_owned());
                }
                Err(error) => return Err(error),
            }
        }
        Ok((index, missing))
    }

    /// The same, without packs that are damaged or of an unknown version: nothing new relies on them.
    pub(crate) fn load_sound<'a>(
        store: &dyn ArchiveStore,
        packs: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ArchiveError> {
        let mut index = Self::default();
        for name in packs {
            match pack::read_index(store, name) {
                Ok(blocks) => index.add(name, blocks),
                Err(ArchiveError::Damaged { .. } | ArchiveError::UnknownVersion { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(index)
    }

    fn add(&mut self, name: &str, blocks: Vec<Listed>) {
        let pack = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        self.packs.push(name.into());
        self.objects.reserve(blocks.iter().map(|block| block.header.objects.len()).sum());
        for Listed { header, place } in blocks {
            let block = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
            self.blocks.push(Spot { place, form: header.form, pack });
            let mut offset = 0;
            for (digest, length) in header.objects {
                if let Entry::Vacant(vacant) = self.objects.entry(digest) {
                    vacant.insert(Part { block, offset, length });
                }
                offset += length;
            }
        }
    }

    /// How many raw bytes an object has.
    pub(crate) fn length(&self, digest: &Digest) -> Option<u32> {
        self.objects.get(digest).map(|part| part.length)
    }

    /// Which pack has an object.
    pub(crate) fn pack_of(&self, digest: &Digest) -> Option<&Arc<str>> {
        let spot = self.blocks.get(self.objects.get(digest)?.block as usize)?;
        self.packs.get(spot.pack as usize)
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Location> {
        let Part { block, offset, length } = *self.objects.get(digest)?;
        let Spot { place, form, pack } = *self.blocks.get(block as usize)?;
        let pack = Arc::clone(self.packs.get(pack as usize)?);
        Some(Location { pack, place, form, offset, length })
    }
}
