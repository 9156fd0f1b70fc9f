//! A folder with trees and a store.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use tmp_archive::{Archive, Capture, DirectoryStore, SnapshotId, SnapshotKind};
use tmp_core::{EnvironmentName, ModulePath};
use tmp_disk::{Disk, RealDisk, Tree};
use tmp_testkit::walk::set_xattr;

pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) disk: Arc<dyn Disk>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), disk: Arc::new(RealDisk) }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A directory in the folder, made where it is not there.
    pub(crate) fn tree(&self, name: &str) -> Tree {
        fs::create_dir_all(self.path(name)).unwrap();
        Tree::open(&self.disk, &self.path(name)).unwrap()
    }

    pub(crate) fn archive(&self) -> Archive {
        open(&self.disk, &self.path("store"))
    }
}

pub(crate) fn open(disk: &Arc<dyn Disk>, path: &Path) -> Archive {
    Archive::open(Arc::new(DirectoryStore::open(disk, path).unwrap())).unwrap()
}

pub(crate) const fn id(number: u128) -> SnapshotId {
    SnapshotId::from_bits(number)
}

/// A capture of the whole of a tree.
pub(crate) fn whole(number: u128, tree: &Tree) -> Capture<'_> {
    Capture {
        id: id(number),
        kind: SnapshotKind::System,
        parent: None,
        migration: None,
        system: "billing".parse().unwrap(),
        environment: EnvironmentName::Production,
        site: "berlin".parse().unwrap(),
        made: time::OffsetDateTime::UNIX_EPOCH,
        tree,
        paths: &[],
        databases: &[],
    }
}

/// A capture of some paths of a tree.
pub(crate) fn portion<'a>(number: u128, tree: &'a Tree, paths: &'a [ModulePath]) -> Capture<'a> {
    Capture { kind: SnapshotKind::Portion, paths, ..whole(number, tree) }
}

pub(crate) fn paths(texts: &[&str]) -> Vec<ModulePath> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// No progress is shown.
pub(crate) fn quiet(_: u64, _: u64) {}

/// Adds what random trees do not have: names that are no text, a file of several pieces with a hole in the
/// middle, a small one that is only a hole, set-user-id, other owners, ACLs, a hard link to the far end, an empty name-like directory.
pub(crate) fn add_oddities(root: &Path) {
    let odd = root.join(OsStr::from_bytes(b"odd \xff\\\n"));
    fs::create_dir_all(odd.join("inner")).unwrap();
    fs::write(odd.join(OsStr::from_bytes(b"\xfe")), b"not text").unwrap();
    std::os::unix::fs::symlink(OsStr::from_bytes(b"\xfd/nowhere"), odd.join("dangling")).unwrap();
    let big = fs::File::create(odd.join("big")).unwrap();
    big.write_all_at(&noise(3 << 20), 0).unwrap();
    big.write_all_at(b"after the hole", 9 << 20).unwrap();
    fs::File::create(odd.join("nothing")).unwrap().set_len(1 << 16).unwrap();
    let long = odd.join("n".repeat(200));
    fs::write(&long, noise((1 << 20) + 1)).unwrap();
    fs::hard_link(&long, root.join(format!("far {}", "m".repeat(180)))).unwrap();
    fs::set_permissions(&long, fs::Permissions::from_mode(0o4751)).unwrap();
    if chown(odd.join("inner"), Some(4711), Some(3_000_000)).is_ok() {
        chown(&long, Some(3_000_001), None).unwrap();
        fs::set_permissions(&long, fs::Permissions::from_mode(0o6751)).unwrap();
    }
    // user::rw-, user:4711:r--, group::r--, mask::r--, other::--- as the kernel keeps it.
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 4, 4711), (4, 4, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)];
    let mut acl = vec![2, 0, 0, 0];
    for (tag, permissions, who) in entries {
        acl.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain(who.to_le_bytes()));
    }
    set_xattr(&odd.join("big"), b"system.posix_acl_access", &acl).unwrap();
    set_xattr(&odd.join("inner"), b"system.posix_acl_default", &acl).unwrap();
    set_xattr(&odd, b"user.a=b%", b"\0=\n\xff").unwrap();
}

/// Bytes that do not compress, the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}
