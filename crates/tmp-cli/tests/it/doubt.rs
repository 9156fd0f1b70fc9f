//! What somebody tampered with while a migration was open ends in doubt, by its own exit code; nothing else begins.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::support::Place;
use tmp_testkit::walk;

/// The only entry of a folder whose name begins so.
fn only(folder: &Path, begins: &str) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(begins)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// What is done to the journal's folder, the slots and the place.
type Tamper = fn(&Path, &Path, &Place);

#[test]
fn what_is_tampered_with_ends_in_doubt_and_blocks() {
    let tampers: &[(&str, Tamper)] = &[
        ("slots", |_, slots, _| fs::remove_dir_all(slots).unwrap()),
        ("plan", |folder, _, _| flip(&folder.join("plan.json"), 40)),
        ("journal", |folder, _, _| flip(&folder.join("journal"), 4096 + 80)),
        ("journal", |folder, _, _| fs::remove_dir_all(folder).unwrap()),
        ("bin/billing", |_, _, place| {
            place.write("model/bin/theirs", "theirs");
            fs::rename(place.path("model/bin/theirs"), place.path("model/bin/billing")).unwrap();
        }),
        ("model.db", |_, _, place| fs::remove_file(place.path("model.db")).unwrap()),
    ];
    for (named, tamper) in tampers {
        let place = Place::billing();
        place.write("fee/files/bin/fee", "#!/bin/sh\nkill -9 $PPID\nsleep 1\n");
        let file = place.package("fee");
        let run = ["run", &file, "--now", "--reason", "a test of tampering"];
        assert_eq!(place.tmp(&run).code, None, "it was to be killed");
        let folder = only(&place.path("state/journal"), "");
        let slots = only(&only(&place.path(""), ".tmp-work-model"), "slots-");
        tamper(&folder, &slots, &place);
        let before = walk::fingerprint(&place.path("model")).unwrap();
        let untouched = || {
            let differences = walk::diff(&before, &walk::fingerprint(&place.path("model")).unwrap());
            assert!(differences.is_empty(), "{named}: {differences:?}");
        };
        for _ in 0..2 {
            let ended = place.ends(12, &["recover"]);
            let said = ended.out + &ended.err;
            assert!(said.contains(named), "{named}: {said}");
            untouched();
        }
        // Where the target is as after, the next is refused before anything is opened.
        let next = place.tmp(&run);
        assert!(matches!(next.code, Some(5 | 12)), "{named}: {next:?}");
        untouched();
    }
}

/// A copy of a database that a killed `archive create` left is no small thing, and may hold secrets.
#[test]
fn doctor_finds_what_a_killed_archive_left() {
    let place = Place::billing();
    place.ends(0, &["archive", "create", "billing/model/model-1"]);
    assert!(!place.ends(0, &["doctor"]).out.contains("create-"));
    let root = tmp_core::Digest::of(place.path("model").to_str().unwrap().as_bytes()).hex();
    let name = format!("create-{}", &root[..16]);
    let left = place.path("state").join(&name);
    fs::create_dir(&left).unwrap();
    fs::copy(place.path("model.db"), left.join("main")).unwrap();
    let said = place.ends(0, &["doctor"]).out;
    assert!(said.contains("warn") && said.contains(&name), "{said}");
    place.ends(0, &["archive", "create", "billing/model/model-1"]);
    assert!(!left.exists());
}
