//! Confined commands beside others: each in a cgroup of its own, and whatever else the process starts.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tmp_core::{
    event::{Direction, Event},
    outcome::Outcome,
};
use tmp_disk::RealDisk;

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

/// That a command cannot be confined says nothing against it.
#[test]
fn a_way_back_that_cannot_be_confined_waits_until_it_can() {
    if !confinable("a way back") {
        return;
    }
    let (mut lab, _) = granted();
    lab.batch("do", "touch data/done", Some("rm data/done"), &[]);
    lab.batch("refuse", "false", None, &[]);
    let read = lab.base().join("read");
    let mut undone = false;
    let taken = lab.migrate_watched(Arc::new(RealDisk), |event, _| {
        if !undone && matches!(event, Event::StepBegan { direction: Direction::Undo, .. }) {
            undone = true;
            fs::remove_dir_all(&read).unwrap();
        }
    });
    let Ok(Outcome::InDoubt { missing, .. }) = taken else { panic!("{taken:?}") };
    assert!(missing.contains("cannot be confined") && missing.contains("read: No such file"), "{missing}");
    assert!(lab.root().join("data/done").exists());
    fs::create_dir(&read).unwrap();
    let recovered = lab.recover();
    assert!(matches!(recovered, Some(Outcome::RolledBack { .. })), "{recovered:?}");
    assert!(!lab.root().join("data/done").exists());
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
