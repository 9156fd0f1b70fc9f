//! The real binary, killed before every call that changes something, always comes out before or after.
//! Two workers share the calls. Double kills and torn writes: `cargo xtask crash`.

use std::{path::Path, thread};

use tmp_testkit::{
    matrix::{Matrix, Point, Verdict},
    stepper::Action,
};

/// How many work at once, each on a system of its own.
const WORKERS: u64 = 2;

#[test]
fn a_migration_killed_before_any_call_is_whole_or_never_was() {
    killed_before_any_call("files");
}

#[test]
fn the_exchange_of_a_whole_tree_killed_before_any_call_is_whole_or_never_was() {
    killed_before_any_call("atomic");
}

fn killed_before_any_call(switch: &'static str) {
    let workers: Vec<_> = (0..WORKERS).map(|worker| thread::spawn(move || share(switch, worker))).collect();
    let ends: Vec<(u64, u64)> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
    let (before, after) = ends.iter().fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
    assert!(before > 100 && after > 10, "before {before}, after {after}");
}

/// Every call whose number falls to this worker; how many ended before and how many after.
fn share(switch: &str, worker: u64) -> (u64, u64) {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let matrix = Matrix::prepare(Path::new(env!("CARGO_BIN_EXE_tmp")), scratch.path(), switch).unwrap();
    let calls = matrix.calls().len() as u64;
    let mut seen = (0, 0);
    for call in (1..=calls).filter(|call| call % WORKERS == worker) {
        let tried = matrix.attempt(&Point { action: Action::Kill(call), again: None }).unwrap();
        match tried.verdict {
            Verdict::Before => seen.0 += 1,
            Verdict::After => seen.1 += 1,
            Verdict::Violation(lines) => panic!("killed before call {call}: {}", lines.join("\n")),
        }
    }
    seen
}
