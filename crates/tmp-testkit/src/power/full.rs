//! Disks that are full, rationed or suddenly read-only.

use std::{
    fs::{self, File},
    io,
    path::Path,
    process::Command,
    sync::Mutex,
};

use super::{Ground, Place};
use crate::{
    context::Context,
    device::{FileSystem, Mount, fill},
    matrix::Verdict,
    stepper::{Action, StepOutcome},
};

/// What a migration has not enough of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shortage {
    /// `tmp run` is killed before its call of this number and the disk is filled up; it has to recover there.
    FullAfter(u64),
    /// The disk is filled up before the call of this number, and `tmp run` goes on; it has to recover there.
    FullFrom(u64),
    /// Nothing can be written from the call of this number on: ext4 turns read-only as after an error of the disk, XFS
    /// shuts down. The disk is mounted again for the recovery.
    ReadOnlyFrom(u64),
    /// So many KiB are left when it begins.
    Kibibytes(u64),
    /// So many inodes are left when it begins. ext4 and tmpfs have a fixed number of them.
    Inodes(u64),
    /// A quota leaves so many KiB when it begins. btrfs has quotas that hold for root.
    Quota(u64),
}

impl Ground {
    /// Migrates with that shortage and lets it recover. `None` where it was killed before it had a journal: then nothing was
    /// begun that could be recovered.
    ///
    /// # Errors
    /// The file system cannot have that shortage, a tool fails or a command cannot be started; what is wrong with the
    /// migration is no error.
    pub fn shorten(&self, shortage: Shortage) -> io::Result<Option<Verdict>> {
        let (at, mut mount) = (self.at(), self.fresh()?);
        let run = match shortage {
            Shortage::FullAfter(call) => {
                let run = self.scene().run().run(Action::Kill(call))?;
                if !self.has_begun() {
                    mount.unmount()?;
                    return Ok(None);
                }
                fill(&at)?;
                run
            }
            Shortage::FullFrom(call) => self.meanwhile(call, &|| fill(&at))?,
            Shortage::ReadOnlyFrom(call) => {
                let run = self.meanwhile(call, &|| self.stop_writing(&mount))?;
                mount.unmount()?;
                mount = self.mount()?;
                run
            }
            Shortage::Kibibytes(kibibytes) => self.after(leave_space(&at, kibibytes << 10))?,
            Shortage::Inodes(inodes) => self.after(leave_inodes(&at, inodes))?,
            Shortage::Quota(kibibytes) => self.after(set_quota(&at, kibibytes << 10))?,
        };
        let verdict = self.settle(Some(&run))?;
        mount.unmount()?;
        Ok(Some(verdict))
    }

    /// Whether a migration has a journal.
    fn has_begun(&self) -> bool {
        fs::read_dir(self.scene().copy().join("state/journal")).is_ok_and(|mut found| {
            found.any(|found| found.is_ok_and(|found| found.path().join("journal").exists()))
        })
    }

    fn after(&self, prepared: io::Result<()>) -> io::Result<StepOutcome> {
        prepared.and_then(|()| self.scene().run().run(Action::Count))
    }

    fn meanwhile(&self, call: u64, act: &(dyn Fn() -> io::Result<()> + Sync)) -> io::Result<StepOutcome> {
        let failed = Mutex::new(None);
        let run = self.scene().run().run_meanwhile(call, &|| {
            if let (Err(error), Ok(mut failed)) = (act(), failed.lock()) {
                *failed = Some(error);
            }
        })?;
        match failed.into_inner() {
            Ok(None) => Ok(run),
            Ok(Some(error)) => Err(error),
            Err(_) => Err(io::Error::other("something panicked meanwhile")),
        }
    }

    fn stop_writing(&self, mount: &Mount) -> io::Result<()> {
        match self.place() {
            Place::Disk(FileSystem::Ext4) => mount.abort(),
            Place::Disk(FileSystem::Xfs) => mount.cut_power(),
            place => {
                Err(io::Error::other(format!("{} cannot be made read-only under a writer", place.name())))
            }
        }
    }
}

/// How much less is taken where a file system has less room than it says, in bytes.
const MORE: u64 = 64 << 10;

/// Leaves so many bytes free, or a little more.
fn leave_space(at: &Path, bytes: u64) -> io::Result<()> {
    let found = rustix::fs::statvfs(at).context("look at", at.display())?;
    let mut taken = (found.f_bavail * found.f_frsize).saturating_sub(bytes).max(1);
    let file = File::create_new(at.join("taken")).context("take room on", at.display())?;
    loop {
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, taken) {
            // What a file takes besides its bytes is said to be free as well.
            Err(rustix::io::Errno::NOSPC) if taken > MORE => taken -= MORE,
            done => return done.context("take room on", at.display()),
        }
    }
}

/// Leaves so many inodes.
fn leave_inodes(at: &Path, inodes: u64) -> io::Result<()> {
    let folder = at.join("taken");
    fs::create_dir(&folder).context("make", folder.display())?;
    let found = rustix::fs::statvfs(at).context("look at", at.display())?;
    for number in inodes..found.f_favail {
        File::create_new(folder.join(number.to_string())).context("take an inode on", at.display())?;
    }
    Ok(())
}

/// Leaves so many bytes by a quota of the whole file system.
fn set_quota(at: &Path, bytes: u64) -> io::Result<()> {
    let btrfs = |words: &[&str]| {
        let output = Command::new("btrfs").args(words).arg(at).output().context("start", "btrfs")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("btrfs {}: {said}", words.join(" "))))
        }
    };
    let found = rustix::fs::statvfs(at).context("look at", at.display())?;
    let used = (found.f_blocks - found.f_bfree) * found.f_frsize;
    btrfs(&["quota", "enable"])?;
    btrfs(&["quota", "rescan", "-w"])?;
    btrfs(&["qgroup", "limit", &(used + bytes).to_string()])
}
