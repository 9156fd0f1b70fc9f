//! Proving that a snapshot can be restored.

use std::{collections::HashSet, io};

use crate::{Archive, ArchiveError, Content, Entry, SnapshotId, manifest};

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Entries.
    pub entries: u64,
    /// Bytes of contents that were read and hashed, each different content once; 0 where none were.
    pub bytes: u64,
}

impl Archive {
    /// Checks that a snapshot is complete: its document and its manifest are read and their digests compared,
    /// and every object that they name is in a pack whose index is sound. Contents are not read. Changes
    /// nothing; may be repeated.
    ///
    /// # Errors
    /// There is no such snapshot, or the first thing that is missing or damaged.
    pub fn check(&self, id: &SnapshotId) -> Result<Verified, ArchiveError> {
        let info = self.info(id)?;
        let objects = self.objects(&info)?;
        for database in &info.databases {
            for digest in database.content.pieces().filter_map(|(digest, _)| digest) {
                objects.locate(&digest)?;
            }
        }
        let entries = manifest::read(&objects, &info)?;
        Ok(Verified { entries: entries.len() as u64, bytes: 0 })
    }

    /// Reads a snapshot's document, its manifest and every object it needs from where they are really
    /// kept (caches are dropped before), checks each digest, and that manifest and document agree.
    /// `progress` is told contents and bytes so far. Changes nothing; may be repeated.
    ///
    /// # Errors
    /// There is no such snapshot, or the first thing that is missing or damaged.
    pub fn verify(
        &self,
        id: &SnapshotId,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Verified, ArchiveError> {
        let info = self.refreshed(id)?;
        let objects = self.objects(&info)?;
        let entries = manifest::read(&objects, &info)?;
        let files = entries.values().filter_map(|entry| match entry {
            Entry::File(file) => Some(&file.content),
            Entry::Absent | Entry::Directory { .. } | Entry::Symlink { .. } => None,
        });
        let databases = info.databases.iter().map(|database| &database.content);
        // Not by digest: equal bytes are kept in other objects where they were holes.
        let mut seen: HashSet<&Content> = HashSet::new();
        let mut bytes = 0;
        for content in files.chain(databases) {
            if seen.insert(content) {
                objects.copy(content, &mut io::sink())?;
                bytes += content.size;
                progress(seen.len() as u64, bytes);
            }
        }
        Ok(Verified { entries: entries.len() as u64, bytes })
    }
}
