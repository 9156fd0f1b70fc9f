//! What operators do: plan, run, status, history, log, archive.

use crate::support::{ENHANCEMENT, Place, settings};

const NOW: &[&str] = &["--now", "--reason", "end-to-end test"];

fn run(file: &str) -> Vec<&str> {
    [&["run", file], NOW].concat()
}

#[test]
fn a_plan_changes_nothing_and_says_everything() {
    let place = Place::billing();
    let file = place.package("fee");
    let before = place.model();
    let shown = place.ends(0, &["plan", &file]);
    settings(&place).bind(|| insta::assert_snapshot!(shown.out));
    place.ends(6, &["plan", &file, "--exit-code"]);
    let json = place.json(&["plan", &file]);
    assert_eq!(json["schema"], "tmp.plan/v1");
    assert!(
        json["steps"].as_array().unwrap().iter().all(|step| !step["way_back"].as_str().unwrap().is_empty())
    );
    assert_eq!(place.model(), before);
    assert!(!place.path("state").exists());
}

#[test]
fn a_good_enhancement_goes_all_the_way() {
    let place = Place::billing();
    let file = place.package("fee");
    let ran = place.ends(0, &run(&file));
    settings(&place).bind(|| {
        insta::assert_snapshot!("good_out", ran.out);
        insta::assert_snapshot!("good_err", ran.err);
        insta::assert_snapshot!("good_status", place.ends(0, &["status"]).out);
        insta::assert_snapshot!("good_history", place.ends(0, &["history"]).out);
    });
    assert_eq!(place.read("model/bin/billing"), "#!/bin/sh\necho billing with a fee\n");
    assert!(!place.path("model/lib/old.sh").exists());
    let past = place.json(&["history", "late-fee"]);
    let id = past["migrations"][0]["id"].as_str().unwrap();
    let log = place.ends(0, &["log", id]);
    settings(&place).bind(|| insta::assert_snapshot!("good_log", log.out));
    assert_eq!(place.ends(0, &["log", "-f", &id[..13]]).out, log.out);
    place.ends(2, &["log", "no-such"]);
    assert!(place.ends(0, &run(&file)).out.starts_with("nothing to do"));
    assert!(place.ends(0, &["plan", &file, "--exit-code"]).out.starts_with("nothing to do"));
    assert!(place.ends(0, &["recover"]).out.starts_with("nothing to recover"));
    assert!(place.ends(0, &["resolve", "model-1", "--reason", "none"]).out.starts_with("nothing to resolve"));
    place.ends(0, &["doctor"]);
}

#[test]
fn a_failing_check_leaves_no_trace() {
    let place = Place::billing();
    place.write("fee/files/bin/fee", "#!/bin/sh\necho no luck >&2\nexit 1\n");
    let file = place.package("fee");
    let before = place.model();
    let ran = place.ends(10, &run(&file));
    assert_eq!(place.model(), before);
    settings(&place).bind(|| insta::assert_snapshot!(ran.out));
    let open = place.json(&["status"]);
    assert_eq!(open["sites"][0]["open"], serde_json::Value::Null);
    assert_eq!(open["sites"][0]["last"]["phase"], "rolled_back");
}

#[test]
fn json_lines_from_the_first_to_the_last() {
    let place = Place::billing();
    let file = place.package("fee");
    let ran = place.ends(0, &[&run(&file)[..], &["--json"]].concat());
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["schema"].as_str().unwrap().starts_with("tmp.")), "{}", ran.out);
    assert_eq!(lines.first().unwrap()["event"], "started");
    let last = lines.last().unwrap();
    assert_eq!(
        (last["schema"].as_str(), last["outcome"].as_str()),
        (Some("tmp.outcome/v1"), Some("committed"))
    );
    assert_eq!(ran.err, "");
}

#[test]
fn what_stands_in_the_way_is_said_before_anything_is_touched() {
    let place = Place::billing();
    let file = place.package("fee");
    place.write("model/etc/fee.conf", "rate=1, by hand\n");
    std::fs::remove_file(place.path("model/lib/old.sh")).unwrap();
    let text = place.read("tmp.yaml").replace("allowed", "forbidden");
    place.write("tmp.yaml", &text);
    let before = place.model();
    let ran = place.ends(5, &run(&file));
    settings(&place).bind(|| insta::assert_snapshot!(ran.err));
    place.ends(5, &["plan", &file]);
    assert_eq!(place.model(), before);
    assert!(!place.path("state").exists());
}

#[test]
fn without_now_it_is_not_the_time() {
    let place = Place::billing();
    let file = place.package("fee");
    let refused = place.ends(75, &["run", &file]);
    settings(&place).bind(|| insta::assert_snapshot!(refused.err));
}

