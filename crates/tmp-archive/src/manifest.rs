//! The list of a snapshot's entries: JSON Lines, sorted by path, kept as objects like any content.

use std::{
    collections::{BTreeMap, HashMap},
    thread::{self, ScopedJoinHandle},
};

use serde::Deserialize;
use tmp_core::Digest;

use crate::{
    ArchiveError, Entry, EntryPath, FileEntry, SnapshotInfo,
    objects::Objects,
    threads::{start, workers},
};

/// One line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: EntryPath,
    entry: Entry,
}

/// The entry of one line.
pub(crate) fn parse(line: &[u8]) -> Result<(EntryPath, Entry), String> {
    let Line { path, entry } =
        serde_json::from_slice(line).map_err(|error| format!("a line is no entry: {error}"))?;
    Ok((path, entry))
}

/// Reads all entries of a snapshot. What it returns is consistent: sorted, within the roots, in
/// directories, with contents whose pieces are there, and it is what the document counts.
pub(crate) fn read(
    objects: &Objects<'_>,
    info: &SnapshotInfo,
) -> Result<BTreeMap<EntryPath, Entry>, ArchiveError> {
    let name = format!("the manifest of snapshot {}", info.id);
    let damaged = |fault: String| ArchiveError::damaged(&name, fault);
    let pieces = &info.manifest.pieces;
    let parts = pieces.chunks(pieces.len().div_ceil(workers()).max(FEW));
    let parts: Vec<_> = thread::scope(|scope| {
        let read = |part| Part::read(objects, part, &name);
        // What the machine gives no thread for is read here.
        let parts = parts.map(|part| start(scope, move || read(part)).map_err(|_| read(part)));
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|part| part.map_or_else(Ok, ScopedJoinHandle::join)).collect()
    });
    let mut reader = Reader { info, objects, entries: Vec::new(), open: Vec::new() };
    let mut partial = Vec::new();
    for part in parts {
        let died = || ArchiveError::store("read", &name)(std::io::Error::other("a thread died"));
        let part = part.map_err(|_| died())??;
        part.join(&mut partial, &mut |path, entry| reader.entry(path, entry)).map_err(damaged)?;
    }
    if !partial.is_empty() {
        return Err(damaged("its last line has no end".to_owned()));
    }
    reader.finish().map_err(damaged)
}

/// So many pieces are not worth a thread of their own.
const FEW: usize = 8;

/// Takes one entry after the other.
type TakeEntry<'t> = dyn FnMut(EntryPath, Entry) -> Result<(), String> + 't;

/// Some pieces that follow each other.
#[derive(Default)]
struct Part {
    /// What stands before the end of the first line, that end included: it may have begun in a piece before.
    first: Vec<u8>,
    /// The lines after that.
    entries: Vec<(EntryPath, Entry)>,
    /// What stands after the last end of a line.
    last: Vec<u8>,
}

impl Part {
    fn read(objects: &Objects<'_>, pieces: &[(Digest, u32)], name: &str) -> Result<Self, ArchiveError> {
        let mut part = Self::default();
        for (digest, length) in pieces {
            let bytes = objects.object(digest)?;
            if bytes.len() != *length as usize {
                let fault = "a piece has another length than the snapshot says";
                return Err(ArchiveError::damaged(name, fault));
            }
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                part.add(line).map_err(|fault| ArchiveError::damaged(name, fault))?;
            }
        }
        Ok(part)
    }

    fn add(&mut self, line: &[u8]) -> Result<(), String> {
        if !self.first.ends_with(b"\n") {
            self.first.extend_from_slice(line);
        } else if !line.ends_with(b"\n") {
            self.last.extend_from_slice(line);
        } else if self.last.is_empty() {
            self.entries.push(parse(line)?);
        } else {
            self.last.extend_from_slice(line);
            self.entries.push(parse(&self.last)?);
            self.last.clear();
        }
        Ok(())
    }

    /// Hands over the entries; `partial` is the beginning of a line that the part before ends with, and then that
    /// of the one that this part ends with.
    fn join(self, partial: &mut Vec<u8>, take: &mut TakeEntry<'_>) -> Result<(), String> {
        partial.extend_from_slice(&self.first);
        if partial.ends_with(b"\n") {
            let (path, entry) = parse(partial)?;
            take(path, entry)?;
            partial.clear();
        }
        self.entries.into_iter().try_for_each(|(path, entry)| take(path, entry))?;
        partial.extend_from_slice(&self.last);
        Ok(())
    }
}

