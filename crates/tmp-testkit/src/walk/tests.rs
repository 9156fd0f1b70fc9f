use std::{
    fs::{FileTimes, Permissions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, UNIX_EPOCH},
};

use super::*;

/// A tree with one of everything a plain user can make.
fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir(root.join("lib")).unwrap();
    fs::write(root.join("lib/a"), "first").unwrap();
    fs::hard_link(root.join("lib/a"), root.join("lib/b")).unwrap();
    symlink("lib/a", root.join("link")).unwrap();
    let mut sparse = File::create(root.join("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(1 << 20)).unwrap();
    sparse.write_all(b"end").unwrap();
    set_xattr(&root.join("sparse"), b"user.note", b"kept").unwrap();
    dir
}

/// The one line that differs after `change`.
fn seen(change: impl Fn(&Path)) -> String {
    let dir = sample();
    let before = fingerprint(dir.path()).unwrap();
    assert_eq!(diff(&before, &fingerprint(dir.path()).unwrap()), Vec::<String>::new());
    let root = before.entries.get(b"".as_slice()).unwrap().mtime.unwrap();
    change(dir.path());
    let time = UNIX_EPOCH + Duration::new(root.0.unsigned_abs(), u32::try_from(root.1).unwrap());
    File::open(dir.path()).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    diff(&before, &fingerprint(dir.path()).unwrap()).join("\n")
}

fn set_mtime(path: &Path, time: std::time::SystemTime) {
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn every_attribute_is_seen() {
    assert!(seen(|root| fs::write(root.join("new"), "").unwrap()).contains("/new: is new"));
    assert!(seen(|root| fs::remove_file(root.join("link")).unwrap()).contains("/link: is gone"));
    let mode =
        |root: &Path| fs::set_permissions(root.join("sparse"), Permissions::from_mode(0o4711)).unwrap();
    assert!(seen(mode).contains("/sparse: mode 0644 -> 4711"));
    let touch = |root: &Path| set_mtime(&root.join("sparse"), UNIX_EPOCH + Duration::new(7, 8));
    assert!(seen(touch).contains("-> Some((7, 8))"));
    let retarget = |root: &Path| {
        fs::remove_file(root.join("link")).unwrap();
        symlink("lib/b", root.join("link")).unwrap();
    };
    assert!(seen(retarget).contains("symlink to lib/a -> symlink to lib/b"));
    let xattr = |root: &Path| set_xattr(&root.join("sparse"), b"user.note", b"lost").unwrap();
    assert!(seen(xattr).contains("xattrs {user.note: kept} -> {user.note: lost}"));
}

#[test]
fn a_broken_hard_link_and_a_filled_hole_are_seen() {
    let unlink = |root: &Path| {
        fs::remove_file(root.join("lib/b")).unwrap();
        fs::write(root.join("lib/b"), "first").unwrap();
    };
    let text = seen(unlink);
    assert!(text.contains("/lib/b:") && text.contains("links 2 -> 1 same as Some(lib/a) -> None"), "{text}");
    let fill = |root: &Path| {
        let bytes = fs::read(root.join("sparse")).unwrap();
        let time = fs::metadata(root.join("sparse")).unwrap().modified().unwrap();
        fs::write(root.join("sparse"), bytes).unwrap();
        set_mtime(&root.join("sparse"), time);
    };
    let text = seen(fill);
    assert!(text.contains("at [(1048576, 1048579)] -> file") && !text.contains("mtime"), "{text}");
}

#[test]
fn forgotten_times_do_not_count_and_others_do() {
    let dir = sample();
    let before = fingerprint(dir.path()).unwrap();
    set_mtime(&dir.path().join("sparse"), UNIX_EPOCH);
    let after = fingerprint(dir.path()).unwrap();
    let forget = |tree: &TreeFingerprint, name: &'static [u8]| tree.without_mtimes(|path| path == name);
    assert_eq!(diff(&forget(&before, b"sparse"), &forget(&after, b"sparse")), Vec::<String>::new());
    assert_eq!(diff(&forget(&before, b"link"), &forget(&after, b"link")).len(), 1);
}
