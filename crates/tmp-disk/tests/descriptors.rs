//! What is opened is what was meant, and no command inherits it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs, io, os::unix::fs::symlink, path::Path};

use tmp_core::Mode;
use tmp_disk::{At, Disk, RealDisk, Sharing};

/// `O_CLOEXEC`, as proc(5) shows it: open(2), in octal on every architecture that Rust's tier 1 has for Linux.
const CLOSED_ON_EXEC: u32 = 0o200_0000;

/// `ELOOP`: there is a symlink where none may be.
const LOOP: i32 = 40;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// For each descriptor of this process below a folder: what is open, and whether a program that is executed gets it.
fn inherited(folder: &Path) -> Vec<(String, bool)> {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap());
    let below = descriptors.filter_map(|entry| {
        let path = fs::read_link(entry.path()).ok()?;
        let name = path.strip_prefix(folder).ok()?.display().to_string();
        let info = fs::read_to_string(Path::new("/proc/self/fdinfo").join(entry.file_name())).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        Some((name, flags & CLOSED_ON_EXEC == 0))
    });
    let mut all: Vec<_> = below.collect();
    all.sort();
    all
}

#[test]
fn no_command_inherits_what_is_open() {
    let folder = folder();
    fs::write(folder.path().join("file"), "text").unwrap();
    fs::create_dir(folder.path().join("dir")).unwrap();
    let plain = fs::File::open(folder.path().join("file")).unwrap();
    rustix::io::fcntl_setfd(&plain, rustix::io::FdFlags::empty()).unwrap();
    assert_eq!(
        inherited(folder.path()),
        [("file".to_owned(), true)],
        "the look sees what would be inherited"
    );
    drop(plain);
    let root = RealDisk.open_root(folder.path()).unwrap();
    let dir = RealDisk.open_dir(&root, "dir".as_ref()).unwrap();
    let made = RealDisk.create_file(At::new(&root, "made"), Mode::FILE).unwrap();
    let read = RealDisk.open_file(At::new(&root, "file")).unwrap();
    let written = RealDisk.open_file_to_write(At::new(&root, "file")).unwrap();
    let lock = RealDisk.try_lock(At::new(&root, "lock"), "a test").unwrap().unwrap();
    let shared = RealDisk.try_lock_existing(At::new(&root, "file"), Sharing::Shared).unwrap().unwrap();
    let all = inherited(folder.path());
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["", "dir", "file", "file", "file", "lock", "made"]);
    assert!(all.iter().all(|(_, inherited)| !inherited), "{all:?}");
    drop((root, dir, made, read, written, lock, shared));
    assert_eq!(inherited(folder.path()), []);
}

#[test]
fn a_root_is_a_directory_and_a_lock_no_symlink() {
    let folder = folder();
    fs::write(folder.path().join("file"), "text").unwrap();
    symlink("file", folder.path().join("lock")).unwrap();
    let error = RealDisk.open_root(&folder.path().join("file")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{error}");
    let root = RealDisk.open_root(folder.path()).unwrap();
    let error = RealDisk.is_locked(At::new(&root, "lock")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(LOOP), "{error}");
    let error = RealDisk.try_lock(At::new(&root, "lock"), "a test").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(LOOP), "{error}");
}
