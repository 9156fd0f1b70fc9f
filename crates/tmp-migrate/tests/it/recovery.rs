//! Recovery that is itself disturbed: killed again, without its database, on a full disk.

use std::{fs, sync::Arc, time::Duration};

use crate::{
    common::{Ended, Lab, Seen, assert_same, text},
    disks::Weak,
};
use time::OffsetDateTime;
use tmp_core::{
    Phase,
    clock::Clock,
    event::{Event, Work},
    outcome::Outcome,
};
use tmp_disk::{Fault, FaultDisk, RealDisk, SystemClock};
use tmp_migrate::{Engine, EngineError, OpenError, Opened, Workplace};
use tmp_testkit::{sqlite, walk};

fn lab(fails: bool) -> Lab {
    let mut lab = Lab::with_database("create table t(a); insert into t values (1);");
    lab.write("bin/app", "old app");
    lab.write("lib/gone", "gone");
    lab.write("var/log", "1");
    lab.put("bin/app", "new app");
    lab.put("bin/added", "added");
    lab.remove("lib/gone");
    lab.sql(
        "010",
        "create table u(b); insert into t values (2);",
        Some("drop table u; delete from t where a = 2;"),
        None,
    );
    if fails {
        lab.batch("index", "echo 2 > var/log", None, &["var/*"]);
        lab.check("refuses", "exit 1");
    }
    lab
}

fn is(seen: &Seen, now: &Seen) -> bool {
    walk::diff(&seen.tree.without_mtimes(|_| true), &now.tree.without_mtimes(|_| true)).is_empty()
        && sqlite::diff(seen.database.as_ref().unwrap(), now.database.as_ref().unwrap()).is_empty()
}

/// How far along the way back or forward a phase has decided.
fn decided(phase: Phase) -> Option<bool> {
    match phase {
        Phase::Committed | Phase::CleanedUp => Some(true),
        Phase::RollingBack | Phase::Compensating | Phase::RolledBack => Some(false),
        _ => None,
    }
}

#[test]
fn a_recovery_that_is_killed_is_recovered_and_the_decision_never_flips() {
    let mut seed = 0x5eed_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for fails in [false, true] {
        let mut whole = lab(fails);
        let counting = Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::None));
        drop(whole.migrate_on(counting.clone()).unwrap());
        let (after, effects) = (whole.seen(), counting.effects());
        for _ in 0..75 {
            // The way there is long and always the same: most deaths are in what follows the archive.
            let first = effects / 3 + random(effects * 2 / 3) + 1;
            let second = random(90) + 1;
            let what = format!("fails {fails}, {first}, {second}");
            let mut lab = lab(fails);
            let before = lab.seen();
            let stop = |at| Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::Stop { at }));
            drop(lab.migrate_on(stop(first)));
            drop(lab.recover_on(stop(second)));
            let decision = match lab.open(Arc::new(RealDisk)).unwrap() {
                Opened::Interrupted(open) => decided(open.phase()),
                Opened::Ready(_) => None,
            };
            let recovered = lab.recover();
            assert!(
                !matches!(recovered, Some(Outcome::RollbackFailed { .. } | Outcome::InDoubt { .. })),
                "{what}: {recovered:?}"
            );
            let now = lab.seen();
            assert!(is(&before, &now) || is(&after, &now), "{what}: {recovered:?}");
            let forward = !is(&before, &now);
            if let Some(decision) = decision {
                assert_eq!(decision, forward, "{what}: the decision flipped");
            }
            if !forward {
                assert_same(&before, &now);
            }
            assert!(lab.recover().is_none(), "{what}");
            assert_eq!(lab.leftovers(), [""; 0], "{what}");
        }
    }
}

fn at_phase(wanted: Phase) -> impl FnMut(&Event) -> bool + Send {
    move |event| matches!(event, Event::Phase { phase, .. } if *phase == wanted)
}

