//! What this crate builds on a disk.

use std::{collections::BTreeMap, io::ErrorKind};

use tmp_core::{
    Digest, Mode, ModulePath,
    module::{Attributes, Kind},
};

use super::{Bench, Case};
use crate::{
    Barrier, ObservedContent, Tree, create_dir_durably,
    disk::{At, Extent},
    ensure_dirs, observe, probe, read_whole, remove_tree, set_attributes, write_durably, write_new,
    write_sparse_new,
};

pub(super) const CASES: &[Case] = &[
    writing_anew,
    sparse_files,
    durable_replacement,
    attributes_exactly,
    removing_trees,
    directories,
    a_tree,
    barriers,
    a_probe_leaves_nothing,
];

fn writing_anew(bench: &Bench<'_>) {
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let disk = &**bench.disk;
    let written = write_new(disk, bench.at("a"), Mode::PROGRAM, &mut &*bytes).unwrap();
    assert_eq!((written.digest, written.size), (Digest::of(&bytes), 300_000));
    assert_eq!(bench.get("a"), bytes);
    assert!(write_new(disk, bench.at("a"), Mode::FILE, &mut &b"x"[..]).is_err());
    assert!(read_whole(disk, bench.at("a"), 299_999).is_err());
    assert_eq!(read_whole(disk, bench.at("a"), 300_000).unwrap(), bytes);
    let observed = observe(disk, bench.at("a")).unwrap().unwrap();
    let extents = vec![Extent { offset: 0, length: 300_000 }];
    assert_eq!(observed.content, ObservedContent::File { digest: Digest::of(&bytes), extents });
    assert_eq!(observed.attributes().mode, Mode::PROGRAM);
    assert!(observe(disk, bench.at("none")).unwrap().is_none());
    bench.disk.create_symlink(bench.at("link"), b"\xff").unwrap();
    let observed = observe(disk, bench.at("link")).unwrap().unwrap();
    assert_eq!(observed.content, ObservedContent::Symlink { target: b"\xff".to_vec() });
}

fn sparse_files(bench: &Bench<'_>) {
    const STEP: u64 = 65_536;
    let disk = &**bench.disk;
    let run = |number| Extent { offset: number * STEP, length: STEP };
    let bytes = vec![3; 131_072];
    let write = |name, size, extents: &[Extent], bytes: &[u8]| {
        write_sparse_new(disk, bench.at(name), Mode::FILE, size, extents, &mut &*bytes)
    };
    let written = write("a", 9 * STEP, &[run(1), run(7)], &bytes).unwrap();
    let observed = observe(disk, bench.at("a")).unwrap().unwrap();
    let content = ObservedContent::File { digest: written.digest, extents: vec![run(1), run(7)] };
    assert_eq!((observed.content, observed.stat.size), (content, 9 * STEP));
    assert!(write("short", 9 * STEP, &[run(1), run(7)], &bytes[..131_071]).is_err());
    assert!(write("overlap", 9 * STEP, &[run(1), run(1)], &bytes).is_err());
    assert!(write("beyond", STEP, &[run(1)], &bytes).is_err());
    let endless = Extent { offset: u64::MAX, length: u64::MAX };
    assert!(write("endless", u64::MAX, &[endless], &bytes).is_err());
}

fn durable_replacement(bench: &Bench<'_>) {
    let disk = &**bench.disk;
    write_durably(disk, &bench.dir, "a", b"1").unwrap();
    bench.put(".a.new", b"left by one that was killed");
    write_durably(disk, &bench.dir, "a", b"2").unwrap();
    assert_eq!((bench.get("a"), bench.names()), (b"2".to_vec(), vec!["a".into()]));
    assert_eq!(bench.stat("a").mode, Mode::from_bits(0o600));
}

fn attributes_exactly(bench: &Bench<'_>) {
    let disk = &**bench.disk;
    let own = bench.put("file", b"1");
    drop(bench.make_dir("dir"));
    bench.disk.create_symlink(bench.at("link"), b"x").unwrap();
    let owner = if own.uid == 0 { (4711, 4712) } else { (own.uid, own.gid) };
    let keeps = bench.disk.set_xattr(bench.at("file"), b"user.extra", b"1").is_ok();
    let xattrs = if keeps { BTreeMap::from([(b"user.a".to_vec(), b"\0".to_vec())]) } else { BTreeMap::new() };
    let mode = Mode::from_bits(0o6755);
    let mtime = (1_234_567_890, 123_456_789).into();
    let wanted = Attributes { mode, uid: owner.0, gid: owner.1, mtime, xattrs };
    for (name, kind) in [("file", Kind::File), ("dir", Kind::Directory)] {
        for _ in 0..2 {
            set_attributes(disk, bench.at(name), kind, &wanted).unwrap();
            let mut found = observe(disk, bench.at(name)).unwrap().unwrap().attributes();
            found.xattrs.retain(|name, _| !name.starts_with(b"security."));
            assert_eq!(found, wanted, "{name}");
        }
    }
    set_attributes(disk, bench.at("link"), Kind::Symlink, &wanted).unwrap();
    let link = bench.stat("link");
    assert_eq!((link.uid, link.gid, link.mtime), (owner.0, owner.1, mtime));
    let missing = set_attributes(disk, bench.at("none"), Kind::File, &wanted).unwrap_err();
    assert_eq!(missing.source.kind(), ErrorKind::NotFound);
}

