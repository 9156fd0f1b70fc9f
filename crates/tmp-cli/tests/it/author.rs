//! What developers do: new, check, package, inspect.

use crate::support::{ENHANCEMENT, Place, settings};

#[test]
fn a_scaffold_is_good_as_it_is() {
    let place = Place::new();
    place.ends(0, &["new", "late-fee"]);
    assert!(place.ends(0, &["check", "late-fee"]).out.contains("late-fee r1: no mistakes"));
    place.ends(0, &["package", "late-fee"]);
    assert!(place.path("late-fee-r1-model.trigger").is_file());
    assert!(place.ends(2, &["new", "late-fee"]).err.contains("not empty"));
    place.ends(2, &["new", "Late Fee"]);
}

#[test]
fn a_folder_without_an_enhancement_is_named() {
    let place = Place::new();
    for command in [&["check"][..], &["check", "."], &["package"], &["check", "absent"]] {
        let failed = place.ends(3, command);
        assert!(failed.err.contains("there is no enhancement.yaml in "), "{}", failed.err);
        assert!(failed.err.contains("`tmp new ID`"), "{}", failed.err);
        assert!(!failed.err.contains("1 mistake"), "{}", failed.err);
    }
}

#[test]
fn names_of_tmps_own_steps_and_programs_that_are_none_are_refused() {
    let place = Place::billing();
    let text = ENHANCEMENT.to_owned()
        + "  - {name: post-image, run: [bin/fee]}
batch:
  - {name: control-object-1, run: [/usr/../bin/true]}
  - {name: after-rollback, run: [./bin/fee], rollback: [../bin/fee]}
  - {name: slash, run: [/]}
";
    place.write("fee/enhancement.yaml", &text);
    let failed = place.ends(3, &["check", "fee"]);
    settings(&place).bind(|| insta::assert_snapshot!(failed.err));
    assert_eq!(place.ends(3, &["package", "fee"]).err, failed.err);
}

#[test]
fn a_program_of_the_host_is_run_by_its_path() {
    let place = Place::billing();
    let batch = "batch:\n  - {name: touch, run: [/bin/sh, -c, \"echo ran > var/ran\"]}\n";
    place.write("fee/enhancement.yaml", &(ENHANCEMENT.to_owned() + batch));
    place.ends(0, &["check", "fee"]);
    let file = place.package("fee");
    place.ends(0, &["run", &file, "--now", "--reason", "a test"]);
    assert_eq!(place.read("model/var/ran"), "ran\n");
}

#[test]
fn every_mistake_with_its_line_and_a_way_to_mend_it() {
    let place = Place::billing();
    let text = ENHANCEMENT
        .replace("mode: \"0640\"", "mode: 640")
        .replace(
            "  - {remove: lib/old.sh}",
            "  - {put: lib/x, from: files/nothing}\n  - {remove: ../outside}",
        )
        .replace("title:", "titel:")
        .replace("sql:", "sql:\n  - {name: 005, database: other, apply: sql/010.sql, rollback: archive}");
    place.write("fee/enhancement.yaml", &text);
    place.write("fee/sql/010.sql", "CREATE TABLE x (y);\nCOMMIT;\n");
    let failed = place.ends(3, &["check", "fee"]);
    settings(&place).bind(|| insta::assert_snapshot!(failed.err));
    let packaged = place.ends(3, &["package", "fee"]);
    assert_eq!(packaged.err, failed.err);
    assert!(!place.path("late-fee-r1-model.trigger").exists());
}

#[test]
fn a_trigger_file_is_shown_whole() {
    let place = Place::billing();
    let file = place.package("fee");
    let shown = place.ends(0, &["inspect", &file]);
    settings(&place).bind(|| insta::assert_snapshot!(shown.out));
    let json = place.json(&["inspect", &file]);
    assert_eq!(json["schema"], "tmp.inspect/v1");
    assert_eq!(json["header"]["enhancement"], "late-fee");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let place = Place::billing();
    place.package("fee");
    let first = std::fs::read(place.path("fee.trigger")).unwrap();
    place.package("fee");
    assert_eq!(first, std::fs::read(place.path("fee.trigger")).unwrap());
}

