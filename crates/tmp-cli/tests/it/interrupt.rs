//! Migrations that are stopped, killed, blocked or met by another.

use std::{
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::{ENHANCEMENT, Place, settings};
use rustix::process::{Pid, Signal, kill_process};

const NOW: &[&str] = &["--now", "--reason", "interruption test"];

/// A check that waits for the file `go`, and then passes.
const WAITING: &str = "#!/bin/sh\ntouch ../waits\nwhile [ ! -e ../go ]; do sleep 0.05; done\n";

fn waiting() -> (Place, String) {
    let place = Place::billing();
    place.write("fee/files/bin/fee", WAITING);
    let file = place.package("fee");
    (place, file)
}

fn run(file: &str) -> Vec<&str> {
    [&["run", file], NOW].concat()
}

/// Starts a migration and comes back when its check waits.
fn begin(place: &Place, file: &str) -> Child {
    let mut command = place.command(&run(file));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    while !place.path("waits").exists() {
        assert!(since.elapsed() < Duration::from_secs(30), "the check never ran");
        thread::sleep(Duration::from_millis(10));
    }
    child
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

/// How the process ended and what it said.
fn end(child: Child) -> (Option<i32>, String) {
    let ended = child.wait_with_output().unwrap();
    (
        ended.status.code(),
        String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr),
    )
}

#[test]
fn while_one_runs_another_comes_later() {
    let (place, file) = waiting();
    let child = begin(&place, &file);
    let refused = place.ends(75, &run(&file));
    assert!(refused.err.contains("another process works on this target"), "{}", refused.err);
    place.ends(75, &["recover"]);
    let running = place.ends(0, &["status"]).out;
    assert!(running.contains(&format!("running (process {}), checking\n", child.id())), "{running}");
    let site = place.json(&["status"])["sites"][0].clone();
    assert_eq!(site["open_is"], serde_json::json!({"state": "running", "process": child.id()}));
    let id = place.json(&["history"])["migrations"][0]["id"].as_str().unwrap().to_owned();
    let follower = place.command(&["log", "-f", &id]).stdout(Stdio::piped()).spawn().unwrap();
    place.write("go", "");
    assert_eq!(end(child).0, Some(0));
    assert!(end(follower).1.contains("CLEANED_UP"));
}

#[test]
fn the_first_signal_finishes_the_step_and_rolls_back() {
    for first in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (place, file) = waiting();
        let before = place.model();
        let child = begin(&place, &file);
        signal(&child, first);
        thread::sleep(Duration::from_millis(50));
        place.write("go", "");
        let (code, said) = end(child);
        assert_eq!(code, Some(10), "{first:?}: {said}");
        assert_eq!(place.model(), before, "{first:?}");
    }
}

#[test]
fn the_second_signal_leaves_the_rest_to_recovery() {
    let (place, file) = waiting();
    let before = place.model();
    let child = begin(&place, &file);
    signal(&child, Signal::INT);
    thread::sleep(Duration::from_millis(100));
    signal(&child, Signal::INT);
    assert_eq!(end(child).0, Some(130));
    place.write("go", "");
    let recovered = place.ends(10, &["recover"]);
    settings(&place).bind(|| insta::assert_snapshot!(recovered.out));
    assert_eq!(place.model(), before);
    assert!(place.ends(0, &["recover"]).out.starts_with("nothing to recover"));
}

#[test]
fn a_new_run_recovers_the_old_one_first_and_says_so() {
    let (place, file) = waiting();
    let mut child = begin(&place, &file);
    child.kill().unwrap();
    let said = end(child).1;
    assert!(said.contains("step health: begun\n") && !said.contains("step health: done"), "{said}");
    let interrupted = place.ends(0, &["status"]).out;
    assert!(
        interrupted.contains("interrupted while checking: run `tmp recover --site billing/model/model-1`\n"),
        "{interrupted}"
    );
    assert_eq!(place.json(&["status"])["sites"][0]["open_is"]["state"], "interrupted");
    place.write("go", "");
    let ran = place.ends(0, &run(&file));
    assert!(ran.err.contains("was interrupted while checking; recovering"), "{}", ran.err);
    assert!(ran.out.contains("ROLLED BACK") && ran.out.contains("MIGRATED"), "{}", ran.out);
}

