//! A mounted file system.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    mount::{MntFlags, umount2},
};

use super::FileSystem;
use crate::context::Context;

/// How long an unmount waits for whatever still has something open.
const PATIENCE: Duration = Duration::from_secs(10);

/// A mounted file system. Dropped, it goes as soon as nobody uses it any more.
#[derive(Debug)]
#[must_use = "unmount it"]
pub struct Mount {
    at: PathBuf,
    mounted: bool,
}

impl Mount {
    /// Mounts the file of a disk through a loop device that goes with the mount. Replays the journal of the file system.
    ///
    /// # Errors
    /// It cannot be mounted; the text is what `mount` says.
    pub fn disk(file: &Path, at: &Path, on: FileSystem, options: &[&str]) -> io::Result<Self> {
        // Two disks may begin as the same image and be mounted at once, which XFS takes for a mistake.
        let own: &[&str] = if on == FileSystem::Xfs { &["loop", "nouuid"] } else { &["loop"] };
        let options: Vec<_> = own.iter().chain(options).copied().collect();
        run(Command::new("mount").args(["-t", on.name(), "-o", &options.join(",")]).arg(file).arg(at))?;
        Ok(Self { at: at.to_owned(), mounted: true })
    }

    /// Mounts a file system in memory.
    ///
    /// # Errors
    /// As [`Mount::disk`].
    pub fn memory(at: &Path, options: &str) -> io::Result<Self> {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at))?;
        Ok(Self { at: at.to_owned(), mounted: true })
    }

    /// Stops the file system from writing anything more, as a loss of power does: what it had not written yet, its
    /// journal included, is lost. Every later call on it fails with EIO. ext4 and XFS can do that.
    ///
    /// # Errors
    /// The file system cannot, or `xfs_io` cannot be started.
    pub fn cut_power(&self) -> io::Result<()> {
        run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.at))
    }

    /// Makes the file system read-only under whoever uses it, as it does itself after an error of its disk. ext4 can do
    /// that.
    ///
    /// # Errors
    /// The file system cannot, or `mount` cannot be started.
    pub fn abort(&self) -> io::Result<()> {
        run(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.at))
    }

    /// Unmounts it; waits a while for whatever is still open.
    ///
    /// # Errors
    /// It is in use all the time.
    pub fn unmount(mut self) -> io::Result<()> {
        self.mounted = false;
        unmount(&self.at)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            // It goes with the namespace at the latest.
            let _ = umount2(&self.at, MntFlags::MNT_DETACH);
        }
    }
}

/// Unmounts what is mounted there, waiting for whoever still uses it.
pub(super) fn unmount(at: &Path) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match umount2(at, MntFlags::empty()) {
            Err(Errno::EBUSY) if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            ended => return ended.context("unmount", at.display()),
        }
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let name = command.get_program().display().to_string();
    let output = command.output().context("start", &name)?;
    if output.status.success() {
        Ok(())
    } else {
        let said = [output.stdout, output.stderr].concat();
        Err(io::Error::other(format!("{name}: {}", String::from_utf8_lossy(&said).trim())))
    }
}
