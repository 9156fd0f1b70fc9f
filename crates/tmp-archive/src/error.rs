//! What can go wrong with an archive.

use std::io;

use tmp_core::{
    DatabaseName,
    store::{ArchiveStore, Hold},
};
use tmp_disk::DiskError;

use crate::{EntryPath, SnapshotId};

/// An archive did not do what was asked. The store is whole after any of these: what was in it
/// before is in it still, and nothing half-written counts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The store did not do what was asked of it.
    #[error("cannot {doing} {name} in the archive")]
    Store {
        /// What was asked.
        doing: &'static str,
        /// The blob.
        name: String,
        /// What it said.
        source: io::Error,
    },
    /// The disk did not do what was asked of it.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is something in the store, and it is no archive.
    #[error("the store holds no archive but other things, {found} for one; give it a folder of its own")]
    NotAnArchive {
        /// The first thing found.
        found: String,
    },
    /// Somebody else has the archive open.
    #[error("{}", match .how {
        Hold::Shared => "the archive is being pruned; try again when that has ended",
        Hold::Alone => "the archive is in use; try again when nothing else uses it",
    })]
    Held {
        /// How it was to be opened.
        how: Hold,
    },
    /// A newer release wrote this.
    #[error("{name} has the format {found}, this release reads {known}; use the release that wrote it")]
    UnknownVersion {
        /// The blob.
        name: String,
        /// The format it says it has.
        found: String,
        /// The format that is known.
        known: &'static str,
    },
    /// Bytes in the store are not what was written.
    #[error("{name} in the archive is damaged: {fault}")]
    Damaged {
        /// The blob or the object.
        name: String,
        /// What is wrong with it.
        fault: String,
    },
    /// No snapshot has this id.
    #[error("there is no snapshot {id}")]
    NoSuchSnapshot {
        /// The id.
        id: SnapshotId,
    },
    /// A snapshot has this id already.
    #[error("there is a snapshot {id} already")]
    Exists {
        /// The id.
        id: SnapshotId,
    },
    /// The snapshot has no such database.
    #[error("snapshot {id} has no database {database}")]
    NoSuchDatabase {
        /// The snapshot.
        id: SnapshotId,
        /// The database.
        database: DatabaseName,
    },
    /// The snapshot says nothing about a path.
    #[error("snapshot {id} does not cover {path}")]
    NotCovered {
        /// The snapshot.
        id: SnapshotId,
        /// The path.
        path: EntryPath,
    },
    /// A glob cannot be read.
    #[error("a glob of what is ignored cannot be read: {fault}")]
    Glob {
        /// What is wrong with it.
        fault: String,
    },
    /// A device, FIFO or socket.
    #[error("{path} is a device, FIFO or socket, which cannot be archived; remove it or ignore it")]
    Special {
        /// Where it stands.
        path: EntryPath,
    },
    /// Something changed while it was read; a file, twice in a row.
    #[error("{path} changed while it was read; stop whatever writes there and try again")]
    Changed {
        /// Which module.
        path: EntryPath,
    },
    /// A name that no path of a snapshot can hold.
    #[error("a name in {path} cannot be archived: {fault}")]
    Name {
        /// The directory.
        path: EntryPath,
        /// What is wrong with it.
        fault: String,
    },
    /// What is exported cannot be said in a tar, or not be written.
    #[error("cannot export {path}")]
    Export {
        /// Which entry.
        path: EntryPath,
        /// Why.
        source: io::Error,
    },
}

impl ArchiveError {
    /// What a disk or the store said that may say something else another time; else the error itself, which is about what
    /// is or is not in the archive.
    ///
    /// # Errors
    /// It is no error of that kind.
    pub fn into_disk(self) -> Result<DiskError, Self> {
        match self {
            Self::Disk(source) => Ok(source),
            Self::Store { doing, name, source } if source.kind() != io::ErrorKind::NotFound => {
                Ok(DiskError { doing, path: name, source })
            }
            error => Err(error),
        }
    }

    /// Says of a store's error what was asked of it.
    pub(crate) fn store(doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Store { doing, name: name.to_owned(), source }
    }

    /// Says what is wrong with something in the store.
    pub(crate) fn damaged(name: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::Damaged { name: name.into(), fault: fault.into() }
    }

    /// Says of a disk's error where it happened.
    pub(crate) fn disk(doing: &'static str, path: &EntryPath) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk(DiskError { doing, path: path.to_string(), source })
    }
}

/// Reads exactly `length` bytes of a blob at `offset`.
pub(crate) fn read_exact(
    store: &dyn ArchiveStore,
    name: &str,
    mut offset: u64,
    buffer: &mut [u8],
) -> Result<(), ArchiveError> {
    let mut rest = buffer;
    while !rest.is_empty() {
        let read = store.read_at(name, offset, rest).map_err(ArchiveError::store("read", name))?;
        if read == 0 {
            return Err(ArchiveError::damaged(name, "it ends too early"));
        }
        offset += read as u64;
        rest = rest.get_mut(read..).unwrap_or_default();
    }
    Ok(())
}
