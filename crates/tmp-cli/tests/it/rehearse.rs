//! `tmp rehearse`: what it says, what it leaves, and that it leaves the site alone, killed or not.

use std::{fs, path::Path};

use tmp_testkit::{
    matrix::sample,
    stepper::{Action, Stepper},
};

use crate::support::{ENHANCEMENT, Place};

/// Snapshots without digests, beside what differs from run to run.
fn settings(place: &Place) -> insta::Settings {
    let mut settings = crate::support::settings(place);
    settings.add_filter("[0-9a-f]{64}", "[HEX]");
    settings
}

/// Everything of the site that must not change: its tree and its database, and the times around them.
fn site(place: &Place) -> String {
    let (tree, database) = place.model();
    let around = fs::metadata(place.path("model")).unwrap().modified().unwrap();
    format!("{tree:?}{database}{around:?}")
}

/// What lies in the state directory and is no proof.
fn left(place: &Place) -> Vec<String> {
    let Ok(entries) = fs::read_dir(place.path("state")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "rehearsals").collect()
}

/// A billing system whose enhancement has roll-backs that are wrong in several ways.
fn wrong() -> Place {
    let place = Place::billing();
    let sql = "sql:
  - {name: 020-names, database: main, apply: sql/020.sql, rollback: sql/020.rollback.sql}
  - {name: 030-cents, database: main, apply: sql/030.sql, rollback: sql/030.rollback.sql}
  - {name: 040-view, database: main, apply: sql/040.sql, rollback: sql/040.rollback.sql}
";
    place.enhancement("fee", &ENHANCEMENT.replace("sql:\n", sql));
    place.write("fee/sql/020.sql", "CREATE TABLE names (name TEXT);\n");
    place.write("fee/sql/020.rollback.sql", "-- nothing\nSELECT 1;\n");
    place.write("fee/sql/030.sql", "UPDATE invoice SET cents = cents + 1;\n");
    place.write("fee/sql/030.rollback.sql", "UPDATE invoice SET cents = 100;\n");
    place.write("fee/sql/040.sql", "CREATE VIEW due AS SELECT 1 AS \"a<b & c\";\n");
    place.write("fee/sql/040.rollback.sql", "DROP VIEW due;\nDROP VIEW \"50%, or <more>\";\n");
    place
}

#[test]
fn a_directory_is_proven_and_the_site_is_untouched() {
    let place = Place::billing();
    let before = site(&place);
    let ran = place.ends(0, &["rehearse", "fee"]);
    settings(&place).bind(|| insta::assert_snapshot!(format!("{}---\n{}", ran.err, ran.out)));
    assert_eq!(site(&place), before);
    assert_eq!(left(&place), Vec::<String>::new());
    let proofs: Vec<_> = fs::read_dir(place.path("state/rehearsals")).unwrap().collect();
    assert_eq!(proofs.len(), 1);
}

#[test]
fn a_trigger_file_is_rehearsed_with_its_commands_and_the_proof_goes_where_it_is_asked_for() {
    let place = Place::billing();
    let file = place.package("fee");
    let before = site(&place);
    place.ends(0, &["rehearse", &file, "--commands", "--proof", "proofs/fee.json"]);
    let proof: serde_json::Value = serde_json::from_str(&place.read("proofs/fee.json")).unwrap();
    assert_eq!(proof["schema"], "tmp/rehearsal/v1");
    assert_eq!(proof["verdict"], "proven");
    assert_eq!(proof["not_rehearsed"], serde_json::json!([]));
    assert_eq!(site(&place), before);
    let json = place.ends(0, &["rehearse", &file, "--json", "--report", "json"]);
    let printed: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(printed["provenance"], proof["provenance"]);
}

#[test]
fn wrong_roll_backs_are_told_for_people() {
    let place = wrong();
    let before = site(&place);
    let ran = place.ends(5, &["-q", "rehearse", "fee"]);
    settings(&place).bind(|| insta::assert_snapshot!(ran.out));
    assert_eq!(site(&place), before);
    assert_eq!(left(&place), Vec::<String>::new());
}

