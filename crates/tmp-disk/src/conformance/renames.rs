//! Renames of all three sorts.

use std::io::ErrorKind;

use tmp_core::{Mode, module::Kind};

use super::{Bench, Case, fails};
use crate::disk::{At, Rename};

pub(super) const CASES: &[Case] =
    &[replace, no_replace, exchange, between_directories, a_directory_into_itself, the_same_inode];

fn replace(bench: &Bench<'_>) {
    let a = bench.put("a", b"1");
    bench.disk.rename(bench.at("a"), bench.at("b"), Rename::Replace).unwrap();
    assert_eq!((bench.is_there("a"), bench.stat("b").identity), (false, a.identity));
    bench.put("a", b"2");
    bench.disk.rename(bench.at("a"), bench.at("b"), Rename::Replace).unwrap();
    assert_eq!(bench.get("b"), b"2");
    fails(bench.disk.rename(bench.at("a"), bench.at("b"), Rename::Replace), ErrorKind::NotFound);

    drop(bench.make_dir("empty"));
    let full = bench.make_dir("full");
    drop(bench.disk.create_file(At::new(&full, "x"), Mode::FILE).unwrap());
    let onto = |from, to| bench.disk.rename(bench.at(from), bench.at(to), Rename::Replace);
    fails(onto("b", "empty"), ErrorKind::IsADirectory);
    fails(onto("empty", "b"), ErrorKind::NotADirectory);
    fails(onto("empty", "full"), ErrorKind::DirectoryNotEmpty);
    onto("full", "empty").unwrap();
    assert_eq!(bench.disk.list(&full).unwrap(), ["x"]);
}

fn no_replace(bench: &Bench<'_>) {
    bench.put("a", b"1");
    bench.put("b", b"2");
    drop(bench.make_dir("dir"));
    bench.disk.create_symlink(bench.at("dangling"), b"x").unwrap();
    for taken in ["b", "dir", "dangling", "a"] {
        let renamed = bench.disk.rename(bench.at("a"), bench.at(taken), Rename::NoReplace);
        fails(renamed, ErrorKind::AlreadyExists);
    }
    assert_eq!((bench.get("a"), bench.get("b")), (b"1".to_vec(), b"2".to_vec()));
    bench.disk.rename(bench.at("a"), bench.at("c"), Rename::NoReplace).unwrap();
    assert_eq!((bench.is_there("a"), bench.get("c")), (false, b"1".to_vec()));
}

fn exchange(bench: &Bench<'_>) {
    let file = bench.put("file", b"1").identity;
    let inside = bench.make_dir("dir");
    drop(bench.disk.create_file(At::new(&inside, "x"), Mode::FILE).unwrap());
    let dir = bench.stat("dir").identity;
    bench.disk.create_symlink(bench.at("link"), b"t").unwrap();
    let link = bench.stat("link").identity;
    let swap = |a, b| bench.disk.rename(bench.at(a), bench.at(b), Rename::Exchange);
    let identities =
        || (bench.stat("file").identity, bench.stat("dir").identity, bench.stat("link").identity);
    swap("file", "dir").unwrap();
    assert_eq!(identities(), (dir, file, link));
    swap("link", "file").unwrap();
    assert_eq!(identities(), (link, file, dir));
    assert_eq!(bench.stat("link").kind, Kind::Directory);
    fails(swap("file", "none"), ErrorKind::NotFound);
    fails(swap("none", "file"), ErrorKind::NotFound);
    assert_eq!(identities(), (link, file, dir));
}

fn between_directories(bench: &Bench<'_>) {
    let (one, two) = (bench.make_dir("one"), bench.make_dir("two"));
    let sub = At::new(&one, "sub");
    bench.disk.create_dir(sub, Mode::DIRECTORY).unwrap();
    assert_eq!((bench.stat("one").links, bench.stat("two").links), (3, 2));
    bench.disk.rename(sub, At::new(&two, "moved"), Rename::NoReplace).unwrap();
    assert_eq!((bench.stat("one").links, bench.stat("two").links), (2, 3));
    bench.put("file", b"1");
    bench.disk.rename(bench.at("file"), At::new(&two, "moved"), Rename::Exchange).unwrap();
    assert_eq!(bench.stat("file").kind, Kind::Directory);
    assert_eq!(bench.disk.stat(At::new(&two, "moved")).unwrap().unwrap().kind, Kind::File);
}

fn a_directory_into_itself(bench: &Bench<'_>) {
    let outer = bench.make_dir("outer");
    bench.disk.create_dir(At::new(&outer, "inner"), Mode::DIRECTORY).unwrap();
    let inner = bench.disk.open_dir(&outer, "inner".as_ref()).unwrap();
    for how in [Rename::Replace, Rename::NoReplace] {
        fails(bench.disk.rename(bench.at("outer"), At::new(&inner, "x"), how), ErrorKind::InvalidInput);
    }
    let swap = bench.disk.rename(bench.at("outer"), At::new(&outer, "inner"), Rename::Exchange);
    fails(swap, ErrorKind::InvalidInput);
}

/// Two names of one inode stay both.
fn the_same_inode(bench: &Bench<'_>) {
    bench.put("a", b"1");
    bench.disk.create_link(bench.at("a"), bench.at("b")).unwrap();
    for how in [Rename::Replace, Rename::Exchange] {
        bench.disk.rename(bench.at("a"), bench.at("b"), how).unwrap();
        assert!(bench.is_there("a") && bench.is_there("b"));
    }
}
