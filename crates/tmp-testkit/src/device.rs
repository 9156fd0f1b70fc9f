//! Disks that tests own: images with a real file system on them, whose power can be cut and whose errors are chosen.
//!
//! Needs root, loop devices, and for a [`ServedDisk`] FUSE: [`missing`] says what is not there. Everything is
//! mounted in a mount namespace of its own ([`privately`]), so that whatever ends the process takes every
//! mount and every loop device with it.

mod dice;
mod file_system;
mod fill;
mod image;
mod log;
mod mount;
mod private;
mod served;

use std::path::Path;

pub use self::{
    file_system::FileSystem,
    fill::fill,
    image::Image,
    log::{DiskLog, LogEntry},
    mount::Mount,
    private::privately,
    served::{DiskFault, ServedDisk},
};

/// What this machine lacks of what disks need, one short phrase each; nothing where all is there.
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("root".to_owned());
    }
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if !Path::new(device).exists() {
            missing.push(device.to_owned());
        }
    }
    let programs = ["mount", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "xfs_io", "btrfs"];
    missing.extend(
        programs.iter().filter(|program| !is_installed(program)).map(|program| (*program).to_owned()),
    );
    missing
}

/// Whether a program lies where root's programs lie.
fn is_installed(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|folder| Path::new(folder).join(program).exists())
}

#[cfg(test)]
mod tests;
