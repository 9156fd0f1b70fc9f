//! Capture, then restore, is the identity: for every kind of module, into an empty root and over another.

use proptest::prelude::*;
use tmp_archive::Selection;
use tmp_testkit::{
    trees::{TreeModel, build, tree},
    walk::{diff, fingerprint},
};

use crate::place::{Place, add_oddities, id, quiet, whole};

fn check(old: &TreeModel, other: &TreeModel, odd: bool) {
    let place = Place::new();
    let (from, over, empty) = (place.tree("from"), place.tree("over"), place.tree("empty"));
    build(old, from.path()).unwrap();
    build(other, over.path()).unwrap();
    if odd {
        add_oddities(from.path());
    }
    let before = fingerprint(from.path()).unwrap();

    let archive = place.archive();
    let captured = archive.capture(&whole(1, &from), &mut quiet).unwrap();
    assert_eq!(diff(&before, &fingerprint(from.path()).unwrap()), [""; 0], "capturing changes nothing");
    let verified = archive.verify(&id(1), &mut quiet).unwrap();
    assert_eq!(verified.entries, captured.totals.entries);
    assert_eq!(verified.entries, before.entries.len() as u64);
    assert_eq!(archive.compare(&id(1), &from).unwrap(), []);

    let staging = place.tree("staging");
    for (to, staging) in [(&empty, None), (&over, Some(staging.root()))] {
        archive.restore(&id(1), &Selection::All, to, staging, &mut quiet).unwrap();
        assert_eq!(diff(&before, &fingerprint(to.path()).unwrap()), [""; 0], "{}", to.path().display());
        assert_eq!(archive.compare(&id(1), to).unwrap(), []);
    }
    let again = archive.restore(&id(1), &Selection::All, &over, None, &mut quiet).unwrap();
    assert_eq!(again.written, 0, "what is right is left alone");

    let second = archive.capture(&whole(2, &empty), &mut quiet).unwrap();
    assert_eq!(second.totals.new_objects, 0, "the same tree takes no room");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn of_random_trees(old in tree(14), other in tree(14), odd in prop::bool::weighted(0.2)) {
        check(&old, &other, odd);
    }
}

#[test]
fn of_every_oddity() {
    check(&TreeModel::default(), &TreeModel::default(), true);
}
