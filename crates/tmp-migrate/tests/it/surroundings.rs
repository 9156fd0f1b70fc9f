//! What lies around a target fails or is not as it must be: the database's disk, the archive, the work
//! directory, the state directory, another root's journal.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tmp_core::{
    Phase,
    enhancement::{SqlRollback, TransactionMode},
    event::{Event, Work},
    outcome::Outcome,
};
use tmp_disk::RealDisk;
use tmp_migrate::{Engine, EngineError, OpenError, Opened, Party, Workplace};

use crate::{
    common::{Ended, Events, Lab, assert_same, text},
    disks::Weak,
    sick::{Ail, Ails},
};

/// A migration of a module and a table that a check turns back, after the commit point.
fn refused() -> Lab {
    let mut lab = Lab::with_database("create table t(a); insert into t values (1);");
    lab.write("bin/app", "old app");
    lab.put("bin/app", "new app");
    lab.sql("010", "create table u(b);", Some("drop table u;"), None);
    lab.check("refuses", "exit 1");
    lab
}

fn ailing(lab: &mut Lab, ails: &[(&'static str, Ail)]) -> Ails {
    let ails = Ails::new(ails.to_vec().into());
    lab.ails = Some(Arc::clone(&ails));
    ails
}

fn ballasts(lab: &Lab) -> [bool; 2] {
    ["site/.tmp-work-live/ballast", "state/ballast"].map(|path| lab.dir.path().join(path).exists())
}

#[test]
fn a_way_back_without_room_for_the_database_takes_the_ballast() {
    let mut lab = refused();
    let before = lab.seen();
    let ails = ailing(&mut lab, &[("undo", Ail::Full)]);
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_eq!(*ails.lock().unwrap(), []);
    assert_eq!(ballasts(&lab), [false, false]);
    assert_same(&before, &lab.seen());
}

#[test]
fn a_way_back_that_the_databases_disk_stops_goes_on_when_it_answers_again() {
    for ails in [
        [("undo", Ail::Full), ("undo", Ail::Full)].as_slice(),
        &[("undo", Ail::Broken)],
        &[("undo", Ail::Late)],
    ] {
        let mut lab = refused();
        let before = lab.seen();
        let left = ailing(&mut lab, ails);
        let ended = lab.migrate_on(Arc::new(RealDisk));
        assert!(matches!(ended, Err(Ended::Engine(EngineError::DatabaseDisk { .. }))), "{ails:?}: {ended:?}");
        assert_eq!(*left.lock().unwrap(), []);
        assert_eq!(text(lab.root().join("bin/app")), "new app", "modules and database go back as a pair");
        let outcome = lab.recover();
        assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{ails:?}: {outcome:?}");
        assert_same(&before, &lab.seen());
    }
}

#[test]
fn a_statement_alone_that_the_databases_disk_stops_is_undone_when_it_answers_again() {
    for ail in [Ail::Full, Ail::Broken, Ail::Late] {
        let mut lab = Lab::with_database("create table t(a);");
        lab.sql("020", "create index i on t(a)", Some("drop index i"), None);
        lab.enhancement.sql[0].transaction = TransactionMode::None;
        lab.check("refuses", "exit 1");
        let before = lab.seen();
        // The first call is the way there.
        let ails = [("run_alone", Ail::Late), ("run_alone", ail), ("run_alone", ail)];
        let _left = ailing(&mut lab, &ails[..if ail == Ail::Full { 3 } else { 2 }]);
        let ended = lab.migrate_on(Arc::new(RealDisk));
        assert!(matches!(ended, Err(Ended::Engine(EngineError::DatabaseDisk { .. }))), "{ail:?}: {ended:?}");
        let outcome = lab.recover();
        assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{ail:?}: {outcome:?}");
        assert_same(&before, &lab.seen());
    }
}

#[test]
fn a_commit_that_the_disk_failed_stops_and_recovery_finds_out() {
    for (ail, forward) in [(Ail::Broken, false), (Ail::Late, true)] {
        let mut lab = refused();
        lab.enhancement.verify.clear();
        let before = lab.seen();
        let left = ailing(&mut lab, &[("commit", ail), ("settle", Ail::Broken)]);
        let ended = lab.migrate_on(Arc::new(RealDisk));
        assert!(matches!(ended, Err(Ended::Engine(EngineError::DatabaseDisk { .. }))), "{ail:?}: {ended:?}");
        assert_eq!(left.lock().unwrap().len(), 1, "the disk that failed was asked again");
        left.lock().unwrap().clear();
        let outcome = lab.recover();
        if forward {
            assert!(matches!(outcome, Some(Outcome::Committed { .. })), "{outcome:?}");
        } else {
            assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{outcome:?}");
            assert_same(&before, &lab.seen());
        }
    }
}

#[test]
fn steps_that_cannot_be_undone_are_told_of_although_the_database_cannot_either() {
    let mut lab = refused();
    lab.batch("fee-run", "true", Some("exit 3"), &[]);
    let SqlRollback::Script(script) = &mut lab.enhancement.sql[0].rollback else { panic!("no script") };
    *script = lab.payload.script("wrong.sql", "drop table nowhere;");
    let _left = ailing(&mut lab, &[("restore_from", Ail::Full), ("restore_from", Ail::Full)]);
    let ended = lab.migrate_on(Arc::new(RealDisk));
    assert!(matches!(ended, Err(Ended::Engine(EngineError::DatabaseDisk { .. }))), "{ended:?}");
    // Somebody writes meanwhile, so that the archive is no way back either.
    let other = rusqlite::Connection::open(lab.database_path()).unwrap();
    other.execute_batch("insert into t values (2)").unwrap();
    let Some(Outcome::RollbackFailed { undo_failure, .. }) = lab.recover() else { panic!("it went back") };
    assert!(undo_failure.contains("fee-run") && undo_failure.contains("database"), "{undo_failure}");
}

#[test]
fn without_its_archive_a_way_back_is_in_doubt_and_tells_what_it_undid() {
    let mut lab = Lab::new();
    lab.write("bin/app", "old app");
    lab.put("bin/app", "new app");
    lab.die_at(|event| matches!(event, Event::Done { work: Work::Switch, .. }));
    fs::remove_dir_all(lab.dir.path().join("state/archive")).unwrap();
    let Some(Outcome::InDoubt { missing, undone, .. }) = lab.recover() else { panic!("it is settled") };
    assert!(missing.contains("snapshot"), "{missing}");
    assert_eq!(undone, ["the modules"]);
    assert_eq!(text(lab.root().join("bin/app")), "old app");
}

#[test]
fn nothing_begins_before_the_work_directory_is_empty() {
    let mut lab = Lab::new();
    lab.write("bin/app", "old app");
    lab.put("bin/app", "new app");
    lab.die_at(|event| matches!(event, Event::Phase { phase: Phase::Committed, .. }));
    // A recovery that cannot empty it settles nothing.
    let (disk, refuse) = Weak::refusing("rename");
    let Opened::Interrupted(open) = lab.open(disk).unwrap() else { panic!("nothing is open") };
    refuse.store(true, Ordering::SeqCst);
    let (mut events, stop) = (Events::default(), AtomicBool::new(false));
    let mut party =
        Party { databases: &mut lab.databases(), steps: &mut [], observer: &mut events, stop: &stop };
    let ended = open.recover(&mut party);
    assert!(matches!(ended, Err(EngineError::NotCleanedUp { .. })), "{ended:?}");
    let outcome = lab.recover();
    assert!(matches!(outcome, Some(Outcome::Committed { .. })), "{outcome:?}");
    assert_eq!(lab.leftovers(), [""; 0]);
}

#[test]
fn an_engine_that_could_not_clean_up_begins_nothing_else() {
    let mut lab = Lab::new();
    lab.write("bin/app", "old app");
    lab.put("bin/app", "new app");
    let (disk, refuse) = Weak::refusing("rename");
    let plan = lab.plan().unwrap();
    let payload = lab.payload.clone();
    let Opened::Ready(mut engine) = lab.open(disk).unwrap() else { panic!("one is open") };
    let outcome = lab.migrate_in(&mut engine, &plan, &payload, |event| {
        if matches!(event, Event::Phase { phase: Phase::Committed, .. }) {
            refuse.store(true, Ordering::SeqCst);
        }
    });
    assert!(matches!(outcome, Ok(Outcome::Committed { .. })), "{outcome:?}");
    refuse.store(false, Ordering::SeqCst);
    lab.put("bin/app", "newer app");
    let (plan, payload) = (lab.plan().unwrap(), lab.payload.clone());
    let ended = lab.migrate_in(&mut engine, &plan, &payload, |_| {});
    assert!(matches!(ended, Err(EngineError::NotCleanedUp { .. })), "{ended:?}");
    assert_eq!(text(lab.root().join("bin/app")), "new app");
    drop(engine);
    drop(lab.recover());
    assert!(matches!(lab.migrate(), Outcome::Committed { .. }));
    assert_eq!(text(lab.root().join("bin/app")), "newer app");
}

#[test]
fn a_directory_that_others_could_change_is_not_relied_on() {
    for place in ["state", "site/.tmp-work-live"] {
        let mut lab = Lab::new();
        lab.put("bin/app", "new app");
        let path = lab.dir.path().join(place);
        fs::create_dir_all(&path).unwrap();
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for open in [0o720, 0o702, 0o777] {
            mode(open);
            let refused = lab.open(Arc::new(RealDisk));
            let Err(OpenError::Disk(error)) = refused else { panic!("{place} {open:o}: {refused:?}") };
            assert!(error.source.to_string().contains("chmod"), "{error:?}");
            assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        }
        mode(0o755);
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(1234), None).unwrap();
            let refused = lab.open(Arc::new(RealDisk));
            let Err(OpenError::Disk(error)) = refused else { panic!("{place}: {refused:?}") };
            assert!(error.source.to_string().contains("user 1234"), "{error:?}");
            std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        }
        assert!(matches!(lab.migrate(), Outcome::Committed { .. }));
    }
}

