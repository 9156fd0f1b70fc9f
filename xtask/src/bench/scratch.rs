//! A file system for each run: an empty ext4 on a loop device.
//!
//! Otherwise a run pays for the inodes that the one before it deleted (ext4 does not use them again for a while, and
//! creating becomes several times slower), and `sync` flushes what is not the run's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Done, shell};

/// The loop device with its file system.
#[derive(Debug)]
pub(super) struct Scratch {
    device: String,
    mounted: PathBuf,
}

impl Scratch {
    /// Makes the image, which is written once so that no run pays for its blocks, and mounts it.
    pub(super) fn make(folder: &Path, small: bool) -> Done<Self> {
        let image = folder.join(if small { "scratch-small.img" } else { "scratch.img" });
        let mounted = folder.join("scratch");
        std::fs::create_dir_all(&mounted)?;
        if !image.exists() {
            let blocks = if small { "count=192" } else { "count=1536" };
            let to = format!("of={}", image.display());
            shell::run(Command::new("dd").args(["if=/dev/zero", &to, "bs=4M", blocks, "status=none"]))?;
        }
        unmount(&mounted)?;
        let lookup = shell::read(Command::new("losetup").arg("-j").arg(&image))?;
        let device = match lookup.split(':').next().filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => shell::read(Command::new("losetup").args(["--direct-io=on", "--show", "-f"]).arg(&image))
                .map_err(|error| format!("{error}: the bench needs root for its file systems"))?
                .trim()
                .to_owned(),
        };
        let scratch = Self { device, mounted };
        scratch.fresh()?;
        Ok(scratch)
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> &Path {
        &self.mounted
    }

    /// Empties it by making it anew.
    pub(super) fn fresh(&self) -> Done {
        unmount(&self.mounted)?;
        let extended = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        shell::run(Command::new("mkfs.ext4").args([
            "-q",
            "-F",
            "-N",
            "500000",
            "-E",
            extended,
            &self.device,
        ]))?;
        shell::run(Command::new("mount").args(["-o", "noatime", &self.device]).arg(&self.mounted))
    }
}

fn unmount(mounted: &Path) -> Done {
    if shell::works(Command::new("mountpoint").arg("-q").arg(mounted)) {
        shell::run(Command::new("umount").arg(mounted))?;
    }
    Ok(())
}

impl Drop for Scratch {
    /// Lets go of the device; the image stays for the next time.
    fn drop(&mut self) {
        if unmount(&self.mounted).is_ok() {
            shell::works(Command::new("losetup").arg("-d").arg(&self.device));
        }
    }
}
