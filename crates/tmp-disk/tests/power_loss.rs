//! What the simulated disk loses, and what it must not.

#![expect(clippy::unwrap_used, clippy::unnecessary_wraps, reason = "a test")]

use std::{collections::BTreeSet, path::Path, sync::Arc};

use tmp_core::{Mode, module::Kind};
use tmp_disk::{
    At, Barrier, Dir, Disk, Fault, FaultDisk, Rename, SimDisk, ensure_dirs, observe, read_whole, remove_tree,
    write_durably, write_new,
};

const SEEDS: u64 = 300;

struct Bench {
    disk: SimDisk,
    dir: Dir,
}

impl Bench {
    fn new() -> Self {
        let disk = SimDisk::new();
        let dir = ensure_dirs(&disk, Path::new("/dir")).unwrap();
        Self { disk, dir }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> tmp_disk::Written {
        write_new(&self.disk, At::new(&self.dir, name), Mode::FILE, &mut &*bytes).unwrap()
    }

    /// Puts a file that stays.
    fn keep(&self, name: &str, bytes: &[u8]) {
        self.disk.sync_file(&self.put(name, bytes).file).unwrap();
        self.disk.sync_dir(&self.dir).unwrap();
    }

    fn rename(&self, from: &str, to: &str, how: Rename) {
        self.disk.rename(At::new(&self.dir, from), At::new(&self.dir, to), how).unwrap();
    }

    /// The contents of these names after each of many power losses; `None` where nothing is there.
    fn losses(&self, names: &[&str]) -> BTreeSet<Vec<Option<Vec<u8>>>> {
        (0..SEEDS).map(|seed| contents(&self.disk.power_loss(seed), names)).collect()
    }
}

fn contents(disk: &SimDisk, names: &[&str]) -> Vec<Option<Vec<u8>>> {
    let dir = disk.open_root(Path::new("/dir")).unwrap();
    names.iter().map(|name| read_whole(disk, At::new(&dir, *name), 1 << 20).ok()).collect()
}

fn some(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

#[test]
fn what_was_synced_stays() {
    let bench = Bench::new();
    bench.keep("a", b"1");
    assert_eq!(bench.losses(&["a"]), BTreeSet::from([vec![some(b"1")]]));
}

/// Few and many files, on a file system where each is synced and on one where everything is.
#[test]
fn what_a_barrier_has_settled_stays() {
    for (count, file_system) in [(2, "ext4"), (40, "ext4"), (2, "btrfs"), (40, "btrfs")] {
        let disk = SimDisk::like(file_system);
        let dir = ensure_dirs(&disk, Path::new("/dir")).unwrap();
        let bench = Bench { disk, dir };
        let barrier = Barrier::open(&(Arc::new(bench.disk.clone()) as Arc<dyn Disk>), &bench.dir).unwrap();
        let files: Vec<_> = (0..count).map(|number| bench.put(&number.to_string(), b"1").file).collect();
        bench.disk.set_mode(At::new(&bench.dir, "1"), Mode::PROGRAM).unwrap();
        assert!(bench.losses(&["0", "1"]).len() > 2, "nothing is settled yet");
        barrier.settle(&files, std::slice::from_ref(&bench.dir)).unwrap();
        assert_eq!(bench.losses(&["0", "1"]), BTreeSet::from([vec![some(b"1"), some(b"1")]]));
        for seed in 0..SEEDS {
            let disk = bench.disk.power_loss(seed);
            let dir = disk.open_root(Path::new("/dir")).unwrap();
            assert_eq!(disk.stat(At::new(&dir, "1")).unwrap().unwrap().mode, Mode::PROGRAM);
        }
    }
}

/// A failed sync is not made again, and nothing is synced after it.
#[test]
fn a_barrier_that_failed_stops_at_once() {
    const EIO: i32 = 5;
    let sim = SimDisk::like("ext4");
    let fault =
        Arc::new(FaultDisk::new(Arc::new(sim), Fault::Error { at: 4, errno: EIO, persistent: false }));
    let disk: Arc<dyn Disk> = fault.clone();
    let dir = disk.open_root(Path::new("/")).unwrap();
    let barrier = Barrier::open(&disk, &dir).unwrap();
    let files = ["a", "b"].map(|name| disk.create_file(At::new(&dir, name), Mode::FILE).unwrap());
    let error = barrier.settle(&files, std::slice::from_ref(&dir)).unwrap_err();
    assert_eq!(error.source.raw_os_error(), Some(EIO));
    assert_eq!(fault.effects(), 4, "two files made, one synced, one failed");
}

#[test]
fn content_that_was_not_synced_comes_back_old_new_torn_or_as_garbage() {
    let bench = Bench::new();
    let (old, new) = (vec![1; 4096], vec![2; 4096]);
    bench.keep("a", &old);
    let file = bench.disk.open_file_to_write(At::new(&bench.dir, "a")).unwrap();
    bench.disk.write_at(&file, 0, &new).unwrap();
    let found = bench.losses(&["a"]);
    let torn = [vec![2; 2048], vec![1; 2048]].concat();
    for expected in [&old, &new, &torn] {
        assert!(found.contains(&vec![some(expected)]));
    }
    assert!(found.len() > 10, "garbage is different every time");
    bench.disk.sync_data(&file).unwrap();
    assert_eq!(bench.losses(&["a"]), BTreeSet::from([vec![some(&new)]]));
}

#[test]
fn a_synced_name_of_an_unsynced_file_may_be_empty() {
    let bench = Bench::new();
    drop(bench.put("a", b"1"));
    bench.disk.sync_dir(&bench.dir).unwrap();
    let found = bench.losses(&["a"]);
    assert!(found.contains(&vec![some(b"")]) && found.contains(&vec![some(b"1")]));
    assert!(!found.contains(&vec![None]));
}

#[test]
fn renames_are_whole_or_not_at_all() {
    let bench = Bench::new();
    bench.keep("a", b"1");
    bench.keep("b", b"2");
    bench.rename("a", "b", Rename::Exchange);
    let (before, after) = (vec![some(b"1"), some(b"2")], vec![some(b"2"), some(b"1")]);
    assert_eq!(bench.losses(&["a", "b"]), BTreeSet::from([before, after.clone()]));
    bench.disk.sync_dir(&bench.dir).unwrap();
    assert_eq!(bench.losses(&["a", "b"]), BTreeSet::from([after.clone()]));
    bench.rename("a", "b", Rename::Replace);
    assert_eq!(bench.losses(&["a", "b"]), BTreeSet::from([after, vec![None, some(b"2")]]));
}

/// The weaker reading of what a sync of one directory does: whoever relies on the stronger one shows.
#[test]
fn a_rename_between_two_directories_stays_once_both_were_synced() {
    let bench = Bench::new();
    bench.keep("a", b"1");
    let other = ensure_dirs(&bench.disk, Path::new("/other")).unwrap();
    let places = || -> BTreeSet<(bool, bool)> {
        let there = |disk: &SimDisk, dir: &str, name: &str| {
            disk.stat(At::new(&disk.open_root(Path::new(dir)).unwrap(), name)).unwrap().is_some()
        };
        let both = |disk: SimDisk| (there(&disk, "/dir", "a"), there(&disk, "/other", "b"));
        (0..SEEDS).map(|seed| both(bench.disk.power_loss(seed))).collect()
    };
    bench.disk.rename(At::new(&bench.dir, "a"), At::new(&other, "b"), Rename::NoReplace).unwrap();
    let whole = BTreeSet::from([(true, false), (false, true)]);
    assert_eq!(places(), whole);
    bench.disk.sync_dir(&other).unwrap();
    assert_eq!(places(), whole);
    bench.disk.sync_dir(&bench.dir).unwrap();
    assert_eq!(places(), BTreeSet::from([(false, true)]));
}

/// Of several changes any may be the last that arrived, for each attribute on its own.
#[test]
fn attributes_that_were_not_synced_come_back_each_on_its_own() {
    let bench = Bench::new();
    bench.keep("a", b"1");
    let at = At::new(&bench.dir, "a");
    let change = |number: u32| {
        bench.disk.set_owner(at, number, number).unwrap();
        bench.disk.set_mode(at, Mode::from_bits(0o600 + number)).unwrap();
        bench.disk.set_xattr(at, b"user.x", &[1]).unwrap();
    };
    change(1);
    bench.disk.sync_file(&bench.disk.open_file(at).unwrap()).unwrap();
    change(2);
    bench.disk.remove_xattr(at, b"user.x").unwrap();
    change(3);
    bench.disk.sync_data(&bench.disk.open_file(at).unwrap()).unwrap();
    let found: BTreeSet<(u32, u32, bool)> = (0..SEEDS)
        .map(|seed| {
            let disk = bench.disk.power_loss(seed);
            let dir = disk.open_root(Path::new("/dir")).unwrap();
            let stat = disk.stat(At::new(&dir, "a")).unwrap().unwrap();
            let has = disk.xattrs(At::new(&dir, "a")).unwrap().contains_key(b"user.x".as_slice());
            (stat.uid, stat.mode.bits() - 0o600, has)
        })
        .collect();
    for expected in [(1, 3, true), (3, 1, true), (2, 3, false), (3, 2, true), (1, 2, true), (3, 3, true)] {
        assert!(found.contains(&expected), "{expected:?} of {found:?}");
    }
    assert!(found.iter().all(|(owner, mode, _)| (1..=3).contains(owner) && (1..=3).contains(mode)));
}

#[test]
fn a_kill_loses_locks_and_handles_and_nothing_else() {
    let bench = Bench::new();
    let file = bench.put("a", b"1").file;
    let lock = bench.disk.try_lock(At::new(&bench.dir, "a"), "1").unwrap();
    assert!(lock.is_some());
    let disk = bench.disk.after_kill();
    assert_eq!(contents(&disk, &["a"]), [some(b"1")]);
    let dir = disk.open_root(Path::new("/dir")).unwrap();
    assert!(disk.try_lock(At::new(&dir, "a"), "1").unwrap().is_some());
    disk.remove_file(At::new(&dir, "a")).unwrap();
    bench.disk.write_at(&file, 0, b"2").unwrap();
    assert_eq!(contents(&bench.disk, &["a"]), [some(b"2")], "the other one goes on for itself");
    let lost = |seed| contents(&bench.disk.after_kill().power_loss(seed), &["a"]) == [None];
    assert!((0..SEEDS).any(lost), "what was not synced can still be lost");
}

#[test]
fn independent_operations_survive_in_any_combination() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        bench.keep(name, name.as_bytes());
    }
    for name in ["a", "b", "c"] {
        bench.disk.remove_file(At::new(&bench.dir, name)).unwrap();
    }
    assert_eq!(bench.losses(&["a", "b", "c"]).len(), 8);
}

