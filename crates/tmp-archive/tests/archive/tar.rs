//! The exported tar, restored by the system's GNU tar.

use std::{fs::File, process::Command};

use proptest::prelude::*;
use tmp_testkit::{
    trees::{TreeModel, build, tree},
    walk::{diff, fingerprint},
};

use crate::place::{Place, add_oddities, id, quiet, whole};

fn check(model: &TreeModel, odd: bool) {
    let place = Place::new();
    let (from, to) = (place.tree("from"), place.tree("to"));
    build(model, from.path()).unwrap();
    if odd {
        add_oddities(from.path());
    }
    let archive = place.archive();
    archive.capture(&whole(1, &from), &mut quiet).unwrap();
    let tar = place.path("export.tar");
    archive.export(&id(1), &mut File::create(&tar).unwrap()).unwrap();

    let output = Command::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "--warning=no-timestamp", "-xpf"])
        .arg(&tar)
        .arg("-C")
        .arg(to.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let (before, after) = (fingerprint(from.path()).unwrap(), fingerprint(to.path()).unwrap());
    assert_eq!(diff(&before, &after), [""; 0]);
}

#[test]
fn is_restored_by_gnu_tar() {
    let version = Command::new("tar").arg("--version").output().unwrap();
    assert!(version.stdout.starts_with(b"tar (GNU tar)"), "the test needs GNU tar");
    check(&TreeModel::default(), true);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn of_random_trees_is_restored_by_gnu_tar(model in tree(14)) {
        check(&model, false);
    }
}
