//! Nothing outside of a root can be reached through it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tmp_core::{Mode, ModulePath};
use tmp_disk::{At, Disk, RealDisk, Rename, Tree, probe};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn module(text: &str) -> ModulePath {
    text.parse().unwrap()
}

/// `/proc` is a mount of its own wherever TMP runs.
#[test]
fn another_mount_is_not_entered() {
    let tree = Tree::open(&disk(), Path::new("/")).unwrap();
    assert!(tree.stat(&module("proc")).unwrap().is_some(), "the mount point itself can be seen");
    let error = tree.locate(&module("proc/version")).unwrap_err();
    assert_eq!(error.source.kind(), std::io::ErrorKind::CrossesDevices, "{error}: {}", error.source);
}

#[test]
fn a_root_that_is_renamed_stays_the_same_root() {
    let folder = folder();
    let (root, moved) = (folder.path().join("root"), folder.path().join("moved"));
    std::fs::create_dir(&root).unwrap();
    let tree = Tree::open(&disk(), &root).unwrap();
    std::fs::rename(&root, &moved).unwrap();
    std::fs::create_dir(&root).unwrap();
    let place = tree.locate(&module("file")).unwrap().unwrap();
    drop(tree.disk().create_file(place.at(), Mode::FILE).unwrap());
    assert!(moved.join("file").exists() && !root.join("file").exists());
}

#[test]
fn a_work_directory_on_another_mount_is_refused_before_anything_is_done() {
    let folder = folder();
    let disk = disk();
    let tree = Tree::open(&disk, folder.path()).unwrap();
    let elsewhere = disk.open_root(Path::new("/proc")).unwrap();
    let error = probe(&tree, &elsewhere, true).unwrap_err();
    assert!(matches!(error, tmp_disk::ProbeError::OtherMount { .. }), "{error}");
    let error = probe(&tree, &elsewhere, false).unwrap_err();
    assert!(matches!(error, tmp_disk::ProbeError::Ephemeral { .. }), "{error}");
}

/// Ends the other thread when this one ends, by a failed assertion too.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Exchanges a directory with a symlink that leads out, again and again, while `attempt` writes through
/// the name: for at least this long, and on a busy machine until it is enough, or 20 seconds. Answers the
/// attempts and how many of them got out.
fn race(length: Duration, attempt: impl Fn(&Path), enough: impl Fn(u64, u64) -> bool) -> (u64, u64) {
    let folder = folder();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    std::fs::create_dir_all(root.join("dir")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, root.join("other")).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let disk = disk();
            let dir = disk.open_root(&root).unwrap();
            while !done.load(Ordering::Relaxed) {
                disk.rename(At::new(&dir, "dir"), At::new(&dir, "other"), Rename::Exchange).unwrap();
            }
        });
        let _guard = Done(&done);
        let (start, mut attempts, mut escapes) = (Instant::now(), 0, 0);
        let more =
            |attempts, escapes| !enough(attempts, escapes) && start.elapsed() < Duration::from_secs(20);
        while start.elapsed() < length || more(attempts, escapes) {
            attempt(&root);
            attempts += 1;
            for name in ["file", "kept"] {
                escapes += u64::from(std::fs::remove_file(outside.join(name)).is_ok());
            }
        }
        (attempts, escapes)
    })
}

#[test]
fn a_symlink_that_comes_and_goes_leads_nobody_astray() {
    // Without care one does get out, or the race is none.
    let naive = |root: &Path| drop(std::fs::write(root.join("dir/file"), b"x"));
    let (attempts, escapes) = race(Duration::from_millis(300), naive, |_, escapes| escapes > 0);
    assert!(escapes > 0, "none of {attempts} careless attempts got out");

    let entered = std::cell::Cell::new(0);
    let careful = |root: &Path| {
        let tree = Tree::open(&disk(), root).unwrap();
        let Ok(Some(place)) = tree.locate(&module("dir/file")) else { return };
        entered.set(entered.get() + 1);
        let disk = tree.disk();
        drop(disk.create_file(place.at(), Mode::FILE));
        disk.set_mode(place.at(), Mode::PROGRAM).unwrap();
        disk.rename(place.at(), At::new(&place.dir, "kept"), Rename::Replace).unwrap();
        disk.remove_file(At::new(&place.dir, "kept")).unwrap();
    };
    let (attempts, escapes) =
        race(Duration::from_secs(1), careful, |attempts, _| entered.get() > 0 && entered.get() < attempts);
    assert_eq!(escapes, 0, "of {attempts}");
    assert!(entered.get() > 0 && entered.get() < attempts, "{} of {attempts} got in", entered.get());
}
