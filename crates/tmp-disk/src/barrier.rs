//! When what was written is durable.

use std::{ffi::OsStr, sync::Arc};

use tmp_core::mutant;

use crate::{
    disk::{Dir, Disk, OpenFile},
    error::DiskError,
};

/// Below this number of files and directories each is synced on its own: one `syncfs` is faster for
/// many, but waits for what everybody else has written as well.
const FEW: usize = 32;

/// File systems whose `fsync` of single files and directories is relied on. On btrfs it is not (its log
/// of single inodes has a long history of faults), and others are not known well enough.
const EACH: [&str; 2] = ["ext4", "xfs"];

/// A point after which what was written before is durable. Opened before anything is written, so that
/// no error of writing goes unseen.
#[derive(Debug)]
#[must_use = "nothing is durable before `settle`"]
pub struct Barrier {
    disk: Arc<dyn Disk>,
    handle: Dir,
    each: bool,
}

impl Barrier {
    /// A barrier for the file system of `dir`, which sees every error from now on.
    ///
    /// # Errors
    /// The directory cannot be opened once more, or its file system cannot be asked.
    pub fn open(disk: &Arc<dyn Disk>, dir: &Dir) -> Result<Self, DiskError> {
        let open = || {
            let handle = disk.open_dir(dir, OsStr::new(""))?;
            let each = EACH.contains(&disk.file_system(&handle)?.name.as_str());
            Ok(Self { disk: Arc::clone(disk), handle, each })
        };
        open().map_err(DiskError::at("open a barrier on", ""))
    }

    /// Makes durable the content and attributes of `files` and the entries and attributes of `dirs`, and
    /// possibly more. All must lie on the file system of the barrier; `dirs` holds every directory whose
    /// entries changed, sources of renames included.
    ///
    /// # Errors
    /// A sync failed. What is durable is unknown then, and asking again would not tell: the caller must
    /// neither retry nor write on, but stop, so that recovery starts from what is on the disk.
    pub fn settle(&self, files: &[OpenFile], dirs: &[Dir]) -> Result<(), DiskError> {
        let settle = || {
            if !self.each || files.len() + dirs.len() >= FEW {
                return self.disk.sync_all(&self.handle);
            }
            files.iter().try_for_each(|file| self.disk.sync_file(file))?;
            dirs.iter().try_for_each(|dir| self.disk.sync_dir(dir))
        };
        if mutant::is("retry-sync") {
            return settle().or_else(|_| settle()).or(Ok(()));
        }
        settle().map_err(DiskError::at("make durable what was written to", "the file system"))
    }
}
