//! Turns what stands in a tree, and copies of databases, into objects, one piece at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use tmp_core::{
    Digest,
    module::{Attributes, Kind},
};
use tmp_disk::{At, Disk, Identity, Stat};

use crate::{
    ArchiveError, ArchivedDatabase, Content, DatabaseCopy, Entry, EntryPath, FileEntry, Totals,
    index::Index,
    manifest::ManifestWriter,
    object::{Encoder, HEADER, Object},
    reading::{ReadFile, Reading, XATTRS},
    walk::{Found, Here, Walk, same},
};

/// Takes in pieces; keeps those that the store does not have until they are written.
pub(crate) struct Shelf<'a> {
    known: &'a Index,
    new: HashSet<Digest>,
    used: BTreeSet<Arc<str>>,
    encoder: Encoder,
    ready: VecDeque<Object>,
    totals: Totals,
}

impl<'a> Shelf<'a> {
    pub(crate) fn new(known: &'a Index) -> Result<Self, ArchiveError> {
        Ok(Self {
            known,
            new: HashSet::new(),
            used: BTreeSet::new(),
            encoder: Encoder::new().map_err(ArchiveError::store("compress for", "packs"))?,
            ready: VecDeque::new(),
            totals: Totals::default(),
        })
    }

    /// Takes in one piece and answers its digest.
    pub(crate) fn put(&mut self, raw: &[u8]) -> Result<Digest, ArchiveError> {
        let digest = Digest::of(raw);
        if let Some(location) = self.known.get(&digest) {
            if !self.used.contains(&*location.pack) {
                self.used.insert(Arc::clone(&location.pack));
            }
        } else if self.new.insert(digest) {
            let object = self
                .encoder
                .encode(digest, raw)
                .map_err(|source| ArchiveError::store("compress", "an object")(source))?;
            self.totals.new_objects += 1;
            self.totals.new_bytes += (HEADER + object.stored.len()) as u64;
            self.ready.push_back(object);
        }
        Ok(digest)
    }
}

/// Everything a snapshot's document says of its content.
pub(crate) struct Produced {
    pub(crate) manifest: Content,
    pub(crate) databases: Vec<ArchivedDatabase>,
    /// Packs that were there before and hold objects of the snapshot.
    pub(crate) packs: BTreeSet<Arc<str>>,
    pub(crate) totals: Totals,
}

/// Produces the objects of a snapshot that the store does not have yet.
pub(crate) struct Producer<'a> {
    disk: &'a dyn Disk,
    walk: Walk<'a>,
    databases: std::slice::Iter<'a, DatabaseCopy<'a>>,
    shelf: Shelf<'a>,
    manifest: Option<ManifestWriter>,
    reading: Option<(Reading, Purpose<'a>)>,
    linked: HashMap<Identity, (Stat, FileEntry)>,
    archived: Vec<ArchivedDatabase>,
    content: Option<Content>,
    progress: &'a mut dyn FnMut(u64, u64),
}

/// What a file is read for.
enum Purpose<'a> {
    Entry(EntryPath, Here),
    Database(&'a DatabaseCopy<'a>),
}

impl Purpose<'_> {
    fn at(&self) -> At<'_> {
        match self {
            Self::Entry(_, here) => here.at(),
            Self::Database(copy) => copy.at,
        }
    }
}