#[test]
fn no_operation_survives_without_what_it_stands_on() {
    let bench = Bench::new();
    bench.keep("a", b"1");
    bench.rename("a", "b", Rename::NoReplace);
    bench.rename("b", "c", Rename::NoReplace);
    for found in bench.losses(&["a", "b", "c"]) {
        assert_eq!(found.iter().flatten().count(), 1, "one file has one name: {found:?}");
    }
}

/// And the same without the sync of the file, which has to show.
#[test]
fn a_durable_write_is_old_or_new_wherever_it_stops() {
    let (old, new) = (vec![1; 10_000], vec![2; 9_000]);
    let mut stops = 0;
    for at in 1.. {
        let bench = Bench::new();
        write_durably(&bench.disk, &bench.dir, "a", &old).unwrap();
        let disk = FaultDisk::new(Arc::new(bench.disk.clone()), Fault::Stop { at });
        let done = write_durably(&disk, &bench.dir, "a", &new).is_ok();
        let allowed = [vec![some(&old)], vec![some(&new)]];
        for found in bench.losses(&["a"]) {
            assert!(allowed[usize::from(done)..].contains(&found), "stopped before effect {at}");
        }
        stops += 1;
        if done {
            break;
        }
    }
    assert!(stops >= 6, "remove, create, write, sync, rename, sync");

    let bench = Bench::new();
    write_durably(&bench.disk, &bench.dir, "a", &old).unwrap();
    drop(bench.put("b", &new));
    bench.rename("b", "a", Rename::Replace);
    assert!(bench.losses(&["a"]).len() > 2, "without a sync of the file it may be torn");
}

