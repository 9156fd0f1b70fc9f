//! Access control lists: extended attributes that the kernel gives a meaning.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use tmp_core::{Mode, module::Kind};
use tmp_disk::{At, Disk as _, RealDisk, observe, set_attributes};

const ACL: &[u8] = b"system.posix_acl_access";

/// The binary form of a list (`linux/posix_acl_xattr.h`): version 2, then tag, permissions and id each.
fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

#[test]
fn an_access_control_list_is_observed_set_and_removed() {
    const NOBODY: u32 = u32::MAX;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for name in ["with", "without"] {
        std::fs::write(folder.path().join(name), b"x").unwrap();
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(folder.path().join(name), mode).unwrap();
    }
    let dir = RealDisk.open_root(folder.path()).unwrap();
    let (with, without) = (At::new(&dir, "with"), At::new(&dir, "without"));
    // user::rw- user:4711:r-- group::r-- mask::rw- other::---
    let list = acl(&[(1, 6, NOBODY), (2, 4, 4711), (4, 4, NOBODY), (0x10, 6, NOBODY), (0x20, 0, NOBODY)]);
    if let Err(error) = RealDisk.set_xattr(with, ACL, &list) {
        // A file system without lists has none to lose; it must say so rather than lie.
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        return;
    }
    let plain = observe(&RealDisk, without).unwrap().unwrap().attributes();
    let listed = observe(&RealDisk, with).unwrap().unwrap().attributes();
    assert_eq!(listed.xattrs.get(ACL), Some(&list));
    assert_eq!(listed.mode, Mode::from_bits(0o660), "the mask shows as the group's permissions");

    set_attributes(&RealDisk, without, Kind::File, &listed).unwrap();
    assert_eq!(observe(&RealDisk, without).unwrap().unwrap().attributes(), listed);
    set_attributes(&RealDisk, with, Kind::File, &plain).unwrap();
    assert_eq!(observe(&RealDisk, with).unwrap().unwrap().attributes(), plain);
    let metadata = std::fs::metadata(folder.path().join("with")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o640, plain.mtime.seconds));
}
