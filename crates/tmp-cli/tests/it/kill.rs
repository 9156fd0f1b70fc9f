//! The real binary, killed before calls spread over a whole migration, always comes out before or after.

use std::path::Path;

use tmp_testkit::{
    matrix::{Matrix, Point, Verdict, sample},
    stepper::Action,
};

/// How many calls are tried here; the whole matrix is `cargo xtask crash`.
const POINTS: u64 = 12;

#[test]
fn a_killed_migration_is_whole_or_never_was() {
    let scratch = tempfile::tempdir().unwrap();
    let matrix = Matrix::prepare(Path::new(env!("CARGO_BIN_EXE_tmp")), scratch.path()).unwrap();
    let calls = matrix.calls().len() as u64;
    let mut seen = (0, 0);
    for call in sample(2026, POINTS, calls) {
        let tried = matrix.attempt(&Point { action: Action::Kill(call), again: None }).unwrap();
        match tried.verdict {
            Verdict::Before => seen.0 += 1,
            Verdict::After => seen.1 += 1,
            Verdict::Violation(lines) => panic!("killed before call {call}: {}", lines.join("\n")),
        }
    }
    assert!(seen.0 > 0 && seen.1 > 0, "before, after: {seen:?}");
}