struct Reader<'a> {
    info: &'a SnapshotInfo,
    objects: &'a Objects<'a>,
    /// In order.
    entries: Vec<(EntryPath, Entry)>,
    /// The directories that hold the last entry, outermost first: places in `entries`.
    open: Vec<usize>,
}

impl Reader<'_> {
    fn entry(&mut self, path: EntryPath, entry: Entry) -> Result<(), String> {
        if self.entries.last().is_some_and(|(last, _)| *last >= path) {
            return Err(format!("{path} is out of order"));
        }
        // Nothing that comes later is in a directory that does not hold this.
        while let Some((open, _)) = self.open.last().and_then(|at| self.entries.get(*at)) {
            if path.is_within(open) {
                break;
            }
            self.open.pop();
        }
        let above = self.open.last().and_then(|at| self.entries.get(*at));
        let is_root = self.info.roots.binary_search(&path).is_ok();
        if !is_root && !above.is_some_and(|(open, _)| open.holds(&path)) {
            return Err(format!("{path} is in no directory of the snapshot"));
        }
        if !is_root && entry == Entry::Absent {
            return Err(format!("{path} is listed as absent though its directory is there"));
        }
        if let Entry::File(file) = &entry {
            self.check(file).map_err(|fault| format!("{path}: {fault}"))?;
        }
        if matches!(entry, Entry::Directory { .. }) {
            self.open.push(self.entries.len());
        }
        self.entries.push((path, entry));
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
            let found = self.objects.length(&digest).map_err(|error| error.to_string())?;
            if found as usize != length {
                return Err(format!("piece {digest} has another length"));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<BTreeMap<EntryPath, Entry>, String> {
        let mut entries: BTreeMap<_, _> = self.entries.into_iter().collect();
        if let Some(root) = self.info.roots.iter().find(|root| !entries.contains_key(*root)) {
            return Err(format!("{root} has no entry"));
        }
        if entries.len() as u64 != self.info.totals.entries {
            return Err("it has another number of entries than the snapshot says".to_owned());
        }
        settle_groups(&mut entries)?;
        Ok(entries)
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

#[cfg(test)]
mod tests {
    use tmp_core::{Mode, module::Attributes};
    use tmp_disk::Extent;

    use super::*;
    use crate::{
        Content, Manifest,
        index::Index,
        manifest_writer::{ManifestWriter, Run},
        shelf::{Claims, Press, Shelf},
    };

    fn attributes(mode: u32) -> Attributes {
        Attributes {
            mode: Mode::from_bits(mode),
            uid: 0,
            gid: 12,
            mtime: (-5, 7).into(),
            xattrs: [(b"user.a".to_vec(), vec![0xff])].into(),
        }
    }

    fn file(pieces: Vec<Option<Digest>>, size: u64, extents: Option<Vec<Extent>>) -> FileEntry {
        let content = Content::new(Digest::of(b"one"), size, pieces);
        FileEntry { content, extents, attributes: attributes(0o4755), links: 1, link_group: None }
    }

    fn path(bytes: &[u8]) -> EntryPath {
        EntryPath::from_bytes(bytes).unwrap()
    }

    fn entries() -> Vec<(EntryPath, Entry)> {
        let one = Some(Digest::of(b"one"));
        let linked = FileEntry { links: 3, link_group: Some(1), ..file(vec![one], 3, None) };
        let sparse = Some(vec![Extent { offset: 1 << 20, length: 4096 }]);
        vec![
            (path(b""), Entry::Directory { attributes: attributes(0o755) }),
            (path(b"empty"), Entry::File(file(vec![], 0, None))),
            (path(b"gone"), Entry::Absent),
            (path(b"linked"), Entry::File(linked)),
            (path(b"link"), Entry::Symlink { target: b"\xfe".to_vec(), attributes: attributes(0o777) }),
            (path(b"pieces"), Entry::File(file(vec![one, one], (1 << 20) + 3, None))),
            (path(b"sparse"), Entry::File(file(vec![None, one], (2 << 20) - 9, sparse))),
            (path(b"\xff/hex:"), Entry::File(file(vec![one], 3, None))),
        ]
    }

    #[test]
    fn the_format_of_each_line() {
        let index = Index::default();
        let claims = Claims::new(&index);
        let (mut press, mut shelf) = (Press::new(&claims).unwrap(), Shelf::default());
        let mut writer = ManifestWriter::default();
        for (path, entry) in entries() {
            writer.push(&path, &entry, &mut press, &mut shelf).unwrap();
        }
        let (manifest, runs) = writer.finish(&mut press, &mut shelf).unwrap();
        let blocks = std::iter::from_fn(|| shelf.pop());
        let raw = blocks.map(|block| crate::block::decode(&block.header.form, block.stored).unwrap());
        let text = String::from_utf8(raw.collect::<Vec<_>>().concat()).unwrap();
        for (line, entry) in text.lines().zip(entries()) {
            assert_eq!(parse(line.as_bytes()).unwrap(), entry);
        }
        let digest = Digest::of(text.as_bytes());
        let length = u32::try_from(text.len()).unwrap();
        assert_eq!(manifest, Manifest { size: length.into(), pieces: vec![(digest, length)] });
        assert_eq!(runs, [Run { pieces: 1, lines: 8 }]);
        insta::assert_snapshot!(text);
    }

    proptest::proptest! {
        /// Wherever pieces and parts are cut, in the middle of lines too, the lines are the same.
        #[test]
        fn parts_make_up_the_whole(cuts in proptest::collection::vec((0_usize..2000, proptest::bool::ANY), 0..12)) {
            let line = |(path, entry): (EntryPath, Entry)| {
                let value = serde_json::json!({ "path": path, "entry": entry });
                format!("{value}\n")
            };
            let text: String = entries().into_iter().map(line).collect();
            let mut cuts: Vec<_> = cuts.into_iter().map(|(at, part)| (at.min(text.len()), part)).collect();
            cuts.sort_unstable();
            cuts.push((text.len(), true));
            let (mut part, mut partial, mut found, mut begin) = (Part::default(), Vec::new(), Vec::new(), 0);
            for (at, ends) in cuts {
                for piece in text.as_bytes()[begin..at].split_inclusive(|byte| *byte == b'\n') {
                    part.add(piece).unwrap();
                }
                begin = at;
                if ends {
                    let whole = std::mem::take(&mut part);
                    whole.join(&mut partial, &mut |path, entry| { found.push((path, entry)); Ok(()) }).unwrap();
                }
            }
            proptest::prop_assert!(partial.is_empty());
            proptest::prop_assert_eq!(found, entries());
        }
    }

    #[test]
    fn members_of_a_group_agree() {
        let member = |links| FileEntry { links, link_group: Some(1), ..file(vec![], 0, None) };
        let settled = |files: &[FileEntry]| {
            let named = files
                .iter()
                .enumerate()
                .map(|(n, file)| (path(format!("{n}").as_bytes()), Entry::File(file.clone())));
            let mut entries: BTreeMap<_, _> = named.collect();
            settle_groups(&mut entries).map(|()| entries)
        };
        let alone = settled(&[member(2)]).unwrap();
        assert!(matches!(
            alone.values().next(),
            Some(Entry::File(FileEntry { link_group: None, links: 2, .. }))
        ));
        assert!(settled(&[member(2), member(2)]).is_ok());
        assert!(settled(&[member(2), member(3)]).is_err());
        assert!(settled(&[member(2), member(2), member(2)]).is_err());
    }

    #[test]
    fn an_entry_takes_no_more_memory_than_is_said() {
        assert!(size_of::<(EntryPath, Entry)>() * 3 / 2 <= crate::BYTES_PER_ENTRY);
        // A hash map doubles when it is seven eighths full.
        let object = size_of::<(Digest, crate::index::Part)>() + 1;
        // A long object has a block of its own.
        let block = size_of::<crate::index::Spot>();
        assert!(object * 16 / 7 + block <= crate::BYTES_PER_OBJECT, "{object} {block}");
    }
}
