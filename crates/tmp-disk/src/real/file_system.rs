//! File systems by the numbers that `statfs` gives them.

use std::{io, os::fd::OwnedFd};

use rustix::{fs, io::retry_on_intr};

use crate::disk::{Durability, FileSystem};

/// The file system a directory lies on.
pub(super) fn of(dir: &OwnedFd) -> io::Result<FileSystem> {
    // The field is signed on some machines; the number is 32 bits wide on all.
    let magic = retry_on_intr(|| fs::fstatfs(dir))?.f_type & 0xffff_ffff;
    let space = retry_on_intr(|| fs::fstatvfs(dir))?;
    let (name, durability) = match known(magic) {
        Some((name, durability)) => (name.to_owned(), durability),
        None => (format!("unknown ({magic:#x})"), Durability::Local),
    };
    Ok(FileSystem {
        name,
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        // btrfs and others make inodes on demand and say 0 of 0.
        free_inodes: (space.f_files > 0).then_some(space.f_favail),
        durability,
    })
}

/// Numbers from `linux/magic.h` and from the sources of the file systems themselves.
fn known(magic: i64) -> Option<(&'static str, Durability)> {
    Some(match magic {
        // ext2 and ext3 have the same number.
        0xef53 => ("ext4", Durability::Local),
        0x5846_5342 => ("xfs", Durability::Local),
        0x9123_683e => ("btrfs", Durability::Local),
        0xf2f5_2010 => ("f2fs", Durability::Local),
        0xca45_1a4e => ("bcachefs", Durability::Local),
        0x2fc1_2fc1 => ("zfs", Durability::Local),
        0x794c_7630 => ("overlay", Durability::Local),
        0x3153_464a => ("jfs", Durability::Local),
        0x5265_4973 => ("reiserfs", Durability::Local),
        0x3434 => ("nilfs2", Durability::Local),
        0x4d44 => ("vfat", Durability::Local),
        0x2011_bab0 => ("exfat", Durability::Local),
        0x7366_746e => ("ntfs3", Durability::Local),
        0x2405_1905 => ("ubifs", Durability::Local),
        0x0102_1994 => ("tmpfs", Durability::Ephemeral),
        0x8584_58f6 => ("ramfs", Durability::Ephemeral),
        0x9584_58f6 => ("hugetlbfs", Durability::Ephemeral),
        0x9fa0 => ("proc", Durability::Ephemeral),
        0x6265_6572 => ("sysfs", Durability::Ephemeral),
        0x6969 => ("nfs", Durability::Remote),
        0xff53_4d42 => ("cifs", Durability::Remote),
        0xfe53_4d42 => ("smb2", Durability::Remote),
        0x517b => ("smb", Durability::Remote),
        0x6573_5546 => ("fuse", Durability::Remote),
        0x0102_1997 => ("9p", Durability::Remote),
        0x00c3_6400 => ("ceph", Durability::Remote),
        0x0bd0_0bd0 => ("lustre", Durability::Remote),
        0x5346_414f => ("afs", Durability::Remote),
        0x7375_7245 => ("coda", Durability::Remote),
        0x0116_1970 => ("gfs2", Durability::Remote),
        0x7461_636f => ("ocfs2", Durability::Remote),
        0x786f_4256 => ("vboxsf", Durability::Remote),
        0x6163_6673 => ("acfs", Durability::Remote),
        0x4750_4653 => ("gpfs", Durability::Remote),
        _ => return None,
    })
}
