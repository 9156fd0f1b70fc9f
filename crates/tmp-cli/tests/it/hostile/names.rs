//! Names that are not UTF-8.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
};

use super::Victim;
use crate::support::{ENHANCEMENT, Place};

fn odd() -> OsString {
    OsStr::from_bytes(b"caf\xe9\x1b[31m").to_owned()
}

fn refused(victim: &Victim, arguments: &[&str]) {
    let report = victim.fails(3, "a name that is not UTF-8", arguments);
    assert!(report.contains("caf\\xe9") && report.contains("not UTF-8"), "{arguments:?}: {report}");
    assert!(!report.contains('\u{1b}'), "{arguments:?}: {report:?}");
}

fn place() -> Place {
    let place = Place::billing();
    let text = ENHANCEMENT.split("databases:").next().unwrap();
    place.write(
        "tree/enhancement.yaml",
        &format!("{text}modules: [{{put: bin/, from: files}}, {{remove: lib}}]\n"),
    );
    place.write("tree/files/deep/a", "a\n");
    place.write("diff/enhancement.yaml", text);
    place
}

fn with(change: impl Fn(&Path)) -> Victim {
    let place = place();
    change(place.dir());
    Victim::of(place)
}

#[test]
fn of_sources() {
    let victim = with(|dir| fs::write(dir.join("tree/files/deep").join(odd()), "x").unwrap());
    refused(&victim, &["check", "tree"]);
    refused(&victim, &["package", "tree", "--base", "model"]);
    let victim = with(|dir| fs::create_dir(dir.join("tree/files").join(odd())).unwrap());
    refused(&victim, &["check", "tree"]);
    let victim = with(|dir| symlink(odd(), dir.join("tree/files/link")).unwrap());
    refused(&victim, &["check", "tree"]);
}

#[test]
fn of_trees() {
    let victim = with(|dir| fs::write(dir.join("model/lib").join(odd()), "x").unwrap());
    refused(&victim, &["package", "tree", "--base", "model"]);
    refused(&victim, &["package", "diff", "--from", "model", "--to", "live"]);
    refused(&victim, &["package", "diff", "--from", "live", "--to", "model"]);
    let victim = with(|dir| symlink(odd(), dir.join("model/lib/link")).unwrap());
    refused(&victim, &["package", "tree", "--base", "model"]);
}

#[test]
fn in_the_target() {
    let place = place();
    let file = place.package("tree");
    fs::write(place.path("model/lib").join(odd()), "x").unwrap();
    let victim = Victim::of(place);
    let report = victim.fails(5, "a name that is not UTF-8", &["plan", &file]);
    assert!(report.contains("unlisted") && report.contains("caf"), "{report}");
    assert!(!report.contains('\u{1b}'), "{report:?}");
    victim.fails(5, "a name that is not UTF-8", &["run", &file, "--now", "--reason", "x"]);
}
