//! What stands at a name, asked by `statx`.

use std::{ffi::OsStr, io, os::fd::OwnedFd};

use rustix::{
    fs::{self, AtFlags, FileType, StatxAttributes, StatxFlags, StatxTimestamp},
    io::{Errno, retry_on_intr},
};
use tmp_core::{
    Mode,
    module::{Kind, Timestamp},
};

use crate::disk::{Identity, Stat};

/// What stands at a name in `dir`, or `dir` itself where the name is empty.
pub(super) fn stat(dir: &OwnedFd, name: &OsStr) -> io::Result<Option<Stat>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::EMPTY_PATH;
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    let found = match retry_on_intr(|| fs::statx(dir, name, flags, mask)) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let has = StatxFlags::from_bits_retain(found.stx_mask);
    if !has.contains(StatxFlags::BASIC_STATS | StatxFlags::MNT_ID) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "statx tells no mount id (Linux 5.8 does)"));
    }
    let fixed = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    Ok(Some(Stat {
        kind: match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            _ => Kind::Special,
        },
        identity: Identity {
            inode: found.stx_ino,
            born: has.contains(StatxFlags::BTIME).then(|| timestamp(found.stx_btime)),
        },
        mode: Mode::from_bits(found.stx_mode.into()),
        uid: found.stx_uid,
        gid: found.stx_gid,
        size: found.stx_size,
        // Counted in units of 512 bytes, whatever the block size (stat(2)).
        allocated: found.stx_blocks.saturating_mul(512),
        links: found.stx_nlink.into(),
        mtime: timestamp(found.stx_mtime),
        ctime: timestamp(found.stx_ctime),
        immutable: found.stx_attributes.intersects(fixed),
        mount: found.stx_mnt_id,
        device: fs::makedev(found.stx_dev_major, found.stx_dev_minor),
    }))
}

fn timestamp(time: StatxTimestamp) -> Timestamp {
    Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec }
}
