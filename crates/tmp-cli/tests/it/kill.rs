//! The real binary, killed before calls that are spread over the whole migration, always comes out before or
//! after. Every call, and every other fault: `cargo xtask crash`.

use std::path::Path;

use tmp_testkit::{
    matrix::{Fault, Matrix, Package, Scene, Verdict, sample},
    stepper::{Action, Counting, Ended, Stepper},
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

/// What is not asked for cannot be missing: recovery opens no connection, and the trigger file may be gone.
#[test]
fn a_recovery_needs_neither_a_network_nor_the_trigger_file() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let scene = Scene::build(Path::new(env!("CARGO_BIN_EXE_tmp")), scratch.path(), Package::Sqlite).unwrap();
    let calls = scene.run().count().unwrap().len() as u64;
    let mut ended = [0_u64; 2];
    for call in sample(2, 6, calls * 9 / 10) {
        scene.reset().unwrap();
        scene.run().run(Action::Kill(call)).unwrap();
        let aside = scene.trigger().with_extension("gone");
        std::fs::rename(scene.trigger(), &aside).unwrap();
        let recovery = scene.recover().counting(Counting::Every).run(Action::Count).unwrap();
        std::fs::rename(&aside, scene.trigger()).unwrap();
        let code = match recovery.ended {
            Ended::Exited(code @ (0 | 10)) => code,
            other => panic!("killed before call {call}: {other:?}: {}", recovery.stderr),
        };
        ended[usize::from(code == 0)] += 1;
        assert!(recovery.calls.len() > 100, "{:?}", recovery.calls);
        assert!(!reaches_out(&recovery.calls), "{:?}", recovery.calls);
    }
    assert!(ended[0] > 2, "{ended:?}");
}

fn reaches_out(calls: &[&'static str]) -> bool {
    calls.iter().any(|name| ["socket", "connect", "bind", "sendto", "sendmsg"].contains(name))
}

#[test]
fn reaching_out_is_seen() {
    let asks =
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', 9))";
    let python = Stepper::new("python3").args(["-c", asks]).counting(Counting::Every);
    assert!(reaches_out(&python.run(Action::Count).unwrap().calls));
    assert!(!reaches_out(&Stepper::new("true").counting(Counting::Every).run(Action::Count).unwrap().calls));
}
