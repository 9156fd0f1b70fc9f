//! Locks of files.

use super::SimDisk;
use crate::disk::Sharing;

/// What a held lock is here.
pub(super) struct Held {
    disk: SimDisk,
    inode: u64,
}

impl Held {
    /// Takes the lock of an inode; `None` when somebody holds one that excludes it.
    pub(super) fn take(disk: &SimDisk, inode: u64, sharing: Sharing) -> Option<Self> {
        let mut state = disk.state();
        match (state.locks.get_mut(&inode), sharing) {
            (None, _) => drop(state.locks.insert(inode, (sharing, 1))),
            (Some((Sharing::Shared, holders)), Sharing::Shared) => *holders += 1,
            _ => return None,
        }
        drop(state);
        Some(Self { disk: disk.clone(), inode })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        match state.locks.get_mut(&self.inode) {
            Some((_, holders)) if *holders > 1 => *holders -= 1,
            _ => drop(state.locks.remove(&self.inode)),
        }
    }
}
