//! The real binary, killed before calls that are spread over the whole migration, always comes out before or
//! after. Every call, and every other fault: `cargo xtask crash`.

use std::path::Path;

use tmp_testkit::{
    matrix::{Fault, Matrix, Package, Verdict, sample},
    stepper::{Action, Counting},
};

/// At how many calls each package is killed.
const POINTS: u64 = 24;

#[test]
fn a_migration_killed_before_any_call_is_whole_or_never_was() {
    killed_before_calls(Package::Sqlite);
}

#[test]
fn the_exchange_of_a_whole_tree_killed_before_any_call_is_whole_or_never_was() {
    killed_before_calls(Package::Atomic);
}

#[test]
fn a_migration_with_commands_killed_before_any_call_is_whole_or_never_was() {
    killed_before_calls(Package::Commands);
}

#[test]
fn a_rollback_after_the_commit_point_killed_before_any_call_ends_where_it_began() {
    killed_before_calls(Package::Failing);
}

fn killed_before_calls(package: Package) {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let matrix = Matrix::prepare(Path::new(env!("CARGO_BIN_EXE_tmp")), scratch.path(), package).unwrap();
    let calls = matrix.calls(Counting::Changing).unwrap().len() as u64;
    let mut seen = [0_u64; 2];
    for call in sample(1, POINTS, calls) {
        let tried = matrix.attempt(&Fault::of(Counting::Changing, Action::Kill(call))).unwrap();
        assert!(tried.hit.is_some());
        match tried.verdict {
            Verdict::Before => seen[0] += 1,
            Verdict::After => seen[1] += 1,
            Verdict::Violation(lines) => panic!("killed before call {call}: {}", lines.join("\n")),
        }
    }
    assert!(seen[0] > 10 && (seen[1] > 0) == (package.ends_with() == 0), "{seen:?}");
}
