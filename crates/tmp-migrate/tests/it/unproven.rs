//! More of what somebody may have done to an open migration: to the work directory, the state directory, the journal's
//! folder, the root and the database. Recovery changes nothing, names what it misses, and nothing else begins.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use crate::{
    common::Ended,
    tampered::{Died, Scene, Tamper, edit, lab, scripts},
};
use tmp_core::outcome::Outcome;
use tmp_disk::RealDisk;
use tmp_testkit::walk::{self, TreeFingerprint};

/// The bytes of one slot of a journal.
const SLOT: usize = 4096;

fn file(path: &Path) {
    gone(path);
    fs::write(path, "x").unwrap();
}

fn directory(path: &Path) {
    gone(path);
    fs::create_dir(path).unwrap();
}

fn gone(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// Puts it elsewhere and a symlink in its place.
fn linked(path: &Path) {
    let beside = path.with_extension("elsewhere");
    fs::rename(path, &beside).unwrap();
    symlink(beside, path).unwrap();
}

/// The same bytes in new inodes, as out of a backup.
fn restored(path: &Path) {
    let beside = path.with_extension("restored");
    let copied = std::process::Command::new("cp").arg("-a").args([path, &beside]).status().unwrap();
    assert!(copied.success());
    gone(path);
    fs::rename(beside, path).unwrap();
}

fn swapped(one: &Path, other: &Path) {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside).unwrap();
    fs::rename(other, one).unwrap();
    fs::rename(aside, other).unwrap();
}

fn sql(scene: &Scene, text: &str) {
    rusqlite::Connection::open(scene.database()).unwrap().execute_batch(text).unwrap();
}

fn journal(scene: &Scene, change: impl FnOnce(&mut Vec<u8>)) {
    edit(&scene.folder.join("journal"), change);
}

fn plan(scene: &Scene, change: impl FnOnce(&mut Vec<u8>)) {
    edit(&scene.folder.join("plan.json"), change);
}

fn each_script(scene: &Scene, change: impl Fn(&Path)) {
    for path in scripts(scene) {
        change(&path);
    }
}

use Died::{Compensating, Switched};

/// What is done, after which death, and a word that the answer has to have.
const VARIANTS: &[(&str, Died, Tamper, &str)] = &[
    // The work directory.
    ("slots a symlink", Switched, |it| linked(&it.slots), "slots-"),
    ("slots restored", Switched, |it| restored(&it.slots), "bin/app"),
    ("slots empty", Switched, |it| directory(&it.slots), "bin/app"),
    (
        "slots of another id",
        Switched,
        |it| fs::rename(&it.slots, it.slots.with_extension("x")).unwrap(),
        "slots-",
    ),
    ("slot a symlink", Switched, |it| linked(&it.slots.join("1")), "bin/app"),
    ("slot a directory", Switched, |it| directory(&it.slots.join("1")), "bin/app"),
    ("slot restored", Switched, |it| restored(&it.slots.join("1")), "bin/app"),
    ("slot of the removed gone", Switched, |it| gone(&it.slots.join("2")), "lib/gone"),
    ("slot of the removed restored", Switched, |it| restored(&it.slots.join("2")), "lib/gone"),
    ("slot of the added taken", Switched, |it| file(&it.slots.join("0")), "bin/added"),
    ("slot of the added a directory", Switched, |it| directory(&it.slots.join("0")), "bin/added"),
    ("work gone", Switched, |it| gone(it.work()), "slots-"),
    ("work empty", Switched, |it| directory(it.work()), "slots-"),
    ("work a file", Switched, |it| file(it.work()), "work"),
    ("work restored", Switched, |it| restored(it.work()), "bin/app"),
    (
        "work of another state",
        Switched,
        |it| edit(&it.work().join("lock"), |bytes| replace(bytes, b"/state", b"/stage")),
        "stage",
    ),
    ("work for everybody", Switched, |it| chmod(it.work(), 0o777), "work"),
    ("work of another", Switched, |it| chown(it.work()), "work"),
    // The state directory.
    ("state for everybody", Switched, |it| chmod(it.state(), 0o777), "state"),
    ("state of another", Switched, |it| chown(it.state()), "state"),
    ("journals a file", Switched, |it| file(it.journals()), "journal"),
    ("journals gone", Switched, |it| gone(it.journals()), "journal"),
    ("journals empty", Switched, |it| directory(it.journals()), "journal"),
    // The journal's folder.
    ("folder of another id", Switched, |it| fs::rename(&it.folder, other_id(&it.folder)).unwrap(), "journal"),
    ("folder a file", Switched, |it| file(&it.folder), "journal"),
    ("folder empty", Switched, |it| directory(&it.folder), "journal"),
    ("journal a directory", Switched, |it| directory(&it.folder.join("journal")), "journal"),
    ("journal a symlink", Switched, |it| linked(&it.folder.join("journal")), "journal"),
    ("journal empty", Switched, |it| journal(it, Vec::clear), "the journal is empty"),
    (
        "journal cut in its first record",
        Switched,
        |it| journal(it, |bytes| bytes.truncate(100)),
        "the journal is empty",
    ),
    ("journal of another magic", Switched, |it| journal(it, |bytes| bytes[0] ^= 1), "damaged"),
    ("journal of another migration", Switched, |it| journal(it, |bytes| bytes[9] ^= 1), "damaged"),
    (
        "records doubled",
        Switched,
        |it| journal(it, |bytes| bytes.copy_within(SLOT..2 * SLOT, 2 * SLOT)),
        "damaged",
    ),
    ("records exchanged", Switched, |it| journal(it, |bytes| exchange(bytes)), "damaged"),
    ("first record missing", Switched, |it| journal(it, |bytes| drop(bytes.drain(..SLOT))), "damaged"),
    ("a record missing", Switched, |it| journal(it, |bytes| drop(bytes.drain(SLOT..2 * SLOT))), "damaged"),
    ("a record zeroed", Switched, |it| journal(it, |bytes| bytes[SLOT..2 * SLOT].fill(0)), "damaged"),
    ("plan empty", Switched, |it| plan(it, Vec::clear), "plan"),
    ("plan longer", Switched, |it| plan(it, |bytes| bytes.push(b'\n')), "plan"),
    ("plan of garbage", Switched, |it| plan(it, |bytes| bytes.fill(b'?')), "plan"),
    ("plan a directory", Switched, |it| directory(&it.folder.join("plan.json")), "plan.json"),
    ("plan a symlink", Switched, |it| linked(&it.folder.join("plan.json")), "plan.json"),
    (
        "plan for another root",
        Switched,
        |it| plan(it, |bytes| replace(bytes, b"site/live", b"site/love")),
        "plan",
    ),
    ("script empty", Compensating, |it| each_script(it, |path| edit(path, Vec::clear)), "script"),
    (
        "script longer",
        Compensating,
        |it| each_script(it, |path| edit(path, |bytes| bytes.push(b' '))),
        "script",
    ),
    ("script a directory", Compensating, |it| each_script(it, directory), "script"),
    ("script a symlink", Compensating, |it| each_script(it, linked), "script"),
    // The root.
    ("replaced restored", Switched, |it| restored(&it.root.join("bin/app")), "bin/app"),
    ("replaced a symlink", Switched, |it| linked(&it.root.join("bin/app")), "bin/app"),
    ("added restored", Switched, |it| restored(&it.root.join("bin/added")), "bin/added"),
    ("added a directory", Switched, |it| directory(&it.root.join("bin/added")), "bin/added"),
    ("removed a directory again", Switched, |it| directory(&it.root.join("lib/gone")), "lib/gone"),
    ("removed a symlink again", Switched, |it| symlink("x", it.root.join("lib/gone")).unwrap(), "lib/gone"),
    (
        "new modules exchanged",
        Switched,
        |it| swapped(&it.root.join("bin/app"), &it.root.join("bin/added")),
        "bin/added",
    ),
    ("directory of modules gone", Switched, |it| gone(&it.root.join("bin")), "bin"),
    ("root gone", Switched, |it| gone(&it.root), "live"),
    ("root empty", Switched, |it| directory(&it.root), "bin"),
    ("root a file", Switched, |it| file(&it.root), "live"),
    ("root restored", Switched, |it| restored(&it.root), "bin/app"),
    // The database.
    ("database gone", Switched, |it| gone(&it.database()), "app.db"),
    ("database a directory", Switched, |it| directory(&it.database()), "app.db"),
    ("database no database", Switched, |it| fs::write(it.database(), "x".repeat(4096)).unwrap(), "main"),
    (
        "database of another marker",
        Compensating,
        |it| sql(it, "update tmp_marker set nonce = 'theirs'"),
        "marker",
    ),
];

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn chown(path: &Path) {
    std::os::unix::fs::chown(path, Some(4242), Some(4242)).unwrap();
}

