//! Restoring parts, comparing, and what is refused.

use std::fs;

use tmp_archive::{Capture, DatabaseCopy, Selection};
use tmp_core::enhancement::DatabaseEngine;
use tmp_disk::At;
use tmp_testkit::walk::fingerprint;

use crate::place::{Place, add_oddities, id, noise, paths, portion, quiet, whole};

fn system(place: &Place) -> tmp_disk::Tree {
    let tree = place.tree("root");
    fs::create_dir_all(place.path("root/lib/late")).unwrap();
    fs::write(place.path("root/lib/late/fee"), b"fee").unwrap();
    fs::write(place.path("root/lib/interest"), b"interest").unwrap();
    fs::hard_link(place.path("root/lib/interest"), place.path("root/lib/rate")).unwrap();
    tree
}

#[test]
fn some_paths_with_what_is_below() {
    let place = Place::new();
    let tree = system(&place);
    let archive = place.archive();
    let covered = paths(&["lib", "etc/new", "var"]);
    archive.capture(&portion(1, &tree, &covered), &mut quiet).unwrap();

    let other = place.tree("other");
    fs::create_dir(place.path("other/etc")).unwrap();
    fs::write(place.path("other/etc/new"), b"was absent").unwrap();
    fs::write(place.path("other/etc/kept"), b"not covered").unwrap();
    let selection =
        Selection::Paths(vec![(&paths(&["lib/late"])[0]).into(), (&paths(&["etc/new"])[0]).into()]);
    let restored = archive.restore(&id(1), &selection, &other, None, &mut quiet).unwrap();
    assert_eq!((restored.entries, restored.written, restored.bytes), (3, 1, 3));
    let found = fingerprint(other.path()).unwrap();
    let names: Vec<_> = found.entries.keys().map(|path| String::from_utf8_lossy(path)).collect();
    assert_eq!(names, ["", "etc", "etc/kept", "lib", "lib/late", "lib/late/fee"]);
    let original = fingerprint(tree.path()).unwrap();
    for path in [&b"lib"[..], b"lib/late", b"lib/late/fee"] {
        assert_eq!(found.entries[path], original.entries[path], "{path:?}");
    }

    let outside = Selection::Paths(vec![(&paths(&["etc"])[0]).into()]);
    let refused = archive.restore(&id(1), &outside, &other, None, &mut quiet).unwrap_err();
    insta::assert_snapshot!(refused, @"snapshot 00000000-0000-0000-0000-000000000001 does not cover etc");
}

#[test]
fn names_every_facet_that_differs() {
    let place = Place::new();
    let tree = place.tree("root");
    add_oddities(tree.path());
    system(&place);
    let archive = place.archive();
    archive.capture(&whole(1, &tree), &mut quiet).unwrap();
    assert_eq!(archive.compare(&id(1), &tree).unwrap(), []);

    let mut top = fs::read_dir(tree.path()).unwrap().map(|entry| entry.unwrap().path());
    let odd = top.find(|path| path.is_dir() && !path.ends_with("lib")).unwrap();
    let set = |name: &str, bytes: &[u8]| fs::write(tree.path().join(name), bytes).unwrap();
    set("lib/late/fee", b"FEE");
    set("lib/extra", b"");
    fs::remove_file(place.path("root/lib/rate")).unwrap();
    set("lib/rate", b"interest");
    fs::hard_link(place.path("root/lib/interest"), place.path("outside")).unwrap();
    fs::remove_dir(odd.join("inner")).unwrap();
    fs::write(odd.join("inner"), b"").unwrap();
    fs::remove_file(odd.join("dangling")).unwrap();
    std::os::unix::fs::symlink("elsewhere", odd.join("dangling")).unwrap();
    let dense = fs::read(odd.join("big")).unwrap();
    fs::write(odd.join("big"), dense).unwrap();
    tmp_testkit::walk::set_xattr(&odd.join("big"), b"user.new", b"1").unwrap();
    std::os::unix::fs::chown(odd.join("big"), Some(12), None).unwrap();
    let found = archive.compare(&id(1), &tree).unwrap();
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));

    archive.restore(&id(1), &Selection::All, &tree, None, &mut quiet).unwrap();
    assert_eq!(archive.compare(&id(1), &tree).unwrap(), []);
}

#[test]
fn databases_come_back_byte_for_byte() {
    let place = Place::new();
    let tree = system(&place);
    let copy = place.tree("copies");
    fs::write(place.path("copies/main.db"), noise(2_500_000)).unwrap();
    let databases = [DatabaseCopy {
        name: "main".parse().unwrap(),
        engine: DatabaseEngine::Sqlite,
        at: At::new(copy.root(), "main.db"),
        fingerprint: None,
    }];
    let archive = place.archive();
    let captured =
        archive.capture(&Capture { databases: &databases, ..portion(1, &tree, &[]) }, &mut quiet).unwrap();
    assert_eq!(captured.totals.bytes, 2_500_000);
    archive.verify(&id(1), &mut quiet).unwrap();
    let at = At::new(copy.root(), "back.db");
    archive.extract_database(&id(1), &"main".parse().unwrap(), at, &*place.disk).unwrap();
    assert_eq!(fs::read(place.path("copies/back.db")).unwrap(), noise(2_500_000));
    let missing = archive.extract_database(&id(1), &"other".parse().unwrap(), at, &*place.disk).unwrap_err();
    insta::assert_snapshot!(missing, @"snapshot 00000000-0000-0000-0000-000000000001 has no database other");

    let mut bytes = noise(2_500_000);
    bytes[1_500_000] ^= 1;
    fs::write(place.path("copies/main.db"), &bytes).unwrap();
    let changed =
        archive.capture(&Capture { databases: &databases, ..portion(2, &tree, &[]) }, &mut quiet).unwrap();
    assert_eq!(changed.totals.new_objects, 1, "a database changed in places is stored in places");
}

#[test]
fn special_files_are_named() {
    let place = Place::new();
    let tree = system(&place);
    let _socket = std::os::unix::net::UnixListener::bind(place.path("root/lib/late/socket")).unwrap();
    let archive = place.archive();
    let error = archive.capture(&portion(1, &tree, &paths(&["lib"])), &mut quiet).unwrap_err();
    insta::assert_snapshot!(error, @"lib/late/socket is a device, FIFO or socket, which cannot be archived; remove it or ignore it");
    assert_eq!(archive.list().unwrap(), []);
}

#[test]
fn an_id_is_used_once() {
    let place = Place::new();
    let tree = system(&place);
    let archive = place.archive();
    let lib = paths(&["lib"]);
    archive.capture(&portion(1, &tree, &lib), &mut quiet).unwrap();
    let error = archive.capture(&portion(1, &tree, &lib), &mut quiet).unwrap_err();
    insta::assert_snapshot!(error, @"there is a snapshot 00000000-0000-0000-0000-000000000001 already");
    let error = archive.read(&id(9)).unwrap_err();
    insta::assert_snapshot!(error, @"there is no snapshot 00000000-0000-0000-0000-000000000009");
}
