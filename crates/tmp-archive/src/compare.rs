//! Comparing a snapshot with what stands in a tree.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    fmt,
};

use tmp_core::module::{Attributes, Kind};
use tmp_disk::{Disk, Identity, Tree, digest_of};

use crate::{
    Archive, ArchiveError, Entry, EntryPath, FileEntry, Ignored, Snapshot, SnapshotId,
    reading::{XATTRS, holes},
    walk::{Found, Here, Walk},
};

/// One thing in which a tree is not what a snapshot says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: EntryPath,
    /// What differs.
    pub facet: Facet,
}

/// What can differ at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Facet {
    /// What stands there. Nothing else is compared then.
    Kind {
        /// What the snapshot says.
        archived: Kind,
        /// What the tree has.
        found: Kind,
    },
    /// The bytes of a file.
    Content,
    /// Whether a file has holes.
    Sparseness,
    /// The text of a symlink.
    Target,
    /// Permission bits.
    Mode,
    /// Owner or group.
    Owner,
    /// Modification time.
    Mtime,
    /// Extended attributes, ACLs among them.
    Xattrs,
    /// Which names in the snapshot are one file.
    HardLinks,
    /// How many names the file has outside of the snapshot. A restored file has none.
    OutsideLinks,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match self.facet {
            Facet::Kind { archived, found } => write!(f, "{path}: {found} instead of {archived}"),
            Facet::Content => write!(f, "{path}: another content"),
            Facet::Sparseness => write!(f, "{path}: holes where there were none, or none where there were"),
            Facet::Target => write!(f, "{path}: another target"),
            Facet::Mode => write!(f, "{path}: another mode"),
            Facet::Owner => write!(f, "{path}: another owner or group"),
            Facet::Mtime => write!(f, "{path}: another modification time"),
            Facet::Xattrs => write!(f, "{path}: other extended attributes"),
            Facet::HardLinks => write!(f, "{path}: not the same hard links"),
            Facet::OutsideLinks => write!(f, "{path}: another number of hard links outside of the snapshot"),
        }
    }
}

impl Archive {
    /// Compares all that a snapshot covers with a tree; contents are read and hashed. Answers every
    /// difference, by path; none where the tree is what it was. Changes nothing.
    ///
    /// # Errors
    /// There is no such snapshot, or it is damaged; or the tree cannot be read.
    pub fn compare(&self, id: &SnapshotId, tree: &Tree) -> Result<Vec<Difference>, ArchiveError> {
        compare(&self.read(id)?, tree)
    }
}

/// The same for a snapshot that was read.
fn compare(snapshot: &Snapshot, tree: &Tree) -> Result<Vec<Difference>, ArchiveError> {
    let mut comparison = Comparison {
        disk: &**tree.disk(),
        differences: Vec::new(),
        archived: Names::default(),
        found: Names::default(),
    };
    let ignored = Ignored::new(snapshot.info.ignored.iter().cloned())?;
    let mut walk = Walk::new(tree, snapshot.info.roots.clone(), ignored);
    let mut entries = snapshot.entries.iter().peekable();
    let mut found = walk.next()?;
    loop {
        let order = match (entries.peek(), &found) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((path, _)), Some(found)) => (*path).cmp(&found.path),
        };
        let entry = if order == Ordering::Greater { None } else { entries.next() };
        let there = if order == Ordering::Less { None } else { found.take() };
        if there.is_some() {
            found = walk.next()?;
        }
        comparison.pair(entry, there)?;
    }
    comparison.links(snapshot);
    comparison.differences.sort_by(|a, b| (&a.path, a.facet).cmp(&(&b.path, b.facet)));
    Ok(comparison.differences)
}

struct Comparison<'a> {
    disk: &'a dyn Disk,
    differences: Vec<Difference>,
    archived: Names<u64>,
    found: Names<Identity>,
}

