//! What need not be looked into when a tree is put back, because the stat cache vouches for it.

use std::collections::HashMap;

use tmp_disk::Stat;

use crate::{
    Archive, Entry, EntryPath, Snapshot,
    stat_cache::{KEY, StatCache, key},
};

/// Entries that are what a snapshot says as long as they look as they did.
#[derive(Debug, Default)]
pub(crate) struct Trusted<'a>(HashMap<&'a EntryPath, [u8; KEY]>);

impl<'a> Trusted<'a> {
    /// What a cache vouches for: what it saw of entries that are the same in its own snapshot and in this one.
    /// Nothing where the cache does not fit its snapshot.
    pub(crate) fn new(archive: &Archive, snapshot: &'a Snapshot, cache: &StatCache) -> Self {
        let own;
        let before = if cache.snapshot == snapshot.info.id {
            snapshot
        } else {
            match archive.read(&cache.snapshot) {
                Ok(read) => {
                    own = read;
                    &own
                }
                Err(_) => return Self::default(),
            }
        };
        let mut seen = before.entries.iter();
        let mut wanted = snapshot.entries.iter().peekable();
        let mut known = HashMap::new();
        let mut fits = true;
        cache.each(&mut |path, record| {
            let Some((at, entry)) = seen.next() else {
                fits = false;
                return;
            };
            fits &= at.as_bytes() == path;
            while wanted.next_if(|(other, _)| *other < at).is_some() {}
            let Some((path, same)) = wanted.next_if(|(other, _)| *other == at) else { return };
            let alone = match entry {
                Entry::File(file) => file.links == 1,
                Entry::Symlink { .. } => true,
                Entry::Absent | Entry::Directory { .. } => false,
            };
            if alone && record.is_trusted() && same == entry {
                known.extend(record.key().map(|key| (path, key)));
            }
        });
        if fits && seen.next().is_none() { Self(known) } else { Self::default() }
    }

    /// Whether what stands at a path is what the snapshot says, attributes included.
    pub(crate) fn vouches(&self, path: &EntryPath, stat: &Stat) -> bool {
        self.0.get(path).is_some_and(|known| *known == key(stat))
    }
}
