//! Where each object is: the indexes of packs, put together in memory.

use std::{collections::HashMap, sync::Arc};

use tmp_core::{Digest, store::ArchiveStore};

use crate::{ArchiveError, object::Header, pack};

/// The objects of some packs.
#[derive(Debug, Default)]
pub(crate) struct Index {
    objects: HashMap<Digest, Location>,
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
    /// Reads the indexes of these packs. Of an object that several hold, the first counts.
    pub(crate) fn load<'a>(
        store: &dyn ArchiveStore,
        packs: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ArchiveError> {
        let mut index = Self::default();
        for name in packs {
            index.add(name, pack::read_index(store, name)?);
        }
        Ok(index)
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
        let pack: Arc<str> = name.into();
        for (header, offset) in objects {
            let location = Location { pack: Arc::clone(&pack), offset, header };
            self.objects.entry(header.digest).or_insert(location);
        }
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<&Location> {
        self.objects.get(digest)
    }
}
