//! What differs between two snapshots.

use std::collections::{BTreeSet, HashMap};

use tmp_core::module::Kind;

use crate::{
    Archive, ArchiveError, Difference, Entry, EntryPath, Facet, FileEntry, Ignored, Snapshot, SnapshotId,
};

/// How two snapshots differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotDiff {
    /// What is at a path in the second, compared with the first.
    pub entries: Vec<Difference>,
    /// The names of databases whose copies differ, or that only one has.
    pub databases: Vec<String>,
}

impl Archive {
    /// Compares two snapshots, as far as both cover a path and neither ignores it. Contents are compared by
    /// their digests and not read.
    ///
    /// # Errors
    /// There is no such snapshot, or one is damaged.
    pub fn diff(&self, first: &SnapshotId, second: &SnapshotId) -> Result<SnapshotDiff, ArchiveError> {
        let (first, second) = (self.read(first)?, self.read(second)?);
        let globs = first.info.ignored.iter().chain(&second.info.ignored).cloned();
        let ignored = Ignored::new(globs)?;
        let paths: BTreeSet<&EntryPath> = first.entries.keys().chain(second.entries.keys()).collect();
        let groups = (groups(&first), groups(&second));
        let mut diff = SnapshotDiff::default();
        let mut hidden: Option<&EntryPath> = None;
        for path in paths {
            if hidden.is_some_and(|hidden| path.is_within(hidden)) {
                continue;
            }
            if ignored.has(path.as_bytes()) {
                hidden = Some(path);
                continue;
            }
            let (Some(one), Some(two)) = (first.entry(path), second.entry(path)) else { continue };
            diff.entries.extend(facets(one, two).map(|facet| Difference { path: path.clone(), facet }));
            if one.kind() == Kind::File
                && two.kind() == Kind::File
                && first_name(one, path, &groups.0) != first_name(two, path, &groups.1)
            {
                diff.entries.push(Difference { path: path.clone(), facet: Facet::HardLinks });
            }
        }
        let contents = |snapshot: &Snapshot| -> BTreeSet<_> {
            let databases = snapshot.info.databases.iter();
            databases.map(|database| (database.name.to_string(), database.content.digest)).collect()
        };
        let names = contents(&first)
            .symmetric_difference(&contents(&second))
            .map(|(name, _)| name.clone())
            .collect::<BTreeSet<_>>();
        diff.databases = names.into_iter().collect();
        Ok(diff)
    }
}

/// The first name of each file with several.
fn groups(snapshot: &Snapshot) -> HashMap<u64, EntryPath> {
    let mut groups = HashMap::new();
    for (path, entry) in &snapshot.entries {
        if let Entry::File(FileEntry { link_group: Some(group), .. }) = entry {
            groups.entry(*group).or_insert_with(|| path.clone());
        }
    }
    groups
}

fn first_name<'a>(entry: &Entry, path: &'a EntryPath, groups: &'a HashMap<u64, EntryPath>) -> &'a EntryPath {
    match entry {
        Entry::File(FileEntry { link_group: Some(group), .. }) => groups.get(group).unwrap_or(path),
        _ => path,
    }
}

fn facets(one: &Entry, two: &Entry) -> impl Iterator<Item = Facet> + use<> {
    let (archived, found) = (one.kind(), two.kind());
    let mut facets = Vec::new();
    if archived != found {
        facets.push(Facet::Kind { archived, found });
        return facets.into_iter();
    }
    match (one, two) {
        (Entry::File(one), Entry::File(two)) => {
            if one.content.digest != two.content.digest {
                facets.push(Facet::Content);
            }
            if one.extents.is_some() != two.extents.is_some() {
                facets.push(Facet::Sparseness);
            }
        }
        (Entry::Symlink { target: one, .. }, Entry::Symlink { target: two, .. }) if one != two => {
            facets.push(Facet::Target);
        }
        _ => {}
    }
    if let (Some(one), Some(two)) = (one.attributes(), two.attributes()) {
        let differ = [
            (Facet::Mode, one.mode != two.mode),
            (Facet::Owner, (one.uid, one.gid) != (two.uid, two.gid)),
            (Facet::Mtime, one.mtime != two.mtime),
            (Facet::Xattrs, one.xattrs != two.xattrs),
        ];
        facets.extend(differ.into_iter().filter(|(_, differ)| *differ).map(|(facet, _)| facet));
    }
    facets.into_iter()
}
