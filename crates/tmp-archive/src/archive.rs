//! An archive: the snapshots in a store.

use std::{io::ErrorKind, sync::Arc};

use tmp_core::store::{ArchiveStore, Hold, StoreLock};

use crate::{ArchiveError, Objects, Snapshot, SnapshotId, SnapshotInfo, error::read_exact, manifest};

/// The blob that says that a store is an archive, and its version.
const FORMAT: &str = "format";

/// What it says: the version of the archive this release writes.
const VERSION: &str = "tmp/archive/v1\n";

/// What the names of packs begin with.
pub(crate) const PACKS: &str = "packs/";

/// What the names of snapshots begin with.
const SNAPSHOTS: &str = "snapshots/";

/// The longest small document that is read, in bytes.
const LONGEST: u64 = 256 << 20;

/// The snapshots in a store, and how to make and use them. Several may be open on one store at a time,
/// in one process or many.
#[derive(Debug, Clone)]
pub struct Archive {
    store: Arc<dyn ArchiveStore>,
    #[expect(dead_code, reason = "held until the last clone is dropped")]
    held: Arc<StoreLock>,
}

/// Which snapshots a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Their ids, oldest first.
    pub ids: Vec<SnapshotId>,
    /// Blobs among them whose names are no ids.
    pub strangers: Vec<String>,
}

impl Archive {
    /// Opens the archive in a store; an empty store becomes one. While it is open nothing is pruned.
    ///
    /// # Errors
    /// The store holds something else, or an archive of an unknown version; somebody is pruning it
    /// ([`ArchiveError::Held`]); or it cannot be read.
    pub fn open(store: Arc<dyn ArchiveStore>) -> Result<Self, ArchiveError> {
        Self::hold(store, Hold::Shared)
    }

    pub(crate) fn hold(store: Arc<dyn ArchiveStore>, how: Hold) -> Result<Self, ArchiveError> {
        if !is_marked(&*store)? {
            mark(&*store)?;
        }
        match store.hold(how).map_err(ArchiveError::store("lock", FORMAT))? {
            Some(held) => Ok(Self { store, held: Arc::new(held) }),
            None => Err(ArchiveError::Held { how }),
        }
    }

    pub(crate) fn store(&self) -> &dyn ArchiveStore {
        &*self.store
    }

    /// The names of all packs, sorted.
    pub(crate) fn packs(&self) -> Result<Vec<String>, ArchiveError> {
        self.store.list(PACKS).map_err(ArchiveError::store("list", PACKS))
    }

