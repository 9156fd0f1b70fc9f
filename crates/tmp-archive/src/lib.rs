//! Snapshots: what stood at some paths of a tree, and what some databases held, so that it can be
//! proven and put back.
//!
//! An [`Archive`] keeps them in an [`ArchiveStore`](tmp_core::store::ArchiveStore), such as a
//! [`DirectoryStore`]. Content lies in pack files as objects named by their SHA-256, each stored once
//! per store. A snapshot is written after everything it needs is durable, so it exists whole or not at
//! all. Format: `docs/format/archive.md`.
//!
//! Memory: about 1 MiB buffers, plus [`BYTES_PER_OBJECT`] for each object of the packs at hand and,
//! where a snapshot is read, [`BYTES_PER_ENTRY`] for each of its entries. It does not grow with the
//! length of a file, but for 33 bytes per piece of [`PIECE`] bytes.

mod archive;
mod block;
mod capture;
mod compare;
mod database;
mod diff;
mod directory;
mod earlier;
mod entry;
mod error;
mod export;
mod id;
mod ignored;
mod index;
mod manifest;
mod manifest_writer;
mod objects;
mod order;
mod pack;
mod packer;
mod parents;
mod path;
mod placer;
mod produce;
mod prune;
mod reader;
mod reading;
mod restore;
mod retention;
mod shelf;
mod short;
mod snapshot;
mod stat_cache;
mod survey;
mod text;
mod threads;
mod trusted;
mod verify;
mod walk;
mod workers;
mod writer;

pub use archive::{Archive, Listing};
pub use block::PIECE;
pub use capture::{Capture, Captured, DatabaseCopy, Progress, Whole};
pub use compare::{Difference, Facet};
pub use diff::SnapshotDiff;
pub use directory::DirectoryStore;
pub use entry::{Content, Entry, FileEntry};
pub use error::ArchiveError;
pub use id::{SnapshotId, SnapshotIdError};
pub use ignored::Ignored;
pub use objects::Objects;
pub use path::{EntryPath, EntryPathError};
pub use prune::{PrunePlan, Pruner};
pub use reader::ContentReader;
pub use restore::{Beside, Restored, Selection};
pub use retention::Retention;
pub use snapshot::{ArchivedDatabase, Manifest, Snapshot, SnapshotInfo, SnapshotKind, Totals};
pub use verify::Verified;

/// What one object costs in memory while its pack is at hand, about.
pub const BYTES_PER_OBJECT: usize = 160;

/// What one entry of a snapshot costs in memory while the snapshot is read, about, without its name,
/// its symlink's text and its extended attributes.
pub const BYTES_PER_ENTRY: usize = 320;