#[test]
fn a_trigger_file_goes_where_it_is_meant_to() {
    let place = Place::billing();
    place.package("fee");
    place.ends(0, &["package", "fee", "--for", "production", "-o", "live.trigger"]);
    let model = place.json(&["inspect", "fee.trigger"]);
    let live = place.json(&["inspect", "live.trigger"]);
    assert_ne!(model["trigger"], live["trigger"]);
    let other = place.ends(0, &["plan", "fee.trigger", "--environment", "production"]);
    assert!(other.out.contains("packaged for model"), "{}", other.out);
    place.write("fee/enhancement.yaml", &ENHANCEMENT.replace("system: billing", "system: payroll"));
    place.ends(0, &["package", "fee", "-o", "payroll.trigger"]);
    assert!(place.ends(3, &run("payroll.trigger")).err.contains("payroll"));
    for (expires, code) in [("2020-01-01", 3), ("2020-01-01T10:00:00+01:00", 3), ("2999-12-31", 0)] {
        let text = format!("{ENHANCEMENT}schedule: {{expires: \"{expires}\"}}\n");
        place.write("fee/enhancement.yaml", &text);
        let file = place.package("fee");
        assert_eq!(place.ends(code, &run(&file)).err.contains("expired"), code == 3, "{expires}");
    }
    let sites = ENHANCEMENT.to_owned() + "distribution: {sites: [elsewhere]}\n";
    place.write("fee/enhancement.yaml", &sites);
    place.ends(0, &["package", "fee", "-o", "elsewhere.trigger"]);
    assert!(place.ends(3, &run("elsewhere.trigger")).err.contains("elsewhere"));
}

#[test]
fn relations_between_enhancements_are_kept() {
    let place = Place::billing();
    let second = |relation: &str, revision: u32| {
        let text = format!(
            "schema: tmp/enhancement/v1\nid: report\nrevision: {revision}\ntitle: Report\nsystem: billing\n{relation}\n\
             modules:\n  - {{put: lib/report.sh, from: files/fee.conf}}\n"
        );
        place.enhancement("report", &text);
        place.ends(0, &["package", "report", "-o", "report.trigger"]);
    };
    second("requires: [late-fee]", 2);
    assert!(place.ends(5, &run("report.trigger")).err.contains("it requires late-fee"));
    let file = place.package("fee");
    place.ends(0, &run(&file));
    place.ends(0, &run("report.trigger"));
    second("conflicts_with: [late-fee]", 3);
    assert!(place.ends(5, &run("report.trigger")).err.contains("conflicts with late-fee"));
    second("", 1);
    assert!(place.ends(5, &run("report.trigger")).err.contains("revision 2 of it is at"));
}

#[test]
fn archives_are_listed_verified_and_put_back() {
    let place = Place::billing();
    assert_eq!(place.ends(0, &["archive", "list"]).out, "no snapshots\n");
    let file = place.package("fee");
    let before = place.model();
    place.ends(0, &run(&file));
    let list = place.json(&["archive", "list"]);
    let id = list["snapshots"][0]["id"].as_str().unwrap().to_owned();
    assert!(place.ends(0, &["archive", "verify", "--read-data"]).out.contains("whole"));
    let shown = place.ends(0, &["archive", "show", &id]).out;
    assert!(shown.contains("etc/fee.conf") && shown.contains("absent      bin/fee"), "{shown}");
    place.ends(0, &["archive", "restore", &id, "--to", "back"]);
    assert_eq!(place.read("back/etc/fee.conf"), "rate=0\n");
    place.ends(2, &["archive", "restore", &id, "--to", "back"]);
    place.ends(0, &["archive", "restore", &id, "--to", "base", "--database", "main"]);
    let rows: i64 = rusqlite::Connection::open(place.path("base/main.sqlite"))
        .unwrap()
        .query_row("SELECT count(*) FROM invoice", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
    place.ends(0, &["archive", "export", &id, "-o", "all.tar"]);
    let listed = std::process::Command::new("tar").arg("-tf").arg(place.path("all.tar")).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("etc/fee.conf"), "{listed:?}");
    let refused = place.ends(4, &["archive", "restore", &id, "--in-place"]);
    assert!(refused.err.contains("nobody is there to confirm it"), "{}", refused.err);
    place.ends(4, &["archive", "restore", &id, "--in-place", "--confirm", "other"]);
    place.ends(0, &["archive", "restore", &id, "--in-place", "--confirm", "model-1"]);
    let mtimes = |path: &[u8]| matches!(path, b"" | b"bin" | b"etc" | b"lib");
    let after = place.model().0.without_mtimes(mtimes);
    assert_eq!(tmp_testkit::walk::diff(&before.0.without_mtimes(mtimes), &after), Vec::<String>::new());
    place.ends(2, &["archive", "show", "ffffffff"]);
}