fn removing_trees(bench: &Bench<'_>) {
    let disk = &**bench.disk;
    remove_tree(disk, bench.at("none")).unwrap();
    bench.put("outside", b"1");
    let mut dir = bench.make_dir("tree");
    for level in 0..200 {
        drop(disk.create_file(At::new(&dir, "file"), Mode::FILE).unwrap());
        disk.create_symlink(At::new(&dir, "link"), b"../outside").unwrap();
        disk.create_dir(At::new(&dir, "empty"), Mode::from_bits(0o500)).unwrap();
        disk.create_dir(At::new(&dir, "next"), Mode::DIRECTORY).unwrap();
        let next = disk.open_dir(&dir, "next".as_ref()).unwrap();
        if level % 50 == 0 {
            disk.set_mode(At::itself(&dir), Mode::from_bits(0o500)).unwrap();
        }
        dir = next;
    }
    remove_tree(disk, bench.at("tree")).unwrap();
    remove_tree(disk, bench.at("outside")).unwrap();
    assert!(bench.names().is_empty());
}

fn directories(bench: &Bench<'_>) {
    let disk = &**bench.disk;
    let deep = ensure_dirs(disk, &bench.path.join("a/b/c")).unwrap();
    assert_eq!(disk.stat(At::itself(&deep)).unwrap().unwrap().mode, Mode::from_bits(0o700));
    let again = ensure_dirs(disk, &bench.path.join("a/b/c")).unwrap();
    let identity = |dir| disk.stat(At::itself(dir)).unwrap().unwrap().identity;
    assert_eq!(identity(&deep), identity(&again));
    let same = create_dir_durably(disk, &bench.dir, "a", Mode::from_bits(0o777)).unwrap();
    assert_eq!(disk.stat(At::itself(&same)).unwrap().unwrap().mode, Mode::from_bits(0o700));
    bench.put("file", b"");
    disk.create_symlink(bench.at("link"), b"a").unwrap();
    assert!(create_dir_durably(disk, &bench.dir, "file", Mode::DIRECTORY).is_err());
    assert!(create_dir_durably(disk, &bench.dir, "link", Mode::DIRECTORY).is_err());
    assert!(ensure_dirs(disk, &bench.path.join("file/x")).is_err());
    assert!(ensure_dirs(disk, "relative".as_ref()).is_err());
    assert!(ensure_dirs(disk, &bench.path.join("x/../y")).is_err());
    assert!(!bench.is_there("x"));
}

fn a_tree(bench: &Bench<'_>) {
    let disk = &**bench.disk;
    ensure_dirs(disk, &bench.path.join("a/b")).unwrap();
    bench.put("file", b"");
    disk.create_symlink(bench.at("link"), b"a").unwrap();
    let tree = Tree::open(bench.disk, bench.path).unwrap();
    let path = |text: &str| text.parse::<ModulePath>().unwrap();
    assert_eq!(tree.stat(&path("a/b")).unwrap().unwrap().kind, Kind::Directory);
    assert_eq!(tree.stat(&path("link")).unwrap().unwrap().kind, Kind::Symlink);
    assert!(tree.stat(&path("a/none")).unwrap().is_none());
    assert!(tree.stat(&path("none/x/y")).unwrap().is_none());
    assert!(tree.locate(&path("none/x")).unwrap().is_none());
    let place = tree.locate(&path("a/b/new")).unwrap().unwrap();
    drop(disk.create_file(place.at(), Mode::FILE).unwrap());
    assert!(tree.stat(&path("a/b/new")).unwrap().is_some());
    for astray in ["link/b", "file/x", "a/b/new/x"] {
        assert!(tree.locate(&path(astray)).is_err(), "{astray}");
        assert!(tree.stat(&path(astray)).is_err(), "{astray}");
    }
}

fn barriers(bench: &Bench<'_>) {
    let barrier = Barrier::open(bench.disk, &bench.dir).unwrap();
    let make = |number| bench.disk.create_file(bench.at(&format!("{number}")), Mode::FILE).unwrap();
    let files: Vec<_> = (0..40).map(make).collect();
    barrier.settle(&files[..2], std::slice::from_ref(&bench.dir)).unwrap();
    barrier.settle(&files, std::slice::from_ref(&bench.dir)).unwrap();
    barrier.settle(&[], &[]).unwrap();
}

fn a_probe_leaves_nothing(bench: &Bench<'_>) {
    let (root, work) = (bench.make_dir("root"), bench.make_dir("work"));
    // What a probe that was killed left.
    ensure_dirs(&**bench.disk, &bench.path.join("work/probe/sub")).unwrap();
    let tree = Tree::open(bench.disk, &bench.path.join("root")).unwrap();
    let before = bench.stat("root");
    let found = probe(&tree, &work, true).unwrap();
    assert!(found.exchange, "{found:?}");
    assert_eq!(bench.stat("root"), before, "the root is not touched");
    assert!(bench.disk.list(&root).unwrap().is_empty() && bench.disk.list(&work).unwrap().is_empty());
}
