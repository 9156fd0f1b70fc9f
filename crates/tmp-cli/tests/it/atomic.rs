//! `switch: atomic` by the real binary: what a site must be like, what is shown, and what comes of it.

use crate::support::{Place, settings};

const NOW: &[&str] = &["--now", "--reason", "exchanged as a whole"];

/// The billing system with its live data elsewhere, and its model exchanged as a whole.
fn place() -> Place {
    let place = Place::billing();
    for root in ["model", "live"] {
        std::fs::remove_dir_all(place.path(root).join("var")).unwrap();
    }
    place.write("model/doc/fee.txt", "no fee\n");
    configure(&place, "switch: atomic, ");
    place
}

/// Puts more into the entry of the model.
fn configure(place: &Place, more: &str) {
    let text = place.read("tmp.yaml").replace("{root: model, ", &format!("{{root: model, {more}"));
    place.write("tmp.yaml", &text);
}

fn run(file: &str) -> Vec<&str> {
    [&["run", file], NOW].concat()
}

#[test]
fn a_tree_is_exchanged_and_taken_back_and_reversed() {
    let place = place();
    let file = place.package("fee");
    let before = place.model();
    let shown = place.ends(0, &["plan", &file]);
    let shown = shown.out.split("\nModules").next().unwrap().to_owned();
    assert_eq!(place.json(&["plan", &file])["plan"]["tree"]["linked"], 1);
    place.ends(0, &["rehearse", &file]);
    let ran = place.ends(0, &[run(&file).as_slice(), &["--json"]].concat());
    let ran: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!((&ran["outcome"], &ran["report"]["switch"]), (&"committed".into(), &"atomic".into()), "{ran}");
    assert!(ran["report"]["mixture_us"].is_u64(), "{ran}");
    let past = place.json(&["history"]);
    let past = &past["migrations"][0];
    assert_eq!((&past["switch"], &past["mixture_us"]), (&"atomic".into(), &ran["report"]["mixture_us"]));
    assert_eq!(place.read("model/etc/fee.conf"), "rate=5\n");
    let log = place.ends(0, &["log", past["id"].as_str().unwrap()]).out;
    place.ends(0, &["drift", "model-1"]);
    let reversed = place.ends(0, &["reverse", "late-fee", "--reason", "not wanted", "--yes"]);
    let same = place.model();
    let timeless = |tree: &tmp_testkit::walk::TreeFingerprint| tree.without_mtimes(|_| true);
    assert_eq!(tmp_testkit::walk::diff(&timeless(&before.0), &timeless(&same.0)), [""; 0]);
    settings(&place).bind(|| {
        insta::assert_snapshot!("atomic_plan", shown);
        insta::assert_snapshot!("atomic_log", log);
        insta::assert_snapshot!("atomic_reversed", reversed.out);
        insta::assert_snapshot!("atomic_config", place.ends(0, &["config", "show"]).out);
    });
    place.ends(0, &["doctor"]);
    let left = std::fs::read_dir(place.path(".tmp-work-model")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["ballast", "lock"]);
}

#[test]
fn a_failing_check_gives_the_old_tree_back() {
    let place = place();
    place.write("fee/files/bin/fee", "#!/bin/sh\nexit 1\n");
    let file = place.package("fee");
    let before = place.model();
    let ran = place.ends(10, &run(&file));
    assert!(ran.out.contains("is as it was"), "{}", ran.out);
    assert_eq!(place.model(), before);
}

#[test]
fn live_data_is_refused_with_a_rule_that_is_explained() {
    let place = Place::billing();
    configure(&place, "switch: atomic, ");
    let file = place.package("fee");
    let before = place.model();
    let refused = place.ends(5, &run(&file));
    settings(&place).bind(|| insta::assert_snapshot!("atomic_refused", refused.err));
    assert_eq!(place.model(), before);
    assert!(place.ends(0, &["explain", "atomic-live"]).out.contains("one by one"));
}

#[test]
fn what_the_configuration_says_wrong_is_told_with_its_place() {
    let place = Place::billing();
    configure(&place, "switch: atomic, work: model/.tmp-work, ");
    let text = place.read("tmp.yaml").replace("sqlite: model.db", "sqlite: model/model.db");
    place.write("tmp.yaml", &text.replace("{root: live, ", "{root: live, switch: whole, "));
    let wrong = place.ends(3, &["status"]);
    place.write("tmp.yaml", &text);
    let inside = place.ends(3, &["status"]);
    settings(&place).bind(|| insta::assert_snapshot!("atomic_mistakes", wrong.err + &inside.err));
}
