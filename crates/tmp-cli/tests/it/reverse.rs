//! Committed migrations are taken out later, and drift is told.

use crate::support::{Place, settings};

fn run(place: &Place, name: &str) -> String {
    let file = place.package(name);
    place.ends(0, &["run", &file, "--now", "--reason", "a test"]);
    file
}

fn second(place: &Place) {
    place.write(
        "late/enhancement.yaml",
        "schema: tmp/enhancement/v1\nid: late\nrevision: 1\ntitle: A later fee\nsystem: billing\n\
         modules:\n  - {put: etc/fee.conf, from: fee.conf}\n",
    );
    place.write("late/fee.conf", "rate=7\n");
}

/// Modules and rows without the times of directories, which a migration moves like anybody else.
fn model(place: &Place) -> (Vec<String>, String) {
    let (tree, database) = place.model();
    let entries = tree.entries.iter().map(|(path, entry)| {
        let time = (!matches!(entry.content, tmp_testkit::walk::Content::Directory)).then_some(entry.mtime);
        format!("{} {:o} {:?} {time:?}", String::from_utf8_lossy(path), entry.mode, entry.content)
    });
    (entries.collect(), database)
}

#[test]
fn a_set_is_shown_asked_for_and_reversed_newest_first() {
    let place = Place::billing();
    let before = model(&place);
    let fee = run(&place, "fee");
    second(&place);
    run(&place, "late");
    let both = model(&place);
    let reverse = ["reverse", "late-fee", "--reason", "a defect"];
    let shown = place.ends(0, &[&reverse[..], &["--dry-run"]].concat());
    let refused = place.ends(4, &reverse);
    assert!(refused.err.contains("late r1") && refused.err.contains("--confirm late-fee"), "{}", refused.err);
    assert_eq!(model(&place), both, "nothing was done without an answer");
    let done = place.ends(0, &[&reverse[..], &["--confirm", "late-fee"]].concat());
    assert_eq!(model(&place), before);
    settings(&place).bind(|| {
        insta::assert_snapshot!("set", shown.out);
        insta::assert_snapshot!("reversed", done.out);
    });
    let history = place.ends(0, &["history"]).out;
    let standing: Vec<_> = history.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(standing, ["STATUS", "reversed", "reversed", "reversal", "reversal"], "{history}");
    let status = place.ends(0, &["status"]).out;
    assert!(!status.contains("installed"), "{status}");
    place.ends(2, &[&reverse[..], &["--yes"]].concat());
    // What was taken out can be migrated again.
    place.ends(0, &["run", &fee, "--now", "--reason", "mended"]);
    assert!(place.ends(0, &["status"]).out.contains("installed  late-fee r1"));
}

#[test]
fn what_was_changed_or_written_since_stands_in_the_way() {
    let place = Place::billing();
    run(&place, "fee");
    place.write("model/etc/fee.conf", "rate=1, by hand\n");
    let connection = rusqlite::Connection::open(place.path("model.db")).unwrap();
    connection.execute_batch("INSERT INTO invoice (cents) VALUES (77)").unwrap();
    drop(connection);
    let before = model(&place);
    let reverse = ["reverse", "late-fee", "--reason", "a defect", "--confirm", "late-fee"];
    let refused = place.ends(5, &reverse);
    settings(&place).bind(|| insta::assert_snapshot!(refused.err));
    place.ends(5, &[&reverse[..], &["--dry-run"]].concat());
    assert_eq!(model(&place), before);
    place.write("model/etc/fee.conf", "rate=5\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(place.path("model/etc/fee.conf"), mode).unwrap();
    place.ends(0, &[&reverse[..], &["--lose", "invoice"]].concat());
    assert!(model(&place).1.contains("77"), "the row itself stays");
}

#[test]
fn drift_is_told_refused_and_accepted() {
    let place = Place::billing();
    run(&place, "fee");
    second(&place);
    assert_eq!(
        place.ends(0, &["drift"]).out,
        "billing/model/model-1: as TMP left it\nbilling/production/hq: as TMP left it\n"
    );
    place.write("model/etc/fee.conf", "rate=1, by hand\n");
    let connection = rusqlite::Connection::open(place.path("model.db")).unwrap();
    connection.execute_batch("CREATE INDEX hot_fix ON invoice (cents)").unwrap();
    drop(connection);
    let told = place.ends(6, &["drift", "model-1"]);
    assert!(place.json(&["drift"])["sites"][0]["drift"].as_array().is_some_and(|drift| drift.len() == 2));
    let file = place.package("late");
    let refused = place.ends(5, &["run", &file, "--now", "--reason", "a test"]);
    settings(&place).bind(|| {
        insta::assert_snapshot!("drift", told.out);
        insta::assert_snapshot!("drift_refused", refused.err);
    });
    place.ends(2, &["drift", "model-1", "--accept"]);
    let accepted = place.ends(0, &["drift", "model-1", "--accept", "--reason", "the hot fix stays"]);
    assert!(accepted.out.contains("2 differences, accepted"), "{}", accepted.out);
    place.ends(0, &["drift"]);
    place.ends(0, &["run", &file, "--now", "--reason", "a test"]);
    place.ends(0, &["drift"]);
}
