//! What operators do: plan, run, status, history, log, archive.

use std::{fs, process::Stdio};

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

/// Whoever runs, maps, has open or works in what goes away is named, and nobody else.
#[test]
fn a_plan_names_the_processes_that_go_on_with_the_old() {
    let place = Place::billing();
    let file = place.package("fee");
    let quiet = place.ends(0, &["plan", &file]).out;
    assert!(!quiet.contains("is used by"), "{quiet}");
    let sleeper = |from: &str| {
        let mut command = std::process::Command::new("bash");
        command.args(["-c", "cd \"$0\"; echo; exec sleep 60", from]).current_dir(place.dir());
        command
    };
    let open = |name: &str| fs::File::open(place.path(name)).unwrap();
    let started = |mut command: std::process::Command| {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        std::io::Read::read_exact(&mut child.stdout.take().unwrap(), &mut [0]).unwrap();
        child
    };
    let mut holding = sleeper("/");
    holding.stdin(open("model/bin/billing"));
    let mut other = sleeper(place.path("model/bin").to_str().unwrap());
    other.stdin(open("model/var/data"));
    let mut children = [started(holding), started(other)];
    let shown = place.ends(0, &["plan", &file]).out;
    let expected = format!(
        "bin/billing is used by process {} (sleep): until it is started anew it goes on with the old\n",
        children[0].id()
    );
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(shown.contains(&expected), "{shown}");
    assert_eq!(shown.matches("is used by").count(), 1, "{shown}");
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
    for command in ["log", "history"] {
        let unknown = place.ends(2, &[command, "no-such"]);
        assert_eq!(unknown.out, "");
        assert!(unknown.err.contains("no-such") && unknown.err.contains("`tmp history`"), "{}", unknown.err);
    }
    assert_eq!(place.json(&["status"])["sites"][0]["last"]["phase"], "cleaned_up");
    assert_eq!(past["migrations"][0]["phase"], "cleaned_up");
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

/// In WAL mode opening a database makes files beside it: neither a plan nor a rollback leaves any, and
/// the directory has its time again.
#[test]
fn a_database_with_a_write_ahead_log_leaves_no_trace_beside_it() {
    for (script, check) in [("SELECT 1;\n", "exit 1"), ("INSERT INTO nowhere VALUES (1);\n", "exit 0")] {
        let place = Place::billing();
        place.write("fee/files/bin/fee", &format!("#!/bin/sh\n{check}\n"));
        place.write("fee/sql/010.sql", &(place.read("fee/sql/010.sql") + script));
        let folder = place.path("data");
        fs::create_dir(&folder).unwrap();
        fs::rename(place.path("model.db"), folder.join("model.db")).unwrap();
        place.write("tmp.yaml", &place.read("tmp.yaml").replace("model.db", "data/model.db"));
        let connection = rusqlite::Connection::open(folder.join("model.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        drop(connection);
        let seen = || {
            let names: Vec<_> =
                fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            let database = tmp_testkit::sqlite::dump(&folder.join("model.db")).unwrap();
            (names, fs::metadata(&folder).unwrap().modified().unwrap(), format!("{database:?}"))
        };
        let file = place.package("fee");
        // The dump itself opens the database.
        seen();
        let before = seen();
        place.ends(0, &["plan", &file]);
        assert_eq!(seen().0, before.0);
        let time = fs::metadata(&folder).unwrap().modified().unwrap();
        place.ends(10, &run(&file));
        assert_eq!(fs::metadata(&folder).unwrap().modified().unwrap(), time);
        let after = seen();
        assert_eq!((&after.0, &after.2), (&before.0, &before.2));
    }
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
    let steps = lines.iter().filter(|line| line["schema"] == "tmp.event/v1" && !line["step"].is_null());
    let steps: Vec<_> =
        steps.map(|line| format!("{} {} {}", line["event"], line["step"], line["direction"])).collect();
    let told = |event: &str, step: &str| format!("\"{event}\" \"{step}\" \"apply\"");
    let all = ["post-image", "health"].map(|step| [told("step_began", step), told("step", step)]);
    assert_eq!(steps, all.concat());
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
    fs::remove_file(place.path("model/lib/old.sh")).unwrap();
    let text = place.read("tmp.yaml").replace("allowed", "forbidden");
    place.write("tmp.yaml", &text);
    let before = place.model();
    let ran = place.ends(5, &run(&file));
    settings(&place).bind(|| insta::assert_snapshot!(ran.err));
    place.ends(5, &["plan", &file]);
    assert_eq!(place.model(), before);
    assert!(!place.path("state").exists());
}

/// An enhancement whose steps are commands with words that a shell would take apart, a control object
/// and a change that only the archive takes back.
const COMMANDS: &str = "schema: tmp/enhancement/v1
id: late-fee
revision: 1
title: Charge a late fee
system: billing
databases: {main: {engine: sqlite}}
modules:
  - {put: bin/, from: files/bin/, kind: program}
sql:
  - {name: 010-fee, database: main, apply: sql/010.sql, rollback: {irreversible: old rates are gone}}
control_objects:
  - {utility: navigator, object: \"FORM 12\", from: files/fee.conf}
batch:
  - {name: reindex, run: [bin/fee, \"two words\", \"it's\"], rollback: [bin/fee, \"$HOME\"]}
";

fn commands() -> Place {
    let place = Place::billing();
    let utility = "utilities: {navigator: {export: [cat, \"{object}\", \"{file}\"], import: [cat, \"{file}\"], verify: [cat, \"{object}\"]}}\n";
    place.write("tmp.yaml", &(place.read("tmp.yaml") + utility));
    place.write("fee/enhancement.yaml", COMMANDS);
    place
}

#[test]
fn a_plan_shows_commands_as_a_shell_needs_them() {
    let place = commands();
    let file = place.package("fee");
    let shown = place.ends(0, &["plan", &file]).out;
    let steps: Vec<_> = shown.lines().take_while(|line| !line.starts_with("Commit point")).collect();
    settings(&place).bind(|| insta::assert_snapshot!("plan_of_commands", steps.join("\n")));
}

#[test]
fn a_utility_is_examined_once() {
    let place = commands();
    let examined = place.ends(0, &["doctor"]).out;
    assert_eq!(examined.matches("utility navigator").count(), 1, "{examined}");
    let text = place.read("tmp.yaml").replace("import: [cat", "import: [no-such-program");
    place.write("tmp.yaml", &text);
    let examined = place.ends(5, &["doctor"]).out;
    assert!(examined.contains("FAULT  utility navigator: not in PATH: no-such-program\n"), "{examined}");
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
    for other in ["other", "model-1"] {
        let refused = place.ends(4, &["archive", "restore", &id, "--in-place", "--confirm", other]);
        assert!(refused.err.contains("--confirm billing/model/model-1"), "{}", refused.err);
    }
    let shown = place.ends(0, &["status"]).out;
    let site = shown.split_whitespace().next().unwrap();
    place.ends(0, &["archive", "restore", &id, "--in-place", "--confirm", site]);
    let mtimes = |path: &[u8]| matches!(path, b"" | b"bin" | b"etc" | b"lib");
    let after = place.model().0.without_mtimes(mtimes);
    assert_eq!(tmp_testkit::walk::diff(&before.0.without_mtimes(mtimes), &after), Vec::<String>::new());
    place.ends(2, &["archive", "show", "ffffffff"]);
}