#[test]
fn identities_outlive_a_power_loss_and_locks_do_not() {
    let bench = Bench::new();
    bench.keep("a", b"1");
    let lock = bench.disk.try_lock(At::new(&bench.dir, "a"), "1").unwrap();
    assert!(lock.is_some());
    let identity = bench.disk.stat(At::new(&bench.dir, "a")).unwrap().unwrap().identity;
    let disk = bench.disk.power_loss(1);
    let dir = disk.open_root(Path::new("/dir")).unwrap();
    assert_eq!(disk.stat(At::new(&dir, "a")).unwrap().unwrap().identity, identity);
    assert!(disk.try_lock(At::new(&dir, "a"), "2").unwrap().is_some());
    assert!(disk.list(&bench.dir).is_err(), "handles do not outlive it either");
}

#[test]
fn a_removed_tree_may_come_back_and_is_whole_then() {
    let bench = Bench::new();
    let sub = ensure_dirs(&bench.disk, Path::new("/dir/sub")).unwrap();
    let file = write_new(&bench.disk, At::new(&sub, "x"), Mode::FILE, &mut &b"1"[..]).unwrap().file;
    bench.disk.sync_file(&file).unwrap();
    bench.disk.sync_dir(&sub).unwrap();
    remove_tree(&bench.disk, At::new(&bench.dir, "sub")).unwrap();
    let found: BTreeSet<_> = (0..SEEDS)
        .map(|seed| {
            let disk = bench.disk.power_loss(seed);
            let dir = disk.open_root(Path::new("/dir")).unwrap();
            let stat = observe(&disk, At::new(&dir, "sub")).unwrap().map(|found| found.stat.kind);
            let sub = disk.open_dir(&dir, "sub".as_ref());
            (stat, sub.is_ok_and(|sub| read_whole(&disk, At::new(&sub, "x"), 9).is_ok()))
        })
        .collect();
    let kept = Some(Kind::Directory);
    assert_eq!(found, BTreeSet::from([(None, false), (kept, false), (kept, true)]));
}