    /// Which snapshots there are, without reading one: a damaged one does not hide the others.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub fn listing(&self) -> Result<Listing, ArchiveError> {
        let names = self.store.list(SNAPSHOTS).map_err(ArchiveError::store("list", SNAPSHOTS))?;
        let mut listing = Listing::default();
        for name in names {
            match name.strip_prefix(SNAPSHOTS).and_then(|id| id.parse().ok()) {
                Some(id) => listing.ids.push(id),
                None => listing.strangers.push(name),
            }
        }
        Ok(listing)
    }

    /// Every snapshot's document, oldest first.
    ///
    /// # Errors
    /// The store cannot be read, or a document is damaged.
    pub fn list(&self) -> Result<Vec<SnapshotInfo>, ArchiveError> {
        let Listing { ids, strangers } = self.listing()?;
        match strangers.first() {
            Some(name) => Err(ArchiveError::damaged(name, "its name is not a snapshot's id")),
            None => ids.iter().map(|id| self.info(id)).collect(),
        }
    }

    /// A snapshot's document.
    ///
    /// # Errors
    /// There is no such snapshot, or its document is damaged or of an unknown version.
    pub fn info(&self, id: &SnapshotId) -> Result<SnapshotInfo, ArchiveError> {
        let name = blob(id);
        let bytes = small(self.store(), &name)?.ok_or(ArchiveError::NoSuchSnapshot { id: *id })?;
        SnapshotInfo::decode(&name, id, &bytes)
    }

    /// A snapshot with all its entries.
    ///
    /// # Errors
    /// There is no such snapshot, or its document or manifest is damaged.
    pub fn read(&self, id: &SnapshotId) -> Result<Snapshot, ArchiveError> {
        let info = self.info(id)?;
        let objects = self.objects(&info)?;
        let entries = manifest::read(&objects, &info)?;
        Ok(Snapshot { info, entries })
    }

    /// The objects of a snapshot, to read contents from.
    ///
    /// # Errors
    /// A pack is missing or damaged.
    pub fn objects(&self, info: &SnapshotInfo) -> Result<Objects<'_>, ArchiveError> {
        Objects::open(self.store(), &info.packs)
    }

    /// Drops what is cached of a snapshot and answers its document, read anew.
    pub(crate) fn refreshed(&self, id: &SnapshotId) -> Result<SnapshotInfo, ArchiveError> {
        let drop = |name: &str| self.store.drop_cache(name).map_err(ArchiveError::store("read anew", name));
        // Without it nobody can open the archive.
        if size(self.store(), FORMAT)?.is_some() {
            drop(FORMAT)?;
        }
        if !is_marked(self.store())? {
            return Err(ArchiveError::damaged(FORMAT, "it is missing"));
        }
        if size(self.store(), &blob(id))?.is_none() {
            return Err(ArchiveError::NoSuchSnapshot { id: *id });
        }
        drop(&blob(id))?;
        let info = self.info(id)?;
        for name in &info.packs {
            if size(self.store(), name)?.is_some() {
                drop(name)?;
            }
        }
        Ok(info)
    }

    pub(crate) fn refuse_existing(&self, id: &SnapshotId) -> Result<(), ArchiveError> {
        match size(self.store(), &blob(id))? {
            Some(_) => Err(ArchiveError::Exists { id: *id }),
            None => Ok(()),
        }
    }

    pub(crate) fn remove_info(&self, id: &SnapshotId) -> Result<(), ArchiveError> {
        let name = blob(id);
        self.store.remove(&name).map_err(ArchiveError::store("remove", &name))
    }

    pub(crate) fn write_info(&self, info: &SnapshotInfo) -> Result<(), ArchiveError> {
        let name = blob(&info.id);
        let bytes = info.encode().map_err(|error| ArchiveError::store("write", &name)(error.into()))?;
        self.store.write(&name, &mut |out| out.write_all(&bytes)).map_err(ArchiveError::store("write", &name))
    }
}

/// Whether a store says that it is an archive, of the version that is known.
fn is_marked(store: &dyn ArchiveStore) -> Result<bool, ArchiveError> {
    match small(store, FORMAT)? {
        Some(found) if found == VERSION.as_bytes() => Ok(true),
        Some(found) => Err(unknown(&found)),
        None => Ok(false),
    }
}

/// Makes an empty store an archive.
fn mark(store: &dyn ArchiveStore) -> Result<(), ArchiveError> {
    let blobs = store.list("").map_err(ArchiveError::store("list what is", ""))?;
    if let Some(found) = blobs.into_iter().find(|name| name != FORMAT) {
        return Err(if found.starts_with(PACKS) || found.starts_with(SNAPSHOTS) {
            ArchiveError::damaged(FORMAT, format!("it is missing, though {found} is there"))
        } else {
            ArchiveError::NotAnArchive { found }
        });
    }
    store
        .write(FORMAT, &mut |out| out.write_all(VERSION.as_bytes()))
        .map_err(ArchiveError::store("write", FORMAT))
}

fn size(store: &dyn ArchiveStore, name: &str) -> Result<Option<u64>, ArchiveError> {
    match store.size(name) {
        Ok(size) => Ok(Some(size)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ArchiveError::store("look for", name)(error)),
    }
}

/// A whole blob that is not large; `None` where it is not there.
fn small(store: &dyn ArchiveStore, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
    let Some(size) = size(store, name)? else { return Ok(None) };
    let length = usize::try_from(size.min(LONGEST)).unwrap_or(usize::MAX);
    if length as u64 != size {
        return Err(ArchiveError::damaged(name, "it is too long"));
    }
    let mut bytes = vec![0; length];
    read_exact(store, name, 0, &mut bytes)?;
    Ok(Some(bytes))
}

fn blob(id: &SnapshotId) -> String {
    format!("{SNAPSHOTS}{id}")
}

fn unknown(found: &[u8]) -> ArchiveError {
    let text = String::from_utf8_lossy(found).trim_end().chars().take(80).collect::<String>();
    if text.starts_with("tmp/archive/v") && found.ends_with(b"\n") {
        let known = VERSION.trim_end();
        ArchiveError::UnknownVersion { name: FORMAT.to_owned(), found: text, known }
    } else {
        ArchiveError::damaged(FORMAT, format!("it says {text:?}"))
    }
}