fn exchange(bytes: &mut [u8]) {
    let first = bytes[SLOT..2 * SLOT].to_vec();
    bytes.copy_within(2 * SLOT..3 * SLOT, SLOT);
    bytes[2 * SLOT..3 * SLOT].copy_from_slice(&first);
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + from.len()].copy_from_slice(to);
}

fn other_id(folder: &Path) -> std::path::PathBuf {
    let mut name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    name.replace_range(name.len() - 4.., "ffff");
    folder.with_file_name(name)
}

/// Everything at the site but what opening it may make anew.
fn everything(site: &Path) -> TreeFingerprint {
    let mut seen = walk::fingerprint(site).unwrap();
    let own =
        |path: &[u8]| path == b".tmp-work-live" || path.ends_with(b"/lock") || path.ends_with(b"/ballast");
    seen.entries.retain(|path, _| !own(path));
    seen.without_mtimes(<[u8]>::is_empty)
}

#[test]
fn more_that_is_tampered_with_changes_nothing_either() {
    let root = rustix::process::geteuid().is_root();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (what, died, tamper, word) in VARIANTS {
        if !root && what.ends_with("of another") {
            eprintln!("left out, because it needs root: {what}");
            continue;
        }
        let (mut lab, scene) = lab(*died);
        tamper(&scene);
        let before = everything(scene.site());
        for _ in 0..2 {
            let said = match lab.recover_on(Arc::new(RealDisk)) {
                Ok(Some(Outcome::InDoubt { missing, .. })) => missing,
                Ok(Some(Outcome::RollbackFailed { undo_failure, .. })) => undo_failure,
                Err(Ended::Open(error)) => format!("{error} {error:?}"),
                Err(Ended::Engine(error)) => format!("{error} {error:?}"),
                other => {
                    wrong.push(format!("{what}: {other:?}"));
                    break;
                }
            };
            if !said.contains(word) {
                wrong.push(format!("{what}: it does not say {word}: {said}"));
            }
            let differences = walk::diff(&before, &everything(scene.site()));
            if !differences.is_empty() {
                wrong.push(format!("{what}: {differences:?}"));
            }
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 60, "{count}");
}
