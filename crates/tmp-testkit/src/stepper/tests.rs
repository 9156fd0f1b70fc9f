use std::{fs, path::Path, time::Instant};

use super::*;

fn shell(dir: &Path, script: &str) -> Stepper {
    Stepper::new("sh").args(["-c", script]).current_dir(dir)
}

const SCRIPT: &str = "echo one > a; echo two > b; echo three > c; echo done";

#[test]
fn exactly_the_calls_that_change_something_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = shell(dir.path(), SCRIPT).run(Action::Count).unwrap();
    // The last write goes to standard output and does not count.
    assert_eq!(outcome.calls, ["openat", "write", "openat", "write", "openat", "write"]);
    assert_eq!((outcome.hit, outcome.ended, outcome.stdout.as_str()), (None, Ended::Exited(0), "done\n"));
    assert_eq!(
        shell(dir.path(), "cat a > /dev/null 2>&1; exit 3").run(Action::Count).unwrap().ended,
        Ended::Exited(3)
    );
    assert!(
        shell(dir.path(), "echo oh >&2; exit 3").count().unwrap_err().to_string().contains("Exited(3): oh")
    );
}

#[test]
fn a_killed_process_did_everything_before_and_nothing_after() {
    for at in 1..=7_usize {
        let dir = tempfile::tempdir().unwrap();
        let outcome = shell(dir.path(), SCRIPT).run(Action::Kill(at as u64)).unwrap();
        let found: Vec<_> =
            ["a", "b", "c"].iter().map(|name| fs::read_to_string(dir.path().join(name)).ok()).collect();
        let expected: Vec<_> = ["one\n", "two\n", "three\n"]
            .iter()
            .enumerate()
            .map(|(index, text)| match at - 1 {
                done if done >= 2 * index + 2 => Some((*text).to_owned()),
                done if done == 2 * index + 1 => Some(String::new()),
                _ => None,
            })
            .collect();
        assert_eq!(found, expected, "killed before call {at}");
        let (hit, ended) = if at == 7 {
            (None, Ended::Exited(0))
        } else {
            (Some(["write", "openat"][at % 2]), Ended::Signalled(9))
        };
        assert_eq!((outcome.hit, outcome.ended), (hit, ended), "call {at}");
    }
}

#[test]
fn a_torn_write_leaves_half() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = shell(dir.path(), "echo 123456789 > a; echo more > b").run(Action::Tear(2)).unwrap();
    assert_eq!((outcome.hit, outcome.ended), (Some("write"), Ended::Signalled(9)));
    assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "12345");
    assert!(!dir.path().join("b").exists());
}

#[test]
fn a_call_fails_once_or_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let fail = |persistent| Action::Fail { at: 2, errno: nix::libc::ENOSPC, persistent };
    let touch = shell(dir.path(), "echo 1 > a; echo 2 > b; exit 0");
    let outcome = touch.run(fail(false)).unwrap();
    assert!(outcome.stderr.contains("No space left") || outcome.stderr.contains("I/O error"), "{outcome:?}");
    assert_eq!((outcome.hit, outcome.ended), (Some("write"), Ended::Exited(0)));
    assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "");
    assert_eq!(fs::read_to_string(dir.path().join("b")).unwrap(), "2\n");
    fs::remove_file(dir.path().join("b")).unwrap();
    touch.run(fail(true)).unwrap();
    assert!(!dir.path().join("b").exists());
}

#[test]
fn other_programs_are_not_counted_and_die_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let copied =
        shell(dir.path(), "cp /etc/passwd copy; mkdir sub; (echo x > inner); echo y > own").count().unwrap();
    assert_eq!(copied, ["openat", "write"]);
    assert!(dir.path().join("inner").exists() && dir.path().join("copy").exists());
    let start = Instant::now();
    let script = "sleep 60 & echo $! > pid; echo x > b; wait";
    let outcome = shell(dir.path(), script).run(Action::Kill(3)).unwrap();
    assert_eq!(outcome.hit, Some("openat"));
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).join("exe").exists(), "{pid} lives on");
    assert!(start.elapsed() < Duration::from_secs(30));
}