#[test]
fn a_full_disk_says_so_and_gives_space_back() {
    let bench = Bench::new();
    bench.keep("a", &[1; 8192]);
    bench.disk.set_free(4096, 1);
    let file = bench.put("b", &[2; 4096]).file;
    let full = std::io::ErrorKind::StorageFull;
    assert_eq!(bench.disk.write_at(&file, 4096, b"x").unwrap_err().kind(), full);
    assert_eq!(bench.disk.allocate(&file, 4097).unwrap_err().kind(), full);
    let inode = bench.disk.create_file(At::new(&bench.dir, "c"), Mode::FILE).unwrap_err();
    assert_eq!(inode.kind(), full);
    bench.rename("a", "b", Rename::Exchange);
    bench.disk.write_at(&file, 0, b"overwritten in place").unwrap();
    bench.disk.remove_file(At::new(&bench.dir, "b")).unwrap();
    assert_eq!(bench.disk.write_at(&file, 4096, &[3; 9000]).unwrap(), 8192, "a short write first");
    assert_eq!(bench.disk.file_system(&bench.dir).unwrap().free_bytes, 0);
    assert_eq!(bench.disk.file_system(&bench.dir).unwrap().free_inodes, Some(1));
}

#[test]
fn faults_strike_where_they_are_told_to() {
    const EIO: i32 = 5;
    let run = |fault| {
        let bench = Bench::new();
        let disk = FaultDisk::new(Arc::new(bench.disk.clone()), fault);
        let made: Vec<bool> = ["a", "b", "c"]
            .map(|name| disk.create_file(At::new(&bench.dir, name), Mode::FILE).is_ok())
            .to_vec();
        (made, disk.list(&bench.dir).is_ok(), disk.effects())
    };
    assert_eq!(run(Fault::None), (vec![true, true, true], true, 3));
    let error = |persistent| run(Fault::Error { at: 2, errno: EIO, persistent });
    assert_eq!(error(false), (vec![true, false, true], true, 3));
    assert_eq!(error(true), (vec![true, false, false], true, 3));
    assert_eq!(run(Fault::Stop { at: 2 }), (vec![true, false, false], false, 3));
}
