//! One holder at a time, and none that is dead.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tmp_disk::{At, Disk as _, Lock, RealDisk};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn try_lock(folder: &Path) -> Option<Lock> {
    let dir = RealDisk.open_root(folder).unwrap();
    RealDisk.try_lock(At::new(&dir, "lock"), "a test").unwrap()
}

#[test]
fn exactly_one_of_many_wins() {
    let folder = folder();
    for round in 0..100 {
        let (start, winners) = (Barrier::new(8), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    winners.lock().unwrap().extend(try_lock(folder.path()));
                });
            }
        });
        assert_eq!(winners.into_inner().unwrap().len(), 1, "round {round}");
    }
}

/// Not a test: what the process does that the next one kills.
#[test]
#[ignore = "holds a lock until it is killed; started by the test below"]
fn holder() {
    let mut folder = String::new();
    std::io::stdin().read_line(&mut folder).unwrap();
    let lock = try_lock(Path::new(folder.trim_end()));
    println!("\n{}", if lock.is_some() { "held" } else { "taken" });
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_holder_holds_no_longer() {
    let folder = folder();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holder", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", folder.path().display()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "held"));
    assert!(try_lock(folder.path()).is_none(), "a living process holds it");
    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    assert!(try_lock(folder.path()).is_some(), "its holder is dead");
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// Whoever asks has the lock for a moment; who takes it then must not be told that it is held.
#[test]
fn asking_keeps_nobody_from_taking_it() {
    let folder = folder();
    drop(try_lock(folder.path()));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let dir = RealDisk.open_root(folder.path()).unwrap();
            while !done.load(Ordering::Relaxed) {
                RealDisk.is_locked(At::new(&dir, "lock")).unwrap();
                thread::sleep(Duration::from_micros(50));
            }
        });
        let taken = (0..2000).filter(|_| try_lock(folder.path()).is_some()).count();
        done.store(true, Ordering::Relaxed);
        assert_eq!(taken, 2000);
    });
}
