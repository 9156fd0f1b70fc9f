//! What a reversal stages: contents of the archive, and scripts of the reversed migration's folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use tmp_archive::{Archive, Content, Entry, Snapshot, SnapshotInfo};
use tmp_core::{
    Digest,
    contents::{Contents, Visitor},
    enhancement::Script,
};

/// The contents that a reversal's plan names.
#[derive(Debug)]
pub struct ReversalContents {
    archive: Archive,
    info: SnapshotInfo,
    archived: BTreeMap<Digest, Content>,
    small: BTreeMap<Digest, Vec<u8>>,
}

impl ReversalContents {
    pub(super) fn new(archive: &Archive, snapshot: &Snapshot) -> Self {
        let files = snapshot.entries.values().filter_map(|entry| match entry {
            Entry::File(file) => Some((file.content.digest, file.content.clone())),
            Entry::Absent | Entry::Directory { .. } | Entry::Symlink { .. } => None,
        });
        Self {
            archive: archive.clone(),
            info: snapshot.info.clone(),
            archived: files.collect(),
            small: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, bytes: Vec<u8>) {
        self.small.insert(Digest::of(&bytes), bytes);
    }

    pub(super) fn script(&mut self, name: &str, bytes: Vec<u8>) -> Script {
        let script = Script { name: name.to_owned(), digest: Digest::of(&bytes), size: bytes.len() as u64 };
        self.add(bytes);
        script
    }
}

impl Contents for ReversalContents {
    fn visit(&self, wanted: &BTreeSet<Digest>, visit: &mut Visitor<'_>) -> io::Result<()> {
        let objects = self.archive.objects(&self.info).map_err(io::Error::other)?;
        for digest in wanted {
            if let Some(bytes) = self.small.get(digest) {
                visit(digest, bytes.len() as u64, &mut bytes.as_slice())?;
            } else if let Some(content) = self.archived.get(digest) {
                visit(digest, content.size, &mut objects.reader(content))?;
            } else {
                let text = format!("content {digest} is not in the archive");
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
        }
        Ok(())
    }
}
