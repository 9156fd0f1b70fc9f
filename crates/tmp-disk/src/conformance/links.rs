//! Creation, removal, symlinks and hard links.

use std::io::ErrorKind;

use tmp_core::{Mode, module::Kind};

use super::{Bench, Case, fails};
use crate::disk::At;

pub(super) const CASES: &[Case] = &[creation_is_exclusive, modes_are_exact, removal, hard_links, symlinks];

fn creation_is_exclusive(bench: &Bench<'_>) {
    bench.put("file", b"1");
    drop(bench.make_dir("dir"));
    bench.disk.create_symlink(bench.at("link"), b"file").unwrap();
    for name in ["file", "dir", "link"] {
        fails(bench.disk.create_file(bench.at(name), Mode::FILE), ErrorKind::AlreadyExists);
        fails(bench.disk.create_dir(bench.at(name), Mode::FILE), ErrorKind::AlreadyExists);
        fails(bench.disk.create_symlink(bench.at(name), b"x"), ErrorKind::AlreadyExists);
        fails(bench.disk.create_link(bench.at("file"), bench.at(name)), ErrorKind::AlreadyExists);
    }
    assert_eq!(bench.get("file"), b"1");
}

/// Whatever the umask of the process, and whatever the parent directory passes on.
fn modes_are_exact(bench: &Bench<'_>) {
    let parent = bench.make_dir("parent");
    bench.disk.set_mode(At::itself(&parent), Mode::from_bits(0o2755)).unwrap();
    for bits in [0o777, 0o666, 0o600, 0o4711, 0o200] {
        let (mode, name) = (Mode::from_bits(bits), format!("{bits:o}"));
        drop(bench.disk.create_file(bench.at(&name), mode).unwrap());
        assert_eq!(bench.stat(&name).mode, mode);
        let inside = At::new(&parent, name.as_str());
        bench.disk.create_dir(inside, mode).unwrap();
        assert_eq!(bench.disk.stat(inside).unwrap().unwrap().mode, mode);
    }
}

fn removal(bench: &Bench<'_>) {
    let dir = bench.make_dir("dir");
    bench.put("file", b"");
    drop(bench.disk.create_file(At::new(&dir, "inner"), Mode::FILE).unwrap());
    fails(bench.disk.remove_dir(bench.at("dir")), ErrorKind::DirectoryNotEmpty);
    fails(bench.disk.remove_dir(bench.at("file")), ErrorKind::NotADirectory);
    assert!(bench.disk.remove_file(bench.at("dir")).is_err());
    bench.disk.remove_file(At::new(&dir, "inner")).unwrap();
    bench.disk.remove_dir(bench.at("dir")).unwrap();
    assert!(!bench.is_there("dir") && bench.is_there("file"));
    // The handle of a directory that is gone leads nowhere.
    fails(bench.disk.create_file(At::new(&dir, "late"), Mode::FILE), ErrorKind::NotFound);
    bench.disk.create_symlink(bench.at("link"), b"file").unwrap();
    bench.disk.remove_file(bench.at("link")).unwrap();
    assert!(!bench.is_there("link") && bench.is_there("file"));
}

fn hard_links(bench: &Bench<'_>) {
    let file = bench.put("a", b"1");
    assert_eq!((file.links, file.kind), (1, Kind::File));
    bench.disk.create_link(bench.at("a"), bench.at("b")).unwrap();
    let (a, b) = (bench.stat("a"), bench.stat("b"));
    assert_eq!((a, a.links, a.identity), (b, 2, file.identity));
    let open = bench.disk.open_file_to_write(bench.at("b")).unwrap();
    bench.disk.write_at(&open, 0, b"2").unwrap();
    assert_eq!(bench.get("a"), b"2");
    bench.disk.remove_file(bench.at("a")).unwrap();
    assert_eq!((bench.stat("b").links, bench.get("b")), (1, b"2".to_vec()));
    drop(bench.make_dir("dir"));
    fails(bench.disk.create_link(bench.at("dir"), bench.at("c")), ErrorKind::PermissionDenied);
    fails(bench.disk.create_link(bench.at("none"), bench.at("c")), ErrorKind::NotFound);
    // A link to a symlink is to the symlink.
    bench.disk.create_symlink(bench.at("link"), b"b").unwrap();
    bench.disk.create_link(bench.at("link"), bench.at("link2")).unwrap();
    assert_eq!(bench.stat("link2").kind, Kind::Symlink);
}

fn symlinks(bench: &Bench<'_>) {
    let long = b"../".repeat(500);
    bench.disk.create_symlink(bench.at("long"), &long).unwrap();
    assert_eq!(bench.disk.read_link(bench.at("long")).unwrap(), long);
    assert_eq!(bench.stat("long").size, 1500);
    bench.put("file", b"");
    fails(bench.disk.read_link(bench.at("file")), ErrorKind::InvalidInput);
    assert!(bench.disk.create_symlink(bench.at("empty"), b"").is_err());
    assert_ne!(bench.stat("long").identity, bench.stat("file").identity);
}
