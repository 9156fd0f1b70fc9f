//! Checks and commands: what passes, what does not, and that nothing of a command is left.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::common::{Lab, text};
use tmp_core::{
    enhancement::{Check, Probe},
    outcome::Outcome,
};

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    lab
}

/// Answers requests with these status lines, the last one again and again, until the test ends.
fn server(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (count, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let answer = answers[count.min(answers.len() - 1)];
            let _ = stream.read(&mut [0; 1024]);
            let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(text.as_bytes());
        }
    });
    address
}

fn asked(url: &str, site: Option<String>, status: u16, within_s: u64) -> Outcome {
    let mut lab = lab();
    lab.url = site;
    let probe = Probe::Http { url: url.to_owned(), status };
    lab.enhancement.verify.push(Check { name: "health".parse().unwrap(), probe, within_s });
    lab.migrate()
}

#[track_caller]
fn refused(outcome: &Outcome, word: &str) {
    assert!(matches!(outcome, Outcome::RolledBack { cause, .. } if cause.contains(word)), "{outcome:?}");
}

#[track_caller]
fn passed(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

#[test]
fn an_http_check_passes_with_its_status_alone() {
    passed(&asked("{site.url}/health", Some(server(&["200 OK"]) + "/"), 200, 0));
    refused(&asked(&server(&["500 No"]), None, 200, 0), "answered 500 instead of 200");
    let redirects: &[&str] = &["302 Found\r\nLocation: /", "200 OK"];
    refused(&asked(&server(redirects), None, 200, 0), "answered 302");
    passed(&asked(&server(redirects), None, 302, 0));
}

#[test]
fn an_http_check_is_asked_again_within_its_time() {
    passed(&asked(&server(&["503 Not yet", "503 Not yet", "204 Here"]), None, 204, 10));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let since = Instant::now();
    refused(&asked(&format!("http://127.0.0.1:{port}/"), None, 200, 1), "did not answer");
    assert!(since.elapsed() >= Duration::from_secs(1));
}

/// Runs one shell command as a check.
fn command(shell: &str, timeout_s: u64) -> (Lab, Outcome, Duration) {
    let mut lab = lab();
    lab.check("command", shell);
    let Probe::Command(command) = &mut lab.enhancement.verify[0].probe else { panic!("no command") };
    command.timeout_s = timeout_s;
    let since = Instant::now();
    let outcome = lab.migrate();
    (lab, outcome, since.elapsed())
}

/// Whether a process lives; a zombie does not.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

#[track_caller]
fn soon_gone(pid: &str) {
    assert!(!pid.trim().is_empty());
    let since = Instant::now();
    while lives(pid) {
        assert!(since.elapsed() < Duration::from_secs(10), "{pid} lives on");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_command_whose_time_is_over_is_killed_with_its_grandchildren() {
    let shell = "sh -c 'sh -c \"echo \\$\\$ > grandchild; sleep 60; true\"; true' & echo here; sleep 60";
    let (lab, outcome, took) = command(shell, 2);
    refused(&outcome, "did not end within 2 s: here");
    assert!(took < Duration::from_secs(40), "{took:?}");
    soon_gone(&text(lab.root().join("grandchild")));
}

#[test]
fn children_that_outlive_a_command_are_killed_too() {
    let (lab, outcome, took) = command("sleep 60 & echo $! > child", 30);
    passed(&outcome);
    assert!(took < Duration::from_secs(25), "{took:?}");
    soon_gone(&text(lab.root().join("child")));
}

#[test]
fn a_process_that_leaves_the_group_does_not_hold_the_engine() {
    let shell =
        "setsid sh -c 'echo $$ > survivor; exec sleep 40' & until test -s survivor; do sleep 0.05; done";
    let (lab, outcome, took) = command(shell, 30);
    passed(&outcome);
    assert!(took < Duration::from_secs(25), "{took:?}");
    let survivor = text(lab.root().join("survivor"));
    assert!(lives(&survivor), "it left the group");
    let pid = rustix::process::Pid::from_raw(survivor.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn the_output_that_is_kept_is_bounded_and_is_the_end() {
    let (_, outcome, _) = command("head -c 3000000 /dev/zero | tr '\\0' x; echo the end; exit 1", 30);
    let Outcome::RolledBack { cause, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(cause.ends_with("the end"));
    assert!(cause.len() < 20 << 10, "{}", cause.len());
}

#[test]
fn the_environment_of_a_command_is_clean() {
    let (lab, outcome, _) = command("env | sort > environment; cat >> environment", 30);
    passed(&outcome);
    let root = lab.base().join("site/live");
    let seen = text(lab.root().join("environment"))
        .replace(root.as_str(), "ROOT")
        .replace(outcome.report().migration.as_str(), "MIGRATION");
    insta::assert_snapshot!(seen);
}

#[test]
fn a_program_that_is_not_there_is_a_failed_check() {
    let mut lab = lab();
    lab.check("command", "");
    let Probe::Command(command) = &mut lab.enhancement.verify[0].probe else { panic!("no command") };
    command.run = vec!["bin/no-such-program".into()];
    refused(&lab.migrate(), "cannot be started");
}

/// A step that fails leaves a process in a session of its own, which goes on writing: it is stopped
/// before anything is put back.
#[test]
fn what_a_failed_step_left_running_is_stopped_before_it_is_undone() {
    let mut lab = lab();
    lab.write("var/index/one", "1");
    let writer = "setsid sh -c 'while :; do echo more >> var/index/one; sleep 0.01; done' >/dev/null 2>&1 &";
    lab.batch("reindex", &format!("{writer} sleep 0.2; exit 1"), None, &["var/index/**"]);
    let before = lab.seen();
    refused(&lab.migrate(), "reindex");
    thread::sleep(Duration::from_millis(100));
    crate::common::assert_same(&before, &lab.seen());
}

/// A process that a step started and that ended well is not TMP's to stop.
#[test]
fn what_a_finished_step_left_running_is_left_to_its_own_way_back() {
    let mut lab = lab();
    let service = "setsid sh -c 'echo $$ > ../service; exec sleep 30' >/dev/null 2>&1 & sleep 0.2";
    lab.batch("restart", service, Some("kill $(cat ../service) && rm ../service"), &[]);
    lab.check("refuses", "exit 1");
    refused(&lab.migrate(), "refuses");
    assert!(!lab.root().join("../service").exists(), "the step's own rollback found it running");
}
