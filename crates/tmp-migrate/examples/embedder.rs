//! Embeds the engine: builds a small system, takes an enhancement of one program and one SQL script into
//! it, and shows that an interrupted migration comes before any other.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![expect(clippy::disallowed_methods, reason = "it builds the system that is migrated")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use support::{Done, Payload, enhancement, workplace};
use tmp_core::{
    database::Database,
    enhancement::{DatabaseEngine, Enhancement, SqlChange, SqlRollback, TransactionMode},
    event::Silent,
    outcome::Outcome,
    plan::Plan,
};
use tmp_disk::{Fault, FaultDisk, RealDisk};
use tmp_migrate::{CommandPolicy, Engine, Opened, Party, PlanRequest, Recovered, Workplace, plan};
use tmp_sql::SqliteDatabase;

fn main() -> Done {
    let dir = tempfile::tempdir()?;
    let place = build(dir.path())?;
    let mut databases = databases(&place)?;

    // Planning reads only: what it answers can be shown, and left alone.
    let (late_fee, payload) = late_fee()?;
    let first = plan_of(&place, &late_fee, &payload, &mut databases)?;
    println!("the plan: {} operation, {} step after COMMIT", first.operations.len(), first.steps.len());
    assert_eq!(first.operations.len(), 1);
    assert_eq!(program(&place)?, "without fees");

    // While nothing is open, opening hands out an engine.
    let Opened::Ready(engine) = Engine::open(place.clone())? else { return Err("one is open".into()) };
    let outcome = migrate(engine, &first, &payload, &mut databases)?;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    println!("migrated in {} ms", outcome.report().took_ms);
    assert_eq!((program(&place)?.as_str(), fees(&place)?), ("with fees", 2));

    // This disk stops answering at its 70th change, as if the process had died before the commit point.
    let mut payload = Payload::default();
    let change = enhancement("higher-fee", vec![payload.put("bin/billing", "with higher fees")?])?;
    let second = plan_of(&place, &change, &payload, &mut databases)?;
    let disk = Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::Stop { at: 70 }));
    let dying = Workplace { disk, ..place.clone() };
    let Opened::Ready(engine) = Engine::open(dying)? else { return Err("one is open".into()) };
    let died = migrate(engine, &second, &payload, &mut databases);
    println!("died: {}", died.err().ok_or("it should have died")?);

    // Opening hands out no engine now: only recovery leads to one.
    let Opened::Interrupted(open) = Engine::open(place.clone())? else { return Err("forgotten".into()) };
    println!("interrupted: {} was {}", open.plan().enhancement.id, open.phase());
    let stop = AtomicBool::new(false);
    let mut party = Party { databases: &mut databases, steps: &mut [], observer: &mut Silent, stop: &stop };
    let (engine, outcome) = match open.recover(&mut party)? {
        Recovered::Settled(engine, outcome) => (engine, outcome),
        Recovered::Blocked(outcome) => return Err(format!("a person is needed: {outcome:?}").into()),
    };
    let Outcome::RolledBack { cause, .. } = outcome else { return Err(format!("{outcome:?}").into()) };
    println!("recovered: {cause}");
    assert_eq!((program(&place)?.as_str(), fees(&place)?), ("with fees", 2));

    // The engine that recovery hands out migrates again.
    let again = plan_of(&place, &change, &payload, &mut databases)?;
    let outcome = migrate(engine, &again, &payload, &mut databases)?;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(program(&place)?, "with higher fees");
    Ok(())
}

/// A program and a database, before any change.
fn build(dir: &Path) -> Done<Workplace> {
    let place = workplace(dir)?;
    fs::create_dir_all(place.target.root.join("bin"))?;
    fs::write(place.target.root.join("bin/billing"), "without fees")?;
    let invoices = "CREATE TABLE invoice (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL);
                    INSERT INTO invoice (cents) VALUES (1000), (2500);";
    rusqlite::Connection::open(database_file(&place))?.execute_batch(invoices)?;
    Ok(place)
}

fn database_file(place: &Workplace) -> camino::Utf8PathBuf {
    place.target.root.with_file_name("billing.db")
}

fn databases(place: &Workplace) -> Done<Vec<Box<dyn Database>>> {
    Ok(vec![Box::new(SqliteDatabase::new("main".parse()?, database_file(place)))])
}

/// The enhancement: a new program and a new column. A trigger file would bring the same.
fn late_fee() -> Done<(Enhancement, Payload)> {
    let mut payload = Payload::default();
    let mut late_fee = enhancement("late-fee", vec![payload.put("bin/billing", "with fees")?])?;
    late_fee.databases.insert("main".parse()?, DatabaseEngine::Sqlite);
    let apply = "ALTER TABLE invoice ADD COLUMN fee INTEGER; UPDATE invoice SET fee = cents / 100;";
    let undo = "ALTER TABLE invoice DROP COLUMN fee;";
    late_fee.sql.push(SqlChange {
        name: "010-fee".parse()?,
        database: "main".parse()?,
        transaction: TransactionMode::Shared,
        apply: payload.script("010.sql", apply),
        rollback: SqlRollback::Script(payload.script("010.rollback.sql", undo)),
        verify: None,
    });
    Ok((late_fee, payload))
}

fn plan_of(
    place: &Workplace,
    enhancement: &Enhancement,
    payload: &Payload,
    databases: &mut [Box<dyn Database>],
) -> Done<Plan> {
    let request = PlanRequest {
        enhancement,
        provenance: &payload.provenance(),
        commands: &CommandPolicy::Forbidden,
        privileged_modules: false,
        utilities: &BTreeMap::new(),
        steps: &[],
    };
    Ok(plan(place, &request, databases)?)
}

fn migrate(
    mut engine: Engine,
    plan: &Plan,
    payload: &Payload,
    databases: &mut [Box<dyn Database>],
) -> Done<Outcome> {
    let stop = AtomicBool::new(false);
    let mut party = Party { databases, steps: &mut [], observer: &mut Silent, stop: &stop };
    Ok(engine.migrate(plan, payload, &mut party)?)
}

fn program(place: &Workplace) -> Done<String> {
    Ok(fs::read_to_string(place.target.root.join("bin/billing"))?)
}

fn fees(place: &Workplace) -> Done<i64> {
    let database = rusqlite::Connection::open(database_file(place))?;
    Ok(database.query_row("SELECT count(fee) FROM invoice", [], |row| row.get(0))?)
}
