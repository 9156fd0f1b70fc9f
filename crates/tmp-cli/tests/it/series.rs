//! Several trigger files in one run, and several enhancements in one reversal: each a migration of its own.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, settings};

const NOW: [&str; 3] = ["--now", "--reason", "a test"];

/// A program of the system that waits for the file `go`.
const WAITING: &str = "#!/bin/sh\ntouch ../waits\nwhile [ ! -e ../go ]; do sleep 0.05; done\n";

/// An enhancement that makes a table, and `more`.
fn table(place: &Place, id: &str, more: &str) -> String {
    place.write(
        &format!("{id}/enhancement.yaml"),
        &format!(
            "schema: tmp/enhancement/v1\nid: {id}\nrevision: 1\ntitle: The table of {id}\nsystem: billing\n\
             databases: {{main: {{engine: sqlite}}}}\n\
             sql:\n  - {{name: make, database: main, apply: up.sql, rollback: down.sql}}\n{more}"
        ),
    );
    place.write(&format!("{id}/up.sql"), &format!("CREATE TABLE {id} (a);\n"));
    place.write(&format!("{id}/down.sql"), &format!("DROP TABLE {id};\n"));
    place.package(id)
}

fn tables(place: &Place) -> String {
    let connection = rusqlite::Connection::open(place.path("model.db")).unwrap();
    let sql = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema \
               WHERE type = 'table' AND name IN ('one', 'two', 'three') ORDER BY rowid)";
    connection.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).unwrap().unwrap_or_default()
}

fn run<'a>(files: &[&'a str]) -> Vec<&'a str> {
    [&["run"], files, &NOW].concat()
}

#[test]
fn each_is_planned_once_the_one_before_it_is_committed() {
    let place = Place::billing();
    let one = table(&place, "one", "");
    let two = table(&place, "two", "requires: [one]\n");
    let refused = place.ends(5, &run(&[&two, &one]));
    assert!(refused.err.contains("it requires one, which is not at"), "{}", refused.err);
    assert!(refused.out.contains("0 of 2") && refused.out.contains("not begun   one.trigger"), "{refused:?}");
    assert_eq!(tables(&place), "");
    let done = place.ends(0, &run(&[&one, &two]));
    assert!(done.out.ends_with("2 of 2 trigger files are in place\n"), "{}", done.out);
    assert_eq!(tables(&place), "one,two");
    let again = place.ends(0, &run(&[&one, &two]));
    assert_eq!(again.out.matches("nothing to do").count(), 2, "{}", again.out);
    assert_eq!(place.json(&["history"])["migrations"].as_array().unwrap().len(), 2);
}

#[test]
fn the_first_that_does_not_commit_ends_the_run() {
    let place = Place::billing();
    let one = table(&place, "one", "");
    let two = table(&place, "two", "verify:\n  - {name: health, run: [bin/no-such-program]}\n");
    let three = table(&place, "three", "");
    place.write("model/bin/no-such-program", "#!/bin/sh\nexit 1\n");
    let stopped = place.ends(10, &run(&[&one, &two, &three]));
    assert_eq!(tables(&place), "one", "the first stays, the second is rolled back, the third was not begun");
    settings(&place).bind(|| insta::assert_snapshot!("series_stopped", stopped.out));
    let ran = place.tmp(&[&run(&[&one, &two, &three])[..], &["--json"]].concat());
    let last: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["schema"], "tmp.run/v1");
    assert_eq!(
        (&last["in_place"][0]["enhancement"], &last["stopped_at"]["exit"]),
        (&"one".into(), &10.into())
    );
    assert_eq!(last["not_begun"], serde_json::json!(["three.trigger"]));
    place.write("model/bin/no-such-program", "#!/bin/sh\nexit 0\n");
    place.ends(0, &run(&[&one, &two, &three]));
    assert_eq!(tables(&place), "one,two,three");
}

#[test]
fn a_file_that_is_none_is_found_before_anything_is_touched() {
    let place = Place::billing();
    let one = table(&place, "one", "");
    place.write("broken.trigger", "no trigger file\n");
    place.ends(3, &run(&[&one, "broken.trigger"]));
    assert_eq!(tables(&place), "");
}

/// Starts a command and comes back when a program of the system waits.
fn begin(place: &Place, arguments: &[&str]) -> std::process::Child {
    let mut command = place.command(arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    while !place.path("waits").exists() {
        assert!(since.elapsed() < Duration::from_secs(60), "the program never ran");
        thread::sleep(Duration::from_millis(10));
    }
    child
}

fn kill(mut child: std::process::Child, signal: Signal) -> Option<i32> {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
    child.wait().unwrap().code()
}

#[test]
fn killed_in_the_second_the_first_stays_and_the_run_can_be_repeated() {
    let place = Place::billing();
    place.write("model/bin/wait", WAITING);
    let one = table(&place, "one", "");
    let two = table(&place, "two", "verify:\n  - {name: waits, run: [bin/wait]}\n");
    let three = table(&place, "three", "");
    let files = run(&[&one, &two, &three]);
    kill(begin(&place, &files), Signal::KILL);
    assert_eq!(tables(&place), "one,two");
    place.write("go", "");
    place.ends(10, &["recover"]);
    assert_eq!(tables(&place), "one");
    place.ends(0, &files);
    assert_eq!(tables(&place), "one,two,three");
}

#[test]
fn a_signal_rolls_back_the_one_at_hand_and_begins_no_other() {
    let place = Place::billing();
    place.write("model/bin/wait", WAITING);
    let one = table(&place, "one", "");
    let two = table(&place, "two", "verify:\n  - {name: waits, run: [bin/wait]}\n");
    let three = table(&place, "three", "");
    let mut child = begin(&place, &run(&[&one, &two, &three]));
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
    thread::sleep(Duration::from_millis(50));
    place.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(10));
    assert_eq!(tables(&place), "one");
    place.ends(0, &["recover"]);
}

#[test]
fn several_are_reversed_with_what_builds_on_them_and_a_kill_between_two_leaves_whole_ones() {
    let place = Place::billing();
    place.write("model/bin/wait", WAITING);
    let one = table(&place, "one", "");
    let two = table(&place, "two", "after_rollback:\n  - {run: [bin/wait]}\n");
    let three = table(&place, "three", "");
    place.ends(0, &run(&[&one, &two, &three]));
    let reverse = ["reverse", "two", "one", "--reason", "a test"];
    place.ends(4, &[&reverse[..], &["--confirm", "two"]].concat());
    let shown = place.ends(0, &[&reverse[..], &["--dry-run"]].concat());
    let ids: Vec<_> =
        shown.out.lines().filter_map(|line| line.trim().split_once(' ')).map(|it| it.0).collect();
    assert_eq!(ids[1..], ["three", "two", "one"], "{}", shown.out);
    let confirmed = [&reverse[..], &["--confirm", "two,one"]].concat();
    kill(begin(&place, &confirmed), Signal::KILL);
    assert_eq!(tables(&place), "one", "three is out, two is being taken out");
    place.write("go", "");
    place.ends(10, &["recover"]);
    assert_eq!(tables(&place), "one,two");
    place.ends(0, &confirmed);
    assert_eq!(tables(&place), "");
}