#[test]
fn and_as_junit() {
    let place = wrong();
    let ran = place.ends(5, &["-q", "rehearse", "fee", "--report", "junit"]);
    let mut settings = settings(&place);
    settings.add_filter(r#"time="[\d.]+""#, r#"time="[TIME]""#);
    settings.bind(|| insta::assert_snapshot!(ran.out));
}

#[test]
fn and_as_annotations() {
    let place = wrong();
    let ran = place.ends(5, &["-q", "rehearse", "fee", "--report", "github"]);
    settings(&place).bind(|| insta::assert_snapshot!(ran.out));
}

#[test]
fn every_class_is_a_rule_that_is_explained() {
    let place = wrong();
    let ran = place.tmp(&["-q", "rehearse", "fee", "--report", "json"]);
    let proof: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let parts = proof["parts"].as_array().unwrap();
    let mut told = 0;
    for finding in parts.iter().flat_map(|part| part["findings"].as_array().unwrap()) {
        place.ends(0, &["explain", finding["class"].as_str().unwrap()]);
        told += 1;
    }
    assert_eq!(told, 5);
    for class in ["does-not-apply", "restores-something-else", "cannot-be-applied-again", "roll-back-fails"] {
        place.ends(0, &["explain", class]);
    }
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    let place = Place::billing();
    // Nobody can finish what waits for this.
    place.write("fee/files/bin/fee", "#!/bin/sh\ntouch ../asked; sleep 3\n");
    let before = site(&place);
    let mut child = place
        .command(&["-q", "rehearse", "fee", "--commands"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let asked = |place: &Place| {
        fs::read_dir(place.path("state"))
            .is_ok_and(|entries| entries.flatten().any(|entry| entry.path().join("asked").exists()))
    };
    for _ in 0..400 {
        if asked(&place) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    assert!(asked(&place));
    let signalled =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    assert_eq!(child.wait().unwrap().code(), Some(75));
    assert_eq!(site(&place), before);
    assert_eq!(left(&place), Vec::<String>::new());
}

#[test]
fn what_stands_in_the_way_is_said_and_nothing_is_left() {
    let place = Place::billing();
    place.write("fee/enhancement.yaml", &ENHANCEMENT.replace("remove: lib/old.sh", "remove: lib/older.sh"));
    let ran = place.ends(5, &["rehearse", "fee"]);
    assert!(ran.err.contains("absent") && ran.err.contains("lib/older.sh"), "{}", ran.err);
    assert_eq!(left(&place), Vec::<String>::new());
    place.write("fee/enhancement.yaml", "schema: tmp/enhancement/v1\n");
    place.ends(3, &["rehearse", "fee"]);
    assert_eq!(left(&place), Vec::<String>::new());
}

#[test]
fn a_rehearsal_killed_at_any_point_leaves_the_site_alone_and_doctor_removes_the_rest() {
    let place = Place::billing();
    let file = place.package("fee");
    let before = site(&place);
    let stepper = || {
        Stepper::new(Path::new(env!("CARGO_BIN_EXE_tmp")))
            .args(["rehearse", &file])
            .current_dir(place.dir())
            .env("HOME", place.path("empty"))
    };
    // The first makes the folder of the proofs; the second has the calls of all that follow.
    let first = stepper().count().unwrap().len() as u64;
    let calls = stepper().count().unwrap().len() as u64;
    assert!(calls > 100 && calls <= first, "{calls} {first}");
    assert_eq!(left(&place), Vec::<String>::new());
    let mut leftovers = 0;
    for (number, call) in sample(7, 16, calls).into_iter().enumerate() {
        assert!(stepper().run(Action::Kill(call)).unwrap().hit.is_some());
        assert_eq!(site(&place), before, "killed before call {call}");
        let folders = left(&place).iter().filter(|name| !name.contains(".lock")).count();
        leftovers += folders;
        if number % 2 == 0 {
            let said = place.tmp(&["doctor"]).out;
            assert_eq!(said.matches("a dead rehearsal had left").count(), folders, "{said}");
        } else {
            place.ends(0, &["rehearse", &file]);
        }
        assert_eq!(left(&place), Vec::<String>::new(), "killed before call {call}");
        assert_eq!(site(&place), before, "killed before call {call}");
    }
    assert!(leftovers > 8, "{leftovers}");
}