#[test]
fn modules_from_two_trees() {
    let place = Place::billing();
    let text =
        ENHANCEMENT.split("modules:").next().unwrap().replace("databases: {main: {engine: sqlite}}\n", "");
    place.write("diff/enhancement.yaml", &text);
    place.write("next/bin/billing", "#!/bin/sh\necho the next\n");
    place.write("next/etc/fee.conf", "rate=0\n");
    place.write("next/var/data", "live data\n");
    let made =
        place.json(&["package", "diff", "--from", "model", "--to", "next", "-o", "deep/er/diff.trigger"]);
    assert_eq!((made["modules"].as_u64(), made["sql_changes"].as_u64()), (Some(3), Some(0)), "{made}");
    assert!(place.path("deep/er/diff.trigger").is_file());
}

#[test]
fn what_is_no_trigger_file_is_refused_with_3() {
    let place = Place::billing();
    let file = place.package("fee");
    let good = std::fs::read(place.path(&file)).unwrap();
    place.write("empty", "");
    place.write("text", "this is no trigger file");
    let cut = good[..good.len() / 2].to_vec();
    let mut flipped = good.clone();
    let middle = flipped.len() * 3 / 4;
    flipped[middle] ^= 1;
    for (name, bytes) in [("cut", cut), ("flipped", flipped)] {
        place.write(name, "");
        std::fs::write(place.path(name), bytes).unwrap();
    }
    let before = place.model();
    for name in ["empty", "text", "cut", "flipped", "model", "absent"] {
        for command in [&["inspect", name][..], &["plan", name], &["run", name, "--now", "--reason", "test"]]
        {
            let refused = place.ends(3, command);
            assert!(refused.out.is_empty() && refused.err.contains(name), "{refused:?}");
        }
    }
    assert_eq!(place.model(), before);
    assert!(!place.path("state").exists());
}

#[test]
fn a_directory_may_become_a_file_and_a_file_a_directory() {
    let place = Place::billing();
    for name in ["model/share/old/a", "model/share/old/deep/b", "model/share/link/c"] {
        place.write(name, "there\n");
    }
    place.write("model/share/new", "a file\n");
    let text = ENHANCEMENT.split("databases:").next().unwrap();
    place.write("turn/enhancement.yaml", &format!("{text}modules: [{{put: share/, from: files/}}]\n"));
    place.write("turn/files/old", "a file now\n");
    place.write("turn/files/new/deep/x", "in a directory now\n");
    std::os::unix::fs::symlink("old", place.path("turn/files/link")).unwrap();
    let file = place.package("turn");
    let inspected = place.ends(0, &["inspect", &file]).out;
    for gone in ["share/old/a", "share/old/deep", "share/old/deep/b", "share/link/c"] {
        assert!(inspected.contains(gone), "{gone}: {inspected}");
    }
    place.ends(0, &["plan", &file]);
    let before = place.model();
    place.ends(0, &["run", &file, "--now", "--reason", "a test"]);
    assert_eq!(place.read("model/share/old"), "a file now\n");
    assert_eq!(place.read("model/share/new/deep/x"), "in a directory now\n");
    assert_eq!(place.read("model/share/link"), "a file now\n");
    assert_ne!(place.model(), before);
    place.write("live/share/old/other", "not in the model\n");
    place.ends(0, &["package", "turn", "--for", "production", "--base", "model", "-o", "live.trigger"]);
    let refused = place.ends(5, &["plan", "live.trigger"]);
    assert!(refused.err.contains("drift"), "{}", refused.err);
}

#[test]
fn a_single_file_below_a_file_is_a_mistake() {
    let place = Place::billing();
    let text = ENHANCEMENT.split("databases:").next().unwrap();
    let modules = "modules: [{put: etc/fee.conf/x, from: x}]\n";
    place.write("under/enhancement.yaml", &format!("{text}{modules}"));
    place.write("under/x", "x\n");
    let refused = place.ends(3, &["package", "under", "--base", "model"]);
    assert!(refused.err.contains("etc/fee.conf, which is a file in the base tree"), "{}", refused.err);
    assert!(refused.err.contains("put: etc/fee.conf/"), "{}", refused.err);
}
