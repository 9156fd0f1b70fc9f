//! A process is killed, and another one finds out what it left.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tmp_core::database::{Database as _, DatabaseError, Settled, Undo, Undone};

use crate::{
    migrate::spilling,
    support::{MODES, Shop, marker, target, text},
};

/// Not a test: the process that gets killed. It goes as far as it is told, says so and waits.
#[test]
#[ignore = "run by the tests below in a process of its own"]
fn child() {
    let (Ok(file), Ok(until)) = (std::env::var("TMP_SQL_CHILD"), std::env::var("TMP_SQL_UNTIL")) else {
        return;
    };
    let copy = format!("{file}.copy");
    let mut target = target(file.into());
    if until == "restoring" {
        let committed = target.fingerprint().unwrap();
        println!("\nready");
        target.restore_from(copy.as_ref(), &marker(1), &committed).unwrap();
    } else {
        target.copy_to(copy.as_ref()).unwrap();
        target.begin().unwrap();
        target.apply(&text(&spilling())).unwrap();
        target.mark(&marker(1)).unwrap();
        if until == "committed" {
            target.commit().unwrap();
        }
        println!("\nready");
    }
    std::thread::sleep(Duration::from_secs(60));
}

fn run_until(shop: &Shop, until: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child", "--ignored", "--nocapture"])
        .env("TMP_SQL_CHILD", shop.file())
        .env("TMP_SQL_UNTIL", until)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "ready"));
    child
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_second_process_settles_and_undoes_after_the_first_was_killed() {
    for mode in MODES {
        for (until, expected) in [("marked", Settled::NotCommitted), ("committed", Settled::Committed)] {
            let shop = Shop::new(mode);
            let before = shop.target().fingerprint().unwrap();
            let child = run_until(&shop, until);
            if until == "marked" {
                assert!(matches!(shop.target().settle(&marker(1)), Err(DatabaseError::Busy { .. })));
            }
            kill(child);
            let mut target = shop.target();
            assert_eq!(target.settle(&marker(1)).unwrap(), expected, "{mode:?} {until}");
            if expected == Settled::Committed {
                let committed = target.fingerprint().unwrap();
                let scripts = [text("DELETE FROM nothing")];
                let undo =
                    Undo { marker: &marker(1), scripts: &scripts, before: &before, committed: &committed };
                assert!(matches!(target.undo(&undo), Err(DatabaseError::Statement { .. })));
                let copy = shop.path("shop.db.copy");
                assert_eq!(target.restore_from(&copy, &marker(1), &committed).unwrap(), Undone::Exact);
            }
            assert_eq!(target.fingerprint().unwrap(), before, "{mode:?} {until}");
        }
    }
}

#[test]
fn a_restore_that_is_killed_leaves_all_or_nothing() {
    for mode in MODES {
        let mut undone = 0;
        for delay in [0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 400] {
            let shop = Shop::new(mode);
            let (mut target, before, committed) = shop.migrate(&spilling());
            target.release();
            std::fs::rename(shop.path("copy.db"), shop.path("shop.db.copy")).unwrap();
            let child = run_until(&shop, "restoring");
            std::thread::sleep(Duration::from_millis(delay));
            kill(child);
            match target.settle(&marker(1)).unwrap() {
                Settled::Committed => {
                    assert_eq!(target.fingerprint().unwrap(), committed, "{mode:?} after {delay} ms");
                    let copy = shop.path("shop.db.copy");
                    assert_eq!(target.restore_from(&copy, &marker(1), &committed).unwrap(), Undone::Exact);
                }
                Settled::NotCommitted => undone += 1,
            }
            assert_eq!(target.fingerprint().unwrap(), before, "{mode:?} after {delay} ms");
        }
        assert!(undone > 0, "400 ms are enough");
    }
}