#[test]
fn in_doubt_it_is_said_what_is_missing_and_what_was_undone() {
    let text = ENHANCEMENT.to_owned() + "batch:\n  - {name: reindex, run: [bin/run], rollback: [bin/undo]}\n";
    // The first check exchanges a module, the second one only fails; the undo of the batch step hides the database.
    let foreign = "#!/bin/sh\ncp bin/billing bin/theirs\nmv bin/theirs bin/billing\nexit 1\n";
    for (name, check, put_right) in
        [("in_doubt_foreign", foreign, false), ("in_doubt_hidden", "#!/bin/sh\nexit 1\n", true)]
    {
        let place = Place::billing();
        place.write("fee/enhancement.yaml", &text);
        place.write("fee/files/bin/fee", check);
        place.write("fee/files/bin/run", "#!/bin/sh\nexit 0\n");
        place.write("fee/files/bin/undo", "#!/bin/sh\nmv ../model.db ../hidden\n");
        let file = place.package("fee");
        let before = place.model();
        let ended = place.ends(12, &run(&file));
        settings(&place).bind(|| insta::assert_snapshot!(name, ended.out));
        if put_right {
            assert!(place.ends(12, &["recover"]).out.contains("undone      step reindex\n"));
            std::fs::rename(place.path("hidden"), place.path("model.db")).unwrap();
            place.ends(10, &["recover", "--site", "billing/model/model-1"]);
            assert_eq!(place.model(), before);
        }
    }
}

#[test]
fn a_failed_rollback_blocks_until_a_person_resolves_it() {
    let place = Place::billing();
    let text = ENHANCEMENT.to_owned() + "batch:\n  - {name: reindex, run: [bin/fee], rollback: [bin/undo]}\n";
    place.write("fee/enhancement.yaml", &text.replace("run: [bin/fee]}\nbatch", "run: [bin/no]}\nbatch"));
    place.write("fee/files/bin/no", "#!/bin/sh\nexit 1\n");
    place.write("fee/files/bin/undo", "#!/bin/sh\necho cannot >&2\nexit 1\n");
    let file = place.package("fee");
    let failed = place.ends(11, &run(&file));
    settings(&place).bind(|| insta::assert_snapshot!("rollback_failed", failed.out));
    assert!(place.ends(0, &["status"]).out.contains("ROLLBACK FAILED"));
    assert!(place.ends(11, &["recover"]).out.contains("ROLLBACK FAILED"));
    let blocked = place.ends(11, &run(&file));
    assert!(blocked.err.contains("is blocked by migration"), "{}", blocked.err);
    place.ends(5, &["doctor"]);
    place.ends(4, &["resolve", "model-1", "--reason", "put right"]);
    for other in ["hq", "model-1", "billing/production/hq"] {
        let refused = place.ends(4, &["resolve", "model-1", "--reason", "put right", "--confirm", other]);
        assert!(refused.err.contains("--confirm billing/model/model-1"), "{}", refused.err);
    }
    let shown = place.ends(0, &["status"]).out;
    let site = shown.split_whitespace().next().unwrap();
    let resolve = ["resolve", "model-1", "--reason", "put right", "--confirm", site, "--accept-differences"];
    assert!(place.ends(0, &resolve).out.starts_with("resolved"));
    assert!(place.ends(0, &["status"]).out.contains("resolved"));
    place.ends(0, &["doctor"]);
}

#[test]
fn a_lost_archive_can_be_accepted() {
    let place = Place::billing();
    place.write("fee/files/bin/fee", "#!/bin/sh\nrm -rf ../state/archive\nexit 1\n");
    let file = place.package("fee");
    // What the check is confined to may not reach the archive: then somebody else does.
    let ended = place.ends(12, &run(&file));
    assert!(ended.out.contains("snapshot"), "{}", ended.out);
    assert!(place.ends(12, &["recover"]).out.contains("snapshot"));
    let site = "billing/model/model-1";
    let resolve = ["resolve", "model-1", "--reason", "the archive is lost", "--confirm", site];
    let refused = place.ends(11, &resolve);
    assert!(refused.err.contains("snapshot"), "{}", refused.err);
    let accepted: Vec<&str> = resolve.iter().copied().chain(["--accept-differences"]).collect();
    assert!(place.ends(0, &accepted).out.starts_with("resolved"));
    place.ends(0, &["doctor"]);
    assert!(place.ends(0, &["recover"]).out.contains("nothing to recover"));
}