#[test]
fn a_death_at_every_phase_is_recovered() {
    for phase in [
        Phase::Archived,
        Phase::Prepared,
        Phase::Applying,
        Phase::Applied,
        Phase::Checking,
        Phase::RollingBack,
        Phase::Compensating,
        Phase::RolledBack,
        Phase::Committed,
    ] {
        let goes_back = matches!(phase, Phase::Compensating | Phase::RolledBack);
        let mut lab = lab(goes_back);
        if phase == Phase::RollingBack {
            lab.sql("020", "insert into nowhere values (1);", Some("select 1;"), None);
        }
        let before = lab.seen();
        if phase == Phase::RolledBack {
            // What is left to do after that record cannot fail the migration any more.
            let (disk, dead) = Weak::mortal();
            drop(lab.migrate_watched(disk, |event, _| {
                dead.fetch_or(at_phase(phase)(event), std::sync::atomic::Ordering::SeqCst);
            }));
        } else {
            lab.die_at(at_phase(phase));
        }
        let recovered = lab.recover();
        let forward = matches!(phase, Phase::Applied | Phase::Checking | Phase::Committed);
        match &recovered {
            Some(Outcome::Committed { .. }) => assert!(forward, "{phase}"),
            Some(Outcome::RolledBack { .. }) => assert!(!forward, "{phase}"),
            None => assert_eq!(phase, Phase::RolledBack),
            other => panic!("{phase}: {other:?}"),
        }
        if forward {
            assert_eq!(text(lab.root().join("bin/app")), "new app");
        } else {
            assert_same(&before, &lab.seen());
        }
        assert_eq!(lab.leftovers(), [""; 0], "{phase}");
    }
}

/// Phases from which recovery needs the database, and a way to die there.
fn died_needing_the_database() -> Vec<(&'static str, Lab)> {
    let mut labs = Vec::new();
    for phase in [Phase::Prepared, Phase::Applying, Phase::Compensating] {
        let mut lab = lab(phase == Phase::Compensating);
        lab.die_at(at_phase(phase));
        labs.push((phase.as_str(), lab));
    }
    let mut switched = lab(false);
    switched.die_at(|event| matches!(event, Event::Done { work: Work::Switch, .. }));
    labs.push(("switched", switched));
    labs
}

#[test]
fn a_locked_database_leaves_everything_in_doubt_until_it_answers() {
    for (phase, mut lab) in died_needing_the_database() {
        let seen = lab.seen();
        let other = rusqlite::Connection::open(lab.database_path()).unwrap();
        other.execute_batch("begin exclusive").unwrap();
        for _ in 0..2 {
            let outcome = lab.recover();
            assert!(
                matches!(&outcome, Some(Outcome::InDoubt { missing, .. }) if missing.contains("main")),
                "{phase}: {outcome:?}"
            );
            let differences = walk::diff(&seen.tree, &walk::fingerprint(&lab.root()).unwrap());
            if phase != "compensating" {
                assert!(differences.is_empty(), "{phase}: {differences:?}");
            }
        }
        assert_eq!(
            text(lab.root().join("bin/app")),
            if ["switched", "compensating"].contains(&phase) { "new app" } else { "old app" }
        );
        drop(other);
        let outcome = lab.recover();
        assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{phase}: {outcome:?}");
        assert_eq!(text(lab.root().join("bin/app")), "old app");
        assert_eq!(lab.leftovers(), [""; 0], "{phase}");
    }
}

#[test]
fn a_database_that_is_gone_leaves_everything_in_doubt() {
    for (phase, mut lab) in died_needing_the_database() {
        let hidden = lab.dir.path().join("hidden");
        fs::rename(lab.database_path(), &hidden).unwrap();
        let journal = lab.database_path().with_extension("db-journal");
        let moved = journal.exists().then(|| fs::rename(&journal, lab.dir.path().join("hidden-journal")));
        let tree = walk::fingerprint(&lab.root()).unwrap();
        let outcome = lab.recover();
        assert!(matches!(&outcome, Some(Outcome::InDoubt { .. })), "{phase}: {outcome:?}");
        if phase != "compensating" {
            let differences = walk::diff(&tree, &walk::fingerprint(&lab.root()).unwrap());
            assert!(differences.is_empty(), "{phase}: {differences:?}");
        }
        assert!(!lab.database_path().exists(), "{phase}: it was not made anew");
        fs::rename(&hidden, lab.database_path()).unwrap();
        if moved.is_some() {
            fs::rename(lab.dir.path().join("hidden-journal"), &journal).unwrap();
        }
        let outcome = lab.recover();
        assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{phase}: {outcome:?}");
    }
}

#[test]
fn a_full_disk_does_not_stop_a_recovery() {
    for needs_archive in [false, true] {
        let mut lab = lab(false);
        let before = lab.seen();
        if needs_archive {
            lab.die_at(at_phase(Phase::Applying));
        } else {
            lab.die_at(|event| matches!(event, Event::Done { work: Work::Switch, .. }));
        }
        let outcome = lab.recover_on(Weak::full());
        assert!(matches!(outcome, Ok(Some(Outcome::RolledBack { .. }))), "{outcome:?}");
        assert_same(&before, &lab.seen());
        assert!(lab.recover().is_none());
        assert_eq!(lab.leftovers(), [""; 0]);
    }
}