impl Comparison<'_> {
    fn pair(
        &mut self,
        entry: Option<(&EntryPath, &Entry)>,
        there: Option<Found>,
    ) -> Result<(), ArchiveError> {
        let (path, entry, here) = match (entry, there) {
            (Some((path, entry)), there) => (path.clone(), entry, there.and_then(|there| there.here)),
            (None, Some(there)) => (there.path, &Entry::Absent, there.here),
            (None, None) => return Ok(()),
        };
        let (archived, found) = (entry.kind(), here.as_ref().map_or(Kind::Absent, |here| here.stat.kind));
        if archived != found {
            self.differ(&path, Facet::Kind { archived, found });
            return Ok(());
        }
        let (Some(here), Some(attributes)) = (here, entry.attributes()) else { return Ok(()) };
        self.attributes(&path, attributes, &here)?;
        match entry {
            Entry::File(file) => self.file(&path, file, &here)?,
            Entry::Symlink { target, .. } => {
                let found =
                    self.disk.read_link(here.at()).map_err(ArchiveError::disk("read the link", &path))?;
                if found != *target {
                    self.differ(&path, Facet::Target);
                }
            }
            Entry::Absent | Entry::Directory { .. } => {}
        }
        Ok(())
    }

    fn differ(&mut self, path: &EntryPath, facet: Facet) {
        self.differences.push(Difference { path: path.clone(), facet });
    }

    fn attributes(
        &mut self,
        path: &EntryPath,
        archived: &Attributes,
        here: &Here,
    ) -> Result<(), ArchiveError> {
        let stat = &here.stat;
        let xattrs = self.disk.xattrs(here.at()).map_err(ArchiveError::disk(XATTRS, path))?;
        let facets = [
            (Facet::Mode, stat.kind != Kind::Symlink && stat.mode != archived.mode),
            (Facet::Owner, (stat.uid, stat.gid) != (archived.uid, archived.gid)),
            (Facet::Mtime, stat.mtime != archived.mtime),
            (Facet::Xattrs, xattrs != archived.xattrs),
        ];
        for (facet, _) in facets.into_iter().filter(|(_, differs)| *differs) {
            self.differ(path, facet);
        }
        Ok(())
    }

    fn file(&mut self, path: &EntryPath, file: &FileEntry, here: &Here) -> Result<(), ArchiveError> {
        if let Some(group) = file.link_group {
            self.archived.add(group, path);
        }
        self.found.links.insert(path.clone(), here.stat.links);
        if here.stat.links > 1 {
            self.found.add(here.stat.identity, path);
        }
        if here.stat.size != file.content.size {
            self.differ(path, Facet::Content);
            return Ok(());
        }
        let open = self.disk.open_file(here.at()).map_err(ArchiveError::disk("open", path))?;
        let extents = self
            .disk
            .extents(&open, here.stat.size)
            .map_err(ArchiveError::disk("find the holes of", path))?;
        if holes(extents, here.stat.size).is_some() != file.extents.is_some() {
            self.differ(path, Facet::Sparseness);
        }
        let (digest, _) = digest_of(self.disk, &open).map_err(ArchiveError::disk("read", path))?;
        if digest != file.content.digest {
            self.differ(path, Facet::Content);
        }
        Ok(())
    }

    /// Compares which names are one file, once all names were seen.
    fn links(&mut self, snapshot: &Snapshot) {
        let mut differing = Vec::new();
        for (path, links) in &self.found.links {
            let Some(Entry::File(file)) = snapshot.entries.get(path) else { continue };
            if self.archived.first(path) != self.found.first(path) {
                differing.push((path.clone(), Facet::HardLinks));
            } else if file.links.saturating_sub(self.archived.count(path))
                != links.saturating_sub(self.found.count(path))
            {
                differing.push((path.clone(), Facet::OutsideLinks));
            }
        }
        for (path, facet) in differing {
            self.differ(&path, facet);
        }
    }
}

/// Names of files, by which file they are names of.
struct Names<K> {
    groups: HashMap<K, (EntryPath, u64)>,
    members: HashMap<EntryPath, K>,
    links: BTreeMap<EntryPath, u64>,
}

impl<K> Default for Names<K> {
    fn default() -> Self {
        Self { groups: HashMap::new(), members: HashMap::new(), links: BTreeMap::new() }
    }
}

impl<K: Copy + Eq + std::hash::Hash> Names<K> {
    fn add(&mut self, key: K, path: &EntryPath) {
        self.groups.entry(key).or_insert_with(|| (path.clone(), 0)).1 += 1;
        self.members.insert(path.clone(), key);
    }

    fn group(&self, path: &EntryPath) -> Option<&(EntryPath, u64)> {
        self.members.get(path).and_then(|key| self.groups.get(key))
    }

    /// The first name of the same file.
    fn first<'n>(&'n self, path: &'n EntryPath) -> &'n EntryPath {
        self.group(path).map_or(path, |(first, _)| first)
    }

    /// How many names of the same file there are.
    fn count(&self, path: &EntryPath) -> u64 {
        self.group(path).map_or(1, |(_, count)| *count)
    }
}
