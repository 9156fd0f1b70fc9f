//! Bytes of files, syncs and locks.

use std::io::ErrorKind;

use tmp_core::Mode;

use super::{Bench, Case, fails};
use crate::disk::{At, Extent, Rename, Sharing};

pub(super) const CASES: &[Case] = &[reading_and_writing, length, holes, clones, handles, syncs, locks];

fn reading_and_writing(bench: &Bench<'_>) {
    let file = bench.disk.create_file(bench.at("a"), Mode::FILE).unwrap();
    let mut buffer = [9; 8];
    assert_eq!(bench.disk.read_at(&file, 0, &mut buffer).unwrap(), 0);
    assert_eq!(bench.disk.write_at(&file, 4094, b"abcd").unwrap(), 4);
    assert_eq!(bench.stat("a").size, 4098);
    assert_eq!(bench.disk.read_at(&file, 4092, &mut buffer).unwrap(), 6);
    assert_eq!(&buffer, b"\0\0abcd\x09\x09");
    assert_eq!(bench.disk.read_at(&file, 4098, &mut buffer).unwrap(), 0);
    assert_eq!(bench.disk.read_at(&file, 1 << 40, &mut buffer).unwrap(), 0);
    assert_eq!(bench.disk.write_at(&file, 0, b"").unwrap(), 0);
    bench.disk.drop_cache(&file).unwrap();
    assert_eq!(bench.get("a").len(), 4098);

    let only_read = bench.disk.open_file(bench.at("a")).unwrap();
    assert!(bench.disk.write_at(&only_read, 0, b"x").is_err());
    let again = bench.disk.open_file_to_write(bench.at("a")).unwrap();
    bench.disk.write_at(&again, 0, b"x").unwrap();
    assert_eq!(bench.get("a").first(), Some(&b'x'));
}

fn length(bench: &Bench<'_>) {
    let file = bench.disk.create_file(bench.at("a"), Mode::FILE).unwrap();
    bench.disk.write_at(&file, 0, b"abcdef").unwrap();
    bench.disk.set_len(&file, 3).unwrap();
    bench.disk.set_len(&file, 5).unwrap();
    assert_eq!(bench.get("a"), b"abc\0\0");
    bench.disk.allocate(&file, 3).unwrap();
    assert_eq!(bench.get("a"), b"abc\0\0");
    bench.disk.allocate(&file, 10_000).unwrap();
    assert_eq!(bench.stat("a").size, 10_000);
    assert!(bench.stat("a").allocated >= 10_000);
    assert!(bench.get("a").iter().skip(3).all(|byte| *byte == 0));
    bench.disk.allocate(&file, 0).unwrap();
}

/// The granularity of holes is up to the file system: 64 KiB at most on the known ones.
fn holes(bench: &Bench<'_>) {
    const STEP: u64 = 65_536;
    let file = bench.disk.create_file(bench.at("a"), Mode::FILE).unwrap();
    assert!(bench.disk.extents(&file, 0).unwrap().is_empty());
    bench.disk.set_len(&file, 8 * STEP).unwrap();
    assert!(bench.disk.extents(&file, 8 * STEP).unwrap().is_empty());
    let bytes = vec![7; usize::try_from(STEP).unwrap()];
    bench.disk.write_at(&file, 2 * STEP, &bytes).unwrap();
    bench.disk.write_at(&file, 5 * STEP, &bytes).unwrap();
    let run = |number| Extent { offset: number * STEP, length: STEP };
    assert_eq!(bench.disk.extents(&file, 8 * STEP).unwrap(), [run(2), run(5)]);
    let cut = Extent { offset: 2 * STEP, length: 1 };
    assert_eq!(bench.disk.extents(&file, 2 * STEP + 1).unwrap(), [cut]);
    bench.disk.sync_file(&file).unwrap();
    assert_eq!(bench.disk.extents(&file, 8 * STEP).unwrap(), [run(2), run(5)]);
    assert!(bench.stat("a").allocated < 8 * STEP);
}

