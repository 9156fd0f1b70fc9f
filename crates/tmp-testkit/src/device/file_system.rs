//! The file systems that are tried.

use std::{fs::File, io, path::Path, process::Command};

use crate::context::Context;

/// A file system that lies on a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileSystem {
    /// ext4, as Linux has it: data ordered, metadata in a journal.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
}

impl FileSystem {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ext4, Self::Xfs, Self::Btrfs];

    /// Its name, as `mount -t` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// The size in bytes of a small disk: the least that leaves room for a migration. XFS refuses less than 300 MiB.
    pub fn small(self) -> u64 {
        match self {
            Self::Ext4 => 96 << 20,
            Self::Xfs => 300 << 20,
            Self::Btrfs => 160 << 20,
        }
    }

    /// Whether it bears that the block of 4 KiB there is written in part. ext4 does, since its journal has whole blocks,
    /// but for its superblock. XFS and btrfs presume a disk that writes such blocks whole: the log of XFS takes a block
    /// whose first sector is new for new.
    pub(super) fn bears_torn_blocks(self, at: u64) -> bool {
        self == Self::Ext4 && at > 0
    }

    /// Makes a new file of that size with an empty file system on it.
    ///
    /// # Errors
    /// The file is there already or cannot be made, or `mkfs` fails.
    pub fn format(self, file: &Path, size: u64, options: &[&str]) -> io::Result<()> {
        File::create_new(file).and_then(|file| file.set_len(size)).context("make", file.display())?;
        let quiet: &[&str] = match self {
            Self::Ext4 => &["-q", "-F"],
            Self::Xfs => &["-q"],
            Self::Btrfs => &["-q", "-M"],
        };
        let program = format!("mkfs.{}", self.name());
        let output = Command::new(&program).args(quiet).args(options).arg(file).output();
        let output = output.context("start", &program)?;
        if output.status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())))
        }
    }
}
