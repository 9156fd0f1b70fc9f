//! A disk whose clock has a tick of ten seconds.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::Path,
    sync::Arc,
};

use tmp_core::{Mode, module::Timestamp};
use tmp_disk::{At, Dir, Disk, Extent, FileSystem, Lock, OpenFile, Rename, Right, Sharing, Stat};

/// Another disk, whose times are those of the beginning of a tick.
#[derive(Debug)]
pub(crate) struct Coarse(pub(crate) Arc<dyn Disk>);

macro_rules! pass {
    ($($call:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(fn $call(&self, $($arg: $type),*) -> io::Result<$answer> {
            self.0.$call($($arg),*)
        })*
    };
}

impl Disk for Coarse {
    fn stat(&self, at: At<'_>) -> io::Result<Option<Stat>> {
        let tick = |time: Timestamp| Timestamp { seconds: time.seconds / 10 * 10, nanoseconds: 0 };
        let coarse = |stat: Stat| Stat { mtime: tick(stat.mtime), ctime: tick(stat.ctime), ..stat };
        Ok(self.0.stat(at)?.map(coarse))
    }

    pass! {
        open_root(path: &Path) -> Dir;
        open_dir(dir: &Dir, path: &OsStr) -> Dir;
        list(dir: &Dir) -> Vec<OsString>;
        open_file(at: At<'_>) -> OpenFile;
        read_at(file: &OpenFile, offset: u64, buffer: &mut [u8]) -> usize;
        extents(file: &OpenFile, size: u64) -> Vec<Extent>;
        drop_cache(file: &OpenFile) -> ();
        read_link(at: At<'_>) -> Vec<u8>;
        xattrs(at: At<'_>) -> BTreeMap<Vec<u8>, Vec<u8>>;
        file_system(dir: &Dir) -> FileSystem;
        create_file(at: At<'_>, mode: Mode) -> OpenFile;
        open_file_to_write(at: At<'_>) -> OpenFile;
        write_at(file: &OpenFile, offset: u64, bytes: &[u8]) -> usize;
        allocate(file: &OpenFile, size: u64) -> ();
        set_len(file: &OpenFile, size: u64) -> ();
        clone_file(from: &OpenFile, to: &OpenFile) -> bool;
        create_dir(at: At<'_>, mode: Mode) -> ();
        create_symlink(at: At<'_>, target: &[u8]) -> ();
        create_link(from: At<'_>, to: At<'_>) -> ();
        rename(from: At<'_>, to: At<'_>, how: Rename) -> ();
        remove_file(at: At<'_>) -> ();
        remove_dir(at: At<'_>) -> ();
        set_mode(at: At<'_>, mode: Mode) -> ();
        set_owner(at: At<'_>, uid: u32, gid: u32) -> ();
        set_mtime(at: At<'_>, time: Timestamp) -> ();
        set_xattr(at: At<'_>, name: &[u8], value: &[u8]) -> ();
        remove_xattr(at: At<'_>, name: &[u8]) -> ();
        sync_data(file: &OpenFile) -> ();
        sync_file(file: &OpenFile) -> ();
        sync_dir(dir: &Dir) -> ();
        sync_all(dir: &Dir) -> ();
        may(right: Right<'_>) -> ();
        is_locked(at: At<'_>) -> bool;
        try_lock(at: At<'_>, note: &str) -> Option<Lock>;
        try_lock_existing(at: At<'_>, sharing: Sharing) -> Option<Lock>;
    }
}