#[test]
fn a_disk_without_an_inode_does_not_stop_a_recovery_and_another_migration_waits_for_room() {
    let mut lab = lab(false);
    let before = lab.seen();
    lab.die_at(|event| matches!(event, Event::Done { work: Work::Switch, .. }));
    let outcome = lab.recover_on(Weak::stuffed());
    assert!(matches!(outcome, Ok(Some(Outcome::RolledBack { .. }))), "{outcome:?}");
    assert_same(&before, &lab.seen());
    let again = lab.recover_on(Weak::stuffed());
    assert!(matches!(again, Err(Ended::Open(OpenError::NoRoom { .. }))), "{again:?}");
    assert!(lab.recover().is_none());
}

/// The machine's clock, an hour behind.
struct Behind(SystemClock);

impl Clock for Behind {
    fn now(&self) -> OffsetDateTime {
        self.0.now() - Duration::from_secs(3600)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        self.0.sleep(duration);
    }
}

#[test]
fn an_open_migration_is_found_although_the_clock_went_backwards() {
    let mut lab = lab(false);
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    lab.enhancement.sql.clear();
    lab.enhancement.modules.clear();
    lab.put("bin/app", "newer app");
    lab.clock = Some(Arc::new(Behind(SystemClock::new())));
    let seen = lab.seen();
    lab.die_at(|event| matches!(event, Event::Done { work: Work::Switch, .. }));
    assert_eq!(text(lab.root().join("bin/app")), "newer app");
    let outcome = lab.recover();
    assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{outcome:?}");
    assert_same(&seen, &lab.seen());
}

#[test]
fn an_open_migration_without_modules_is_found_although_the_clock_went_backwards() {
    let mut lab = Lab::with_database("create table fee(id int);");
    lab.sql("010", "insert into fee values (1);", Some("delete from fee where id = 1;"), None);
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    lab.enhancement.sql.clear();
    lab.sql("020", "insert into fee values (2);", Some("delete from fee where id = 2;"), None);
    lab.clock = Some(Arc::new(Behind(SystemClock::new())));
    let seen = lab.seen();
    lab.die_at(|event| matches!(event, Event::Done { work: Work::Sql, .. }));
    let outcome = lab.recover();
    assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{outcome:?}");
    assert_same(&seen, &lab.seen());
}

#[test]
fn a_plan_older_than_the_last_migration_does_not_begin() {
    let mut lab = Lab::with_database("create table fee(id int);");
    lab.sql("010", "insert into fee values (1);", Some("delete from fee where id = 1;"), None);
    let old = lab.plan().unwrap();
    // Ids of one millisecond are in no order.
    std::thread::sleep(Duration::from_millis(2));
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    let seen = lab.seen();
    let ended = lab.migrate_planned(&old, Arc::new(RealDisk), |_, _| {});
    assert!(matches!(ended, Err(Ended::Engine(EngineError::Outdated { .. }))), "{ended:?}");
    assert_same(&seen, &lab.seen());
    assert!(lab.recover().is_none());
}

#[test]
fn an_engine_opened_for_another_state_directory_is_refused() {
    let lab = lab(false);
    let Opened::Ready(engine) = lab.open(Arc::new(RealDisk)).unwrap() else { panic!("one is open") };
    drop(engine);
    let workplace = lab.workplace(Arc::new(RealDisk));
    let other = Workplace { state: lab.base().join("other-state"), ..workplace };
    let opened = Engine::open(other);
    assert!(matches!(opened, Err(OpenError::OtherState { .. })), "{opened:?}");
}

#[test]
fn an_error_while_it_is_recovered_is_no_outcome() {
    let mut lab = lab(false);
    let before = lab.seen();
    lab.die_at(|event| matches!(event, Event::Done { work: Work::Switch, .. }));
    let mut errors = 0;
    for at in 1..200 {
        let fault = Fault::Error { at, errno: rustix::io::Errno::IO.raw_os_error(), persistent: true };
        match lab.recover_on(Arc::new(FaultDisk::new(Arc::new(RealDisk), fault))) {
            Err(Ended::Open(_) | Ended::Engine(_)) => errors += 1,
            Ok(Some(Outcome::RolledBack { .. }) | None) => break,
            other => panic!("{at}: {other:?}"),
        }
    }
    assert!(errors > 10);
    drop(lab.recover());
    assert_same(&before, &lab.seen());
    assert_eq!(lab.leftovers(), [""; 0]);
}