/// The helper below is this test program itself, started again with only this test and a variable set.
#[test]
fn all_threads_are_counted() {
    const FOLDER: &str = "TMP_TESTKIT_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = PathBuf::from(folder);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let folder = &folder;
                scope.spawn(move || fs::create_dir(folder.join(thread.to_string())).unwrap());
            }
        });
        let handle = File::open(&folder).unwrap();
        let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
        rustix::fs::openat2(&handle, "file", flags, 0o600.into(), rustix::fs::ResolveFlags::BENEATH).unwrap();
        rustix::fs::openat2(
            &handle,
            "file",
            rustix::fs::OFlags::RDONLY,
            0.into(),
            rustix::fs::ResolveFlags::BENEATH,
        )
        .unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let helper = Stepper::new(std::env::current_exe().unwrap())
        .args(["--exact", "stepper::tests::all_threads_are_counted", "--nocapture"])
        .env(FOLDER, dir.path());
    let calls = helper.count().unwrap();
    assert_eq!(calls, ["mkdir", "mkdir", "mkdir", "mkdir", "openat2"]);
    for name in ["0", "1", "2", "3"] {
        fs::remove_dir(dir.path().join(name)).unwrap();
    }
    fs::remove_file(dir.path().join("file")).unwrap();
    let outcome = helper.run(Action::Kill(3)).unwrap();
    assert_eq!(outcome.ended, Ended::Signalled(9));
    // Another thread may be stopped at its own call when the process dies.
    assert!(fs::read_dir(dir.path()).unwrap().count() <= 2);
}

#[test]
fn a_short_call_moves_half_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // The shell takes what is left to be an error.
    let write = shell(dir.path(), "echo 123456789 > a; echo more > b");
    let outcome = write.run(Action::Short(2)).unwrap();
    assert_eq!((outcome.hit, outcome.ended), (Some("write"), Ended::Exited(0)));
    let short = fs::read_to_string(dir.path().join("a")).unwrap();
    assert!(short.starts_with("12345"), "{short}");
    assert_eq!(fs::read_to_string(dir.path().join("b")).unwrap(), "more\n");
    // Opening cannot be short.
    assert_eq!(write.run(Action::Short(1)).unwrap().hit, None);
    // Whoever copies a file reads on where a call moved less than it was asked for.
    fs::write(dir.path().join("long"), "long ".repeat(1000)).unwrap();
    let copy = Stepper::new("cat").arg("long").current_dir(dir.path()).counting(Counting::Reading);
    let calls = copy.count().unwrap();
    for at in 1..=calls.len() {
        if reads(calls[at - 1]) {
            let outcome = copy.run(Action::Short(at as u64)).unwrap();
            assert_eq!(outcome.hit, Some(calls[at - 1]));
            assert!(outcome.ended != Ended::Exited(0) || outcome.stdout.len() == 5000, "{outcome:?}");
        }
    }
}

#[test]
fn a_signal_is_there_when_the_call_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap 'echo caught > c; exit 7' TERM; echo 1 > a; echo 2 > b";
    let outcome =
        shell(dir.path(), script).run(Action::Signal { at: 2, signal: nix::libc::SIGTERM }).unwrap();
    assert_eq!((outcome.hit, outcome.ended), (Some("write"), Ended::Exited(7)));
    assert!(dir.path().join("a").exists() && !dir.path().join("b").exists() && dir.path().join("c").exists());
    let outcome =
        shell(dir.path(), "echo 1 > a; echo 2 > b").run(Action::Signal { at: 2, signal: 15 }).unwrap();
    assert_eq!(outcome.ended, Ended::Signalled(15));
}

#[test]
fn who_tries_again_for_ever_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let script = "until echo x > a; do :; done";
    let forever = shell(dir.path(), script);
    let outcome = forever.run(Action::Fail { at: 2, errno: nix::libc::EINTR, persistent: true }).unwrap();
    assert_eq!((outcome.hit, outcome.ended), (Some("write"), Ended::Stuck));
}

#[test]
fn what_reads_and_every_call_are_counted_too() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    let script = shell(dir.path(), "read text < file; echo $text > other");
    let (changing, reading, every) = (
        script.count().unwrap(),
        script.clone().counting(Counting::Reading).count().unwrap(),
        script.counting(Counting::Every).count().unwrap(),
    );
    assert_eq!(changing, ["openat", "write"]);
    assert!(reading.contains(&"read") && !reading.contains(&"write"), "{reading:?}");
    assert!(every.len() > changing.len() + reading.len());
    assert_eq!(every.iter().filter(|name| **name == "write").count(), 1);
}
