//! Where each object is: the indexes of packs, put together in memory.

use std::{
    collections::{HashMap, hash_map::Entry},
    io::ErrorKind,
    sync::Arc,
};

use tmp_core::{Digest, store::ArchiveStore};

use crate::{
    ArchiveError,
    object::{Encoding, Header},
    pack,
};

/// The objects of some packs.
#[derive(Debug, Default)]
pub(crate) struct Index {
    packs: Vec<Arc<str>>,
    objects: HashMap<Digest, Spot>,
}

/// Where one object is, as it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    offset: u64,
    pack: u32,
    raw: u32,
    stored: u32,
    crc: u32,
    encoding: Encoding,
}

/// Where one object is.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// The pack.
    pub(crate) pack: Arc<str>,
    /// Where its stored bytes begin.
    pub(crate) offset: u64,
    /// What stands before them.
    pub(crate) header: Header,
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
                Ok(objects) => index.add(name, objects),
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
                Ok(objects) => index.add(name, objects),
                Err(ArchiveError::Damaged { .. } | ArchiveError::UnknownVersion { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(index)
    }

    fn add(&mut self, name: &str, objects: Vec<(Header, u64)>) {
        let pack = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        self.packs.push(name.into());
        self.objects.reserve(objects.len());
        for (header, offset) in objects {
            let Header { digest, raw, stored, encoding, crc } = header;
            if let Entry::Vacant(vacant) = self.objects.entry(digest) {
                vacant.insert(Spot { offset, pack, raw, stored, crc, encoding });
            }
        }
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Location> {
        let Spot { offset, pack, raw, stored, crc, encoding } = *self.objects.get(digest)?;
        let pack = Arc::clone(self.packs.get(pack as usize)?);
        Some(Location { pack, offset, header: Header { digest: *digest, raw, stored, encoding, crc } })
    }
}
