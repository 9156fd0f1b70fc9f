//! The list of a snapshot's entries: JSON Lines, sorted by path, kept as objects like any content.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use tmp_core::{Digest, digest::Hasher};

use crate::{
    ArchiveError, Content, Entry, EntryPath, FileEntry, SnapshotInfo, object::PIECE, objects::Objects,
    produce::Shelf,
};

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<P, E> {
    path: P,
    entry: E,
}

/// Writes a manifest as it goes; at most two pieces of it are in memory.
#[derive(Debug, Default)]
pub(crate) struct ManifestWriter {
    buffer: Vec<u8>,
    hasher: Hasher,
    size: u64,
    pieces: Vec<Option<Digest>>,
}

impl ManifestWriter {
    pub(crate) fn push(
        &mut self,
        path: &EntryPath,
        entry: &Entry,
        shelf: &mut Shelf<'_>,
    ) -> Result<(), ArchiveError> {
        let begin = self.buffer.len();
        serde_json::to_writer(&mut self.buffer, &Line { path, entry })
            .map_err(|error| ArchiveError::store("write", "the manifest")(error.into()))?;
        self.buffer.push(b'\n');
        let line = self.buffer.get(begin..).unwrap_or_default();
        self.hasher.update(line);
        self.size += line.len() as u64;
        while self.buffer.len() >= PIECE {
            let rest = self.buffer.split_off(PIECE);
            let piece = std::mem::replace(&mut self.buffer, rest);
            self.pieces.push(Some(shelf.put(&piece)?));
        }
        Ok(())
    }

    pub(crate) fn finish(mut self, shelf: &mut Shelf<'_>) -> Result<Content, ArchiveError> {
        if !self.buffer.is_empty() {
            self.pieces.push(Some(shelf.put(&self.buffer)?));
        }
        Ok(Content::new(self.hasher.finish(), self.size, self.pieces))
    }
}

/// Reads all entries of a snapshot. What it returns is consistent: sorted, within the roots, in
/// directories, with contents whose pieces are there, and it is what the document counts.
pub(crate) fn read(
    objects: &Objects<'_>,
    info: &SnapshotInfo,
) -> Result<BTreeMap<EntryPath, Entry>, ArchiveError> {
    let name = format!("the manifest of snapshot {}", info.id);
    let mut reader = Reader { info, objects, entries: BTreeMap::new(), last: None };
    let mut partial = Vec::new();
    let mut hasher = Hasher::new();
    objects.each_piece(&info.manifest, &mut |_, _, bytes| {
        let bytes = bytes.unwrap_or_default();
        hasher.update(bytes);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                reader.line(&partial).map_err(|fault| ArchiveError::damaged(&name, fault))?;
                partial.clear();
            }
        }
        Ok(())
    })?;
    if !partial.is_empty() || hasher.finish() != info.manifest.digest {
        return Err(ArchiveError::damaged(name, "it is not what the snapshot says"));
    }
    reader.finish().map_err(|fault| ArchiveError::damaged(name, fault))
}

struct Reader<'a> {
    info: &'a SnapshotInfo,
    objects: &'a Objects<'a>,
    entries: BTreeMap<EntryPath, Entry>,
    last: Option<EntryPath>,
}

impl Reader<'_> {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let Line { path, entry } = serde_json::from_slice::<Line<EntryPath, Entry>>(line)
            .map_err(|error| format!("a line is no entry: {error}"))?;
        if self.last.as_ref().is_some_and(|last| *last >= path) {
            return Err(format!("{path} is out of order"));
        }
        let parent = path.parent().and_then(|parent| self.entries.get(&parent));
        let is_root = self.info.roots.binary_search(&path).is_ok();
        if !is_root && !matches!(parent, Some(Entry::Directory { .. })) {
            return Err(format!("{path} is in no directory of the snapshot"));
        }
        if !is_root && entry == Entry::Absent {
            return Err(format!("{path} is listed as absent though its directory is there"));
        }
        if let Entry::File(file) = &entry {
            self.check(file).map_err(|fault| format!("{path}: {fault}"))?;
        }
        self.last = Some(path.clone());
        self.entries.insert(path, entry);
        Ok(())
    }

    fn check(&self, file: &FileEntry) -> Result<(), String> {
        if let Some(fault) = file.content.fault() {
            return Err(fault.to_owned());
        }
        let mut end = 0;
        for extent in file.extents.iter().flatten() {
            let next = extent.offset.checked_add(extent.length);
            match next {
                Some(next) if extent.offset >= end && next <= file.content.size => end = next,
                _ => return Err("its extents are out of order or outside of it".to_owned()),
            }
        }
        for (piece, length) in file.content.pieces() {
            let Some(digest) = piece else { continue };
            let found = self.objects.locate(&digest).map_err(|error| error.to_string())?;
            if found.header.raw as usize != length {
                return Err(format!("piece {digest} has another length"));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<BTreeMap<EntryPath, Entry>, String> {
        if let Some(root) = self.info.roots.iter().find(|root| !self.entries.contains_key(*root)) {
            return Err(format!("{root} has no entry"));
        }
        if self.entries.len() as u64 != self.info.totals.entries {
            return Err("it has another number of entries than the snapshot says".to_owned());
        }
        settle_groups(&mut self.entries)?;
        Ok(self.entries)
    }
}

/// Takes the group from files whose other names are all outside of the snapshot, and checks that the
/// members of a group agree.
fn settle_groups(entries: &mut BTreeMap<EntryPath, Entry>) -> Result<(), String> {
    let mut groups: HashMap<u64, (FileEntry, u64)> = HashMap::new();
    for (path, entry) in &*entries {
        let Entry::File(file) = entry else { continue };
        let Some(group) = file.link_group else { continue };
        let (first, count) = groups.entry(group).or_insert_with(|| (file.clone(), 0));
        *count += 1;
        if first != file || *count > file.links {
            return Err(format!("{path} is not like the other names of its file"));
        }
    }
    for entry in entries.values_mut() {
        if let Entry::File(file) = entry {
            file.link_group =
                file.link_group.filter(|group| groups.get(group).is_some_and(|(_, count)| *count > 1));
        }
    }
    Ok(())
}