impl<'a> Producer<'a> {
    pub(crate) fn new(
        disk: &'a dyn Disk,
        walk: Walk<'a>,
        databases: &'a [DatabaseCopy<'a>],
        known: &'a Index,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Result<Self, ArchiveError> {
        Ok(Self {
            disk,
            walk,
            databases: databases.iter(),
            shelf: Shelf::new(known)?,
            manifest: Some(ManifestWriter::default()),
            reading: None,
            linked: HashMap::new(),
            archived: Vec::new(),
            content: None,
            progress,
        })
    }

    /// The next new object; `None` once there are no more and [`Producer::finish`] may be asked.
    pub(crate) fn next(&mut self) -> Result<Option<Object>, ArchiveError> {
        loop {
            if let Some(object) = self.shelf.ready.pop_front() {
                return Ok(Some(object));
            }
            if self.content.is_some() {
                return Ok(None);
            }
            self.step()?;
            let reading = self.reading.as_ref().map_or(0, |(reading, _)| reading.bytes());
            (self.progress)(self.shelf.totals.entries, self.shelf.totals.bytes + reading);
        }
    }

    /// What was produced.
    pub(crate) fn finish(self) -> Option<Produced> {
        Some(Produced {
            manifest: self.content?,
            databases: self.archived,
            packs: self.shelf.used,
            totals: self.shelf.totals,
        })
    }

    fn step(&mut self) -> Result<(), ArchiveError> {
        if let Some((mut reading, purpose)) = self.reading.take() {
            match reading.advance(self.disk, purpose.at(), &mut self.shelf)? {
                None => self.reading = Some((reading, purpose)),
                Some(file) => self.done(purpose, file)?,
            }
        } else if let Some(found) = self.walk.next()? {
            self.found(found)?;
        } else if let Some(copy) = self.databases.next() {
            let reading = Reading::open(self.disk, copy.at, database_path(copy)?)?;
            self.reading = Some((reading, Purpose::Database(copy)));
        } else if let Some(manifest) = self.manifest.take() {
            self.content = Some(manifest.finish(&mut self.shelf)?);
        }
        Ok(())
    }

    fn found(&mut self, found: Found) -> Result<(), ArchiveError> {
        let Found { path, here } = found;
        let Some(here) = here else { return self.push(&path, &Entry::Absent) };
        let entry = match here.stat.kind {
            Kind::Directory => Entry::Directory { attributes: self.attributes(&path, &here)? },
            Kind::Symlink => Entry::Symlink {
                target: self.disk.read_link(here.at()).map_err(ArchiveError::disk("read the link", &path))?,
                attributes: self.attributes(&path, &here)?,
            },
            Kind::File => match self.linked.get(&here.stat.identity) {
                Some((stat, file)) if same(stat, &here.stat) => Entry::File(file.clone()),
                Some(_) => return Err(ArchiveError::Changed { path }),
                None => {
                    let reading = Reading::open(self.disk, here.at(), path.clone())?;
                    self.reading = Some((reading, Purpose::Entry(path, here)));
                    return Ok(());
                }
            },
            Kind::Special | Kind::Absent => return Err(ArchiveError::Special { path }),
        };
        self.push(&path, &entry)
    }

    /// The attributes of what was looked at before, and has not changed since.
    fn attributes(&self, path: &EntryPath, here: &Here) -> Result<Attributes, ArchiveError> {
        let xattrs = self.disk.xattrs(here.at()).map_err(ArchiveError::disk(XATTRS, path))?;
        let after = self.disk.stat(here.at()).map_err(ArchiveError::disk("look again at", path))?;
        match after {
            Some(stat) if same(&here.stat, &stat) => Ok(attributes(&stat, xattrs)),
            _ => Err(ArchiveError::Changed { path: path.clone() }),
        }
    }

    fn done(&mut self, purpose: Purpose<'_>, file: ReadFile) -> Result<(), ArchiveError> {
        self.shelf.totals.bytes += file.content.size;
        match purpose {
            Purpose::Database(copy) => {
                self.archived.push(ArchivedDatabase {
                    name: copy.name.clone(),
                    engine: copy.engine,
                    content: file.content,
                    fingerprint: copy.fingerprint.clone(),
                });
                Ok(())
            }
            Purpose::Entry(path, _) => {
                let linked = file.stat.links > 1;
                let entry = FileEntry {
                    content: file.content,
                    extents: file.extents,
                    attributes: attributes(&file.stat, file.xattrs),
                    links: file.stat.links,
                    link_group: linked.then_some(self.linked.len() as u64 + 1),
                };
                if linked {
                    self.linked.insert(file.stat.identity, (file.stat, entry.clone()));
                }
                self.push(&path, &Entry::File(entry))
            }
        }
    }

    fn push(&mut self, path: &EntryPath, entry: &Entry) -> Result<(), ArchiveError> {
        self.shelf.totals.entries += 1;
        match &mut self.manifest {
            Some(manifest) => manifest.push(path, entry, &mut self.shelf),
            None => Ok(()),
        }
    }
}

fn attributes(stat: &Stat, xattrs: BTreeMap<Vec<u8>, Vec<u8>>) -> Attributes {
    Attributes { mode: stat.mode, uid: stat.uid, gid: stat.gid, mtime: stat.mtime, xattrs }
}

/// What stands for a database's copy in messages: the name of its file.
fn database_path(copy: &DatabaseCopy<'_>) -> Result<EntryPath, ArchiveError> {
    let root = EntryPath::root();
    root.join(copy.at.name).map_err(|error| ArchiveError::Name { path: root, fault: error.to_string() })
}
