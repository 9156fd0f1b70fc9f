//! How often a migration waits for the disk, and how often the past is read: both are counted, so that a
//! step backwards is seen.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tmp_core::{
    Digest,
    event::Silent,
    outcome::Outcome,
    plan::{Plan, Provenance},
};
use tmp_disk::{Disk, RealDisk};
use tmp_migrate::{Engine, Opened, Party, Past, PlanRequest};

use crate::{common::Lab, disks::Weak};

/// A disk, and how often a call that begins so was made of it.
fn counting(begins: &'static str) -> (Arc<dyn Disk>, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    (Weak::counting(begins, Arc::clone(&count)), count)
}

fn planned(lab: &Lab, past: &mut Past, disk: &Arc<dyn Disk>) -> Plan {
    let provenance = Provenance {
        trigger: Digest::of(b"trigger"),
        payload: Digest::of(lab.enhancement.id.as_str().as_bytes()),
        reason: None,
    };
    let request = PlanRequest {
        enhancement: &lab.enhancement,
        provenance: &provenance,
        commands: &lab.commands,
        privileged_modules: lab.privileged_modules,
        utilities: &lab.utilities,
        steps: &[],
    };
    past.plan(&lab.workplace(Arc::clone(disk)), &request, &mut lab.databases()).unwrap()
}

fn migrate(lab: &Lab, engine: &mut Engine, plan: &Plan) {
    let stop = AtomicBool::new(false);
    let mut databases = lab.databases();
    let mut party = Party { databases: &mut databases, steps: &mut [], observer: &mut Silent, stop: &stop };
    let outcome = engine.migrate(plan, &lab.payload, &mut party).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

/// Makes a table of this name, and nothing else.
fn table(lab: &mut Lab, name: &str) {
    lab.enhancement.id = name.parse().unwrap();
    lab.enhancement.sql.clear();
    lab.sql("010", &format!("create table {name}(a);"), Some(&format!("drop table {name};")), None);
}

/// What one more migration adds to `count`, in an engine that is open already.
fn one_more(count: &AtomicU64, disk: &Arc<dyn Disk>, module: Option<&str>) -> u64 {
    let mut lab = Lab::with_database("create table t(a);");
    let mut past = Past::new(disk, &lab.base().join("state"));
    let Opened::Ready(mut engine) = lab.open(Arc::clone(disk)).unwrap() else { panic!("one is open") };
    let mut before = 0;
    for name in ["first", "second"] {
        table(&mut lab, name);
        if let Some(module) = module {
            lab.put(module, name);
        }
        let plan = planned(&lab, &mut past, disk);
        before = count.load(Ordering::SeqCst);
        migrate(&lab, &mut engine, &plan);
    }
    count.load(Ordering::SeqCst) - before
}

/// Six for the folder, five for the archive, three records. SQLite's own are not counted here: five more.
#[test]
fn a_migration_of_one_sql_change_waits_for_the_disk_fourteen_times() {
    let (disk, count) = counting("sync");
    assert_eq!(one_more(&count, &disk, None), 14);
}

/// Besides those: slots and what is staged in them, both barriers, what was parked, and the records between.
#[test]
fn a_module_beside_it_costs_eight_more() {
    let (disk, count) = counting("sync");
    assert_eq!(one_more(&count, &disk, Some("bin/app")), 22);
}

#[test]
fn what_is_over_is_read_once() {
    let mut lab = Lab::with_database("create table t(a);");
    let (disk, count) = counting("open_file");
    let sound: Arc<dyn Disk> = Arc::new(RealDisk);
    let state = lab.base().join("state");
    let (mut past, mut fresh) = (Past::new(&disk, &state), Past::new(&sound, &state));
    let Opened::Ready(mut engine) = lab.open(Arc::clone(&sound)).unwrap() else { panic!("one is open") };
    let mut read = Vec::new();
    for name in ["a1", "a2", "a3", "a4"] {
        table(&mut lab, name);
        let plan = planned(&lab, &mut fresh, &sound);
        migrate(&lab, &mut engine, &plan);
        let before = count.load(Ordering::SeqCst);
        assert_eq!(past.history().unwrap(), fresh.history().unwrap());
        read.push(count.load(Ordering::SeqCst) - before);
    }
    assert!(read.iter().all(|opened| *opened == read[0]), "{read:?}");
    let before = count.load(Ordering::SeqCst);
    let left = past.left(&lab.workplace(sound).target.root).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), before, "nothing is new");
    let tables = left.databases.values().flat_map(|left| left.schema.keys());
    assert_eq!(tables.filter(|object| object.starts_with("table a")).count(), 4);
}