fn clones(bench: &Bench<'_>) {
    bench.put("a", b"some bytes");
    let from = bench.disk.open_file(bench.at("a")).unwrap();
    let to = bench.disk.create_file(bench.at("b"), Mode::FILE).unwrap();
    let cloned = bench.disk.clone_file(&from, &to).unwrap();
    assert_eq!(bench.get("b"), if cloned { b"some bytes".to_vec() } else { Vec::new() });
    bench.disk.write_at(&to, 0, b"S").unwrap();
    assert_eq!(bench.get("a"), b"some bytes");
}

fn handles(bench: &Bench<'_>) {
    let dir = bench.make_dir("dir");
    let file = bench.disk.create_file(At::new(&dir, "a"), Mode::FILE).unwrap();
    bench.disk.rename(bench.at("dir"), bench.at("moved"), Rename::NoReplace).unwrap();
    bench.disk.write_at(&file, 0, b"1").unwrap();
    let mut byte = [0];
    assert_eq!(bench.disk.list(&dir).unwrap(), ["a"]);
    bench.disk.remove_file(At::new(&dir, "a")).unwrap();
    assert_eq!(bench.disk.read_at(&file, 0, &mut byte).unwrap(), 1);
    assert_eq!(&byte, b"1");
    // A second opening is a handle of its own, of the same thing.
    let again = bench.disk.open_dir(&dir, "".as_ref()).unwrap();
    drop(bench.disk.create_file(At::new(&again, "b"), Mode::FILE).unwrap());
    assert_eq!(bench.disk.list(&dir).unwrap(), ["b"]);
    let foreign = crate::disk::Dir::new(());
    assert!(bench.disk.list(&foreign).is_err());
}

fn syncs(bench: &Bench<'_>) {
    let dir = bench.make_dir("dir");
    let file = bench.disk.create_file(At::new(&dir, "a"), Mode::FILE).unwrap();
    bench.disk.write_at(&file, 0, b"1").unwrap();
    bench.disk.sync_data(&file).unwrap();
    bench.disk.sync_file(&file).unwrap();
    bench.disk.sync_dir(&dir).unwrap();
    bench.disk.sync_all(&dir).unwrap();
    let found = bench.disk.file_system(&dir).unwrap();
    assert!(found.free_bytes > 0 && !found.name.is_empty());
}

fn locks(bench: &Bench<'_>) {
    let lock = bench.disk.try_lock(bench.at("lock"), "first\n").unwrap().unwrap();
    assert!(bench.disk.try_lock(bench.at("lock"), "second").unwrap().is_none());
    assert_eq!(bench.get("lock"), b"first\n", "who fails to lock writes no note");
    assert!(bench.disk.is_locked(bench.at("lock")).unwrap());
    drop(lock);
    assert!(!bench.disk.is_locked(bench.at("lock")).unwrap());
    assert!(!bench.disk.is_locked(bench.at("never")).unwrap(), "no file, no lock");
    assert!(bench.disk.stat(bench.at("never")).unwrap().is_none(), "who asks makes no file");
    assert_eq!(bench.get("lock"), b"first\n", "who asks writes no note");
    let lock = bench.disk.try_lock(bench.at("lock"), "2").unwrap();
    assert!(lock.is_some());
    assert_eq!(bench.get("lock"), b"2");
    let other = bench.disk.try_lock(bench.at("other"), "").unwrap();
    assert!(other.is_some(), "locks of different names are different");
    let existing = |sharing| bench.disk.try_lock_existing(bench.at("other"), sharing).unwrap();
    assert!(existing(Sharing::Shared).is_none() && existing(Sharing::Exclusive).is_none());
    drop(other);
    let (one, two) = (existing(Sharing::Shared), existing(Sharing::Shared));
    assert!(one.is_some() && two.is_some() && existing(Sharing::Exclusive).is_none());
    drop(one);
    assert!(existing(Sharing::Exclusive).is_none(), "one of two holds it still");
    drop(two);
    let alone = existing(Sharing::Exclusive);
    assert!(alone.is_some() && existing(Sharing::Shared).is_none());
    drop(alone);
    fails(bench.disk.try_lock_existing(bench.at("none"), Sharing::Shared).map(|_| ()), ErrorKind::NotFound);
    drop(bench.make_dir("dir"));
    fails(bench.disk.try_lock(bench.at("dir"), "").map(|_| ()), ErrorKind::IsADirectory);
}