#[test]
fn damage_at_another_root_blocks_that_one_alone() {
    let mut lab = Lab::new();
    lab.write("bin/app", "old app");
    lab.put("bin/app", "new app");
    assert!(matches!(lab.migrate(), Outcome::Committed { .. }));
    // A later migration of another root, in the same state directory.
    let other = lab.base().join("site/other");
    fs::create_dir_all(&other).unwrap();
    let mut workplace = lab.workplace(Arc::new(RealDisk));
    workplace.target.root.clone_from(&other);
    workplace.target.work = lab.base().join("site/.tmp-work-other");
    let plan = lab.plan_at(&workplace).unwrap();
    let Opened::Ready(mut engine) = Engine::open(workplace.clone()).unwrap() else { panic!("one is open") };
    let payload = lab.payload.clone();
    assert!(matches!(lab.migrate_in(&mut engine, &plan, &payload, |_| {}), Ok(Outcome::Committed { .. })));
    drop(engine);
    let journal = lab.dir.path().join("state/journal").join(plan.migration.as_str()).join("journal");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[4096 + 80] ^= 1;
    fs::write(&journal, bytes).unwrap();
    let reopened = |workplace: Workplace| Engine::open(workplace);
    assert!(matches!(reopened(workplace.clone()), Err(OpenError::Journal(_))), "its own root is blocked");
    assert!(lab.recover().is_none(), "this root is not");
    lab.put("bin/app", "newer app");
    let plan = lab.plan().unwrap();
    let ended = lab.migrate_planned(&plan, Arc::new(RealDisk), |_, _| {});
    assert!(matches!(ended, Ok(Outcome::Committed { .. })), "{ended:?}");
    // Where the plan cannot be read either, nobody knows whose it is.
    fs::remove_file(journal.with_file_name("plan.json")).unwrap();
    assert!(matches!(lab.open(Arc::new(RealDisk)), Ok(Opened::Ready(_))), "the newest is this root's");
    fs::remove_dir_all(newest(&lab.dir.path().join("state/journal"))).unwrap();
    assert!(matches!(lab.open(Arc::new(RealDisk)), Err(OpenError::Journal(_))));
}

fn newest(journals: &Path) -> std::path::PathBuf {
    let mut folders: Vec<_> = fs::read_dir(journals).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.pop().unwrap()
}
