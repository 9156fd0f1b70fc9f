//! What operators do with archives.

use std::{fs, path::PathBuf};

use crate::support::{ENHANCEMENT, Place};

const NOW: &[&str] = &["--now", "--reason", "end-to-end test"];

fn run(file: &str) -> Vec<&str> {
    [&["run", file], NOW].concat()
}

/// A model into which two enhancements were migrated, and the ids of their snapshots.
fn twice() -> (Place, [String; 2]) {
    let place = Place::billing();
    let file = place.package("fee");
    place.ends(0, &run(&file));
    let other = "schema: tmp/enhancement/v1\nid: other\nrevision: 1\ntitle: Other\nsystem: billing\n\
                 modules:\n  - {put: lib/other.sh, from: files/fee.conf}\n";
    place.enhancement("other", other);
    let file = place.package("other");
    place.ends(0, &run(&file));
    let list = place.json(&["archive", "list"]);
    let id = |at: usize| list["snapshots"][at]["id"].as_str().unwrap().to_owned();
    let ids = [id(0), id(1)];
    (place, ids)
}

fn blob(place: &Place, folder: &str, id: &str) -> PathBuf {
    let folder = place.path(&format!("state/archive/{folder}"));
    let found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    found.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(id)).unwrap()
}

#[test]
fn verify_looks_at_every_snapshot_and_misses_the_lost_ones() {
    let (place, [first, second]) = twice();
    let whole = place.ends(0, &["archive", "verify"]).out;
    assert!(whole.contains("(1 entry, 0 B read back)"), "{whole}");
    assert_eq!(whole.lines().filter(|line| line.contains(": whole (")).count(), 2);

    let path = blob(&place, "packs", &first);
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() - 1]).unwrap();
    let damaged = place.ends(3, &["archive", "verify"]).out;
    assert!(damaged.contains(&format!("{first}: DAMAGED: ")), "{damaged}");
    assert!(damaged.contains(&format!("{second}: whole")), "the others are looked at too: {damaged}");
    assert!(damaged.contains(&format!("  migration {first} needs it")), "{damaged}");
    place.ends(0, &["archive", "verify", &second]);
    fs::write(&path, good).unwrap();

    let path = blob(&place, "snapshots", &second);
    let good = fs::read(&path).unwrap();
    fs::write(&path, b"nothing").unwrap();
    let listed = place.ends(3, &["archive", "list"]).out;
    assert!(listed.contains(&first) && listed.contains("it cannot be read"), "{listed}");
    place.ends(0, &["archive", "show", &first]);
    fs::remove_file(&path).unwrap();
    let lost = place.ends(3, &["archive", "verify"]).out;
    assert!(lost.contains(&format!("{first}: whole")) && lost.contains(&format!("{second}: LOST")), "{lost}");
    assert_eq!(place.json(&["archive", "verify"])["snapshots"][1]["state"], "lost");
    place.ends(3, &["archive", "verify", &second]);
    fs::write(&path, good).unwrap();
    place.ends(0, &["archive", "verify"]);
    fs::rename(place.path("state/archive"), place.path("elsewhere")).unwrap();
    let gone = place.ends(3, &["archive", "verify"]).out;
    assert_eq!(gone.matches("LOST").count(), 2, "{gone}");
}

#[test]
fn what_was_rolled_back_needs_no_snapshot_any_more() {
    let place = Place::billing();
    place.enhancement("bad", ENHANCEMENT);
    place.write("bad/files/bin/fee", "#!/bin/sh\nexit 1\n");
    let file = place.package("bad");
    place.ends(10, &run(&file));
    let id = place.json(&["archive", "list"])["snapshots"][0]["id"].as_str().unwrap().to_owned();
    fs::remove_file(blob(&place, "snapshots", &id)).unwrap();
    place.ends(0, &["archive", "verify"]);
}
