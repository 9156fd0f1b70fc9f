//! Confined commands beside others: each in a cgroup of its own, and whatever else the process starts.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tmp_core::outcome::Outcome;

use crate::confined::{cgroups, confinable, granted};

#[test]
fn a_cgroup_is_gone_with_its_command() {
    if !confinable("cgroups") {
        return;
    }
    let (mut lab, _) = granted();
    lab.batch("do", "sleep 0.1 & true", Some("true"), &[]);
    let plan = lab.plan().unwrap();
    assert_eq!(plan.confinement.as_ref().map(|it| it.landlock), Some(6));
    assert!(matches!(lab.migrate(), Outcome::Committed { .. }));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(cgroups("-do"), Vec::<PathBuf>::new());
}

/// What is ended before a command is what had its own name before, and nothing of anybody else.
#[test]
fn a_command_of_another_migration_goes_on() {
    if !confinable("cgroups of others") {
        return;
    }
    let (mut slow, _) = granted();
    slow.batch("slow", "touch data/begun && sleep 2 && touch data/ended", None, &["data/**"]);
    let root = slow.root();
    let outcomes = std::thread::scope(|scope| {
        let slow = scope.spawn(|| slow.migrate());
        while !root.join("data/begun").exists() && !slow.is_finished() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let (mut quick, _) = granted();
        quick.batch("quick", "true", None, &[]);
        [quick.migrate(), slow.join().unwrap()]
    });
    for outcome in outcomes {
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }
    assert!(root.join("data/ended").exists());
}

/// A process that another thread is starting has a copy of every descriptor until its program runs.
#[test]
fn an_embedder_may_start_processes_meanwhile() {
    if !confinable("commands beside others") {
        return;
    }
    let (mut lab, _) = granted();
    lab.batch("do", "true", None, &[]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::process::Command::new("true").status().unwrap();
            }
        });
        let refused = (0..100).find_map(|_| lab.plan().err());
        over.store(true, Ordering::Relaxed);
        assert!(refused.is_none(), "{refused:?}");
    });
}
