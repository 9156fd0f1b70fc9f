//! What is done to a disk.

use std::io;

use tmp_testkit::{
    device::{DiskFault, FileSystem},
    matrix::Verdict,
    power::{Ground, Place, Shortage},
};

use crate::crash::point::Point;

/// How a disk fails at one flush: at the flush, at the writes before it, or for good.
pub(super) const FAULTS: u64 = 3;
/// How often what was not flushed is lost in other ways after one request.
pub(super) const SEEDS: u64 = 8;

/// What is done to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hurt {
    Cut,
    Replay,
    Failing,
    Sync,
    Full,
    Filled,
    Room,
    Inodes,
    Quota,
    ReadOnly,
}

impl Hurt {
    pub(super) const ALL: [Self; 10] = [
        Self::Cut,
        Self::Replay,
        Self::Failing,
        Self::Sync,
        Self::Full,
        Self::Filled,
        Self::Room,
        Self::Inodes,
        Self::Quota,
        Self::ReadOnly,
    ];

    /// One word for all places.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Cut => "power-cut",
            Self::Replay => "replay",
            Self::Failing => "failing-disk",
            Self::Sync => "failed-sync",
            Self::Full => "full",
            Self::Filled => "filled",
            Self::Room => "room",
            Self::Inodes => "inodes",
            Self::Quota => "quota",
            Self::ReadOnly => "read-only",
        }
    }

    /// The name of the matrix of one place.
    pub(super) const fn name(self, place: Place) -> &'static str {
        use FileSystem::{Btrfs, Ext4, Xfs};
        use Place::{Disk, Memory};
        match (self, place) {
            (Self::Cut, Disk(Ext4)) => "power-cut-ext4",
            (Self::Cut, Disk(Xfs)) => "power-cut-xfs",
            (Self::Replay, Disk(Ext4)) => "replay-ext4",
            (Self::Replay, Disk(Xfs)) => "replay-xfs",
            (Self::Replay, Disk(Btrfs)) => "replay-btrfs",
            (Self::Failing, Disk(Ext4)) => "failing-disk-ext4",
            (Self::Failing, Disk(Xfs)) => "failing-disk-xfs",
            (Self::Failing, Disk(Btrfs)) => "failing-disk-btrfs",
            (Self::Full, Disk(Ext4)) => "full-ext4",
            (Self::Full, Disk(Xfs)) => "full-xfs",
            (Self::Full, Disk(Btrfs)) => "full-btrfs",
            (Self::Full, Memory) => "full-tmpfs",
            (Self::Filled, Disk(Ext4)) => "filled-ext4",
            (Self::Filled, Disk(Xfs)) => "filled-xfs",
            (Self::Filled, Disk(Btrfs)) => "filled-btrfs",
            (Self::Filled, Memory) => "filled-tmpfs",
            (Self::Room, Disk(Ext4)) => "room-ext4",
            (Self::Room, Disk(Xfs)) => "room-xfs",
            (Self::Room, Disk(Btrfs)) => "room-btrfs",
            (Self::Room, Memory) => "room-tmpfs",
            (Self::Inodes, Disk(Ext4)) => "inodes-ext4",
            (Self::Inodes, Memory) => "inodes-tmpfs",
            (Self::ReadOnly, Disk(Ext4)) => "read-only-ext4",
            (Self::ReadOnly, Disk(Xfs)) => "read-only-xfs",
            (hurt, _) => hurt.word(),
        }
    }

    /// What is done, in half a sentence.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Cut => "killed before a call, then the power is cut",
            Self::Replay => "power lost after a request to the disk, what was not flushed lost, kept or torn",
            Self::Failing => "the disk refuses a flush, the writes before it, or everything from then on",
            Self::Sync => "one sync of the migration fails, then the power is cut",
            Self::Full => "killed before a call, then the disk is full",
            Self::Filled => "the disk is full from a call on",
            Self::Room => "it begins with so many KiB of room",
            Self::Inodes => "it begins with so many inodes",
            Self::Quota => "a quota leaves so many KiB",
            Self::ReadOnly => "nothing can be written from a call on",
        }
    }

    /// How many points make a sample.
    pub(super) const fn sample(self) -> u64 {
        match self {
            Self::Cut => 60,
            Self::Replay => 240,
            Self::Failing => 45,
            Self::Sync => 24,
            Self::Full => 16,
            Self::Filled | Self::Room | Self::Inodes | Self::Quota | Self::ReadOnly => 12,
        }
    }

    /// How many there are at most in a long run.
    pub(super) const fn most(self) -> u64 {
        match self {
            Self::ReadOnly => 150,
            _ => u64::MAX,
        }
    }

    /// Does it at one point: where it ended and what is to be counted. `None` where it could not be done.
    pub(super) fn attempt(
        self,
        ground: &Ground,
        point: &Point,
    ) -> io::Result<(Option<Verdict>, Option<&'static str>)> {
        let at = point.at(0).map_err(io::Error::other)?;
        let shorten = |shortage| ground.shorten(shortage);
        let verdict = match self {
            Self::Cut => Some(ground.cut(at)?),
            Self::Failing => {
                let fault = match point.at(1).map_err(io::Error::other)? {
                    0 => DiskFault::Flush(at),
                    1 => DiskFault::Writes(at),
                    _ => DiskFault::Gone(at),
                };
                let failed = ground.fail(fault)?;
                let note = (failed.failed_syncs > 0).then_some("a sync of the migration failed");
                return Ok((Some(failed.verdict).filter(|_| failed.refused > 0), note));
            }
            Self::Sync => ground.fail_sync(at)?,
            Self::Full => shorten(Shortage::FullAfter(at))?,
            Self::Filled => shorten(Shortage::FullFrom(at))?,
            Self::Room => shorten(Shortage::Kibibytes(at))?,
            Self::Inodes => shorten(Shortage::Inodes(at))?,
            Self::Quota => shorten(Shortage::Quota(at))?,
            Self::ReadOnly => shorten(Shortage::ReadOnlyFrom(at))?,
            Self::Replay => return Err(io::Error::other("there is no recording")),
        };
        Ok((verdict, None))
    }
}
