//! Compensation by roll-back scripts.

use tmp_core::database::{Database as _, DatabaseError, Fingerprint, SqlText, Undo, Undone};
use tmp_sql::SqliteDatabase;

use crate::support::{MODES, Mode, Shop, marker, text};

const CHANGE: &str = "ALTER TABLE customer ADD COLUMN vat TEXT;
    CREATE TABLE fee (id INTEGER PRIMARY KEY, cents INT);
    UPDATE customer SET name = upper(name);";
const BACK: &str = "UPDATE customer SET name = substr(name, 1, 1) || lower(substr(name, 2));
    DROP TABLE fee; ALTER TABLE customer DROP COLUMN vat;";

fn undo(
    target: &mut SqliteDatabase,
    scripts: &[&str],
    before: &Fingerprint,
    committed: &Fingerprint,
) -> Result<Undone, DatabaseError> {
    let scripts: Vec<SqlText<'_>> = scripts.iter().map(|script| text(script)).collect();
    target.undo(&Undo { marker: &marker(1), scripts: &scripts, before, committed })
}

#[test]
fn the_right_scripts_bring_everything_back() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let dump = shop.dump();
        let (mut target, before, committed) = shop.migrate(CHANGE);
        assert_eq!(undo(&mut target, &[BACK], &before, &committed).unwrap(), Undone::Exact);
        assert_eq!(target.fingerprint().unwrap(), before);
        assert_eq!(undo(&mut target, &[BACK], &before, &committed).unwrap(), Undone::Before);
        target.release();
        assert_eq!(shop.dump(), dump);
        let left: i64 = shop
            .other()
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%tmp_marker%'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(left, 0, "TMP's table goes with its last row");
    }
}

#[test]
fn another_migrations_marker_stays() {
    let shop = Shop::new(Mode::Delete);
    let mut first = shop.target();
    first.copy_to(&shop.path("first.db")).unwrap();
    first.begin().unwrap();
    first.mark(&marker(2)).unwrap();
    first.commit().unwrap();
    drop(first);
    let (mut target, before, committed) = shop.migrate("CREATE TABLE a(x)");
    assert_eq!(undo(&mut target, &["DROP TABLE a"], &before, &committed).unwrap(), Undone::Exact);
    drop(target);
    let left: i64 = shop.other().query_row("SELECT count(*) FROM tmp_marker", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
}

/// Change, roll-back script, and what it leaves different.
const WRONG: &[(&str, &str, &str)] = &[
    (CHANGE, "", "schema differs: table customer, table fee; rows differ: customer, fee"),
    (CHANGE, "-- nothing", "schema differs: table customer, table fee; rows differ: customer, fee"),
    (CHANGE, "DROP TABLE fee", "schema differs: table customer; rows differ: customer"),
    (CHANGE, "DROP TABLE fee; ALTER TABLE customer DROP COLUMN vat", "rows differ: customer"),
    ("CREATE TABLE a(x)", "DROP TABLE a; CREATE TABLE a2(x)", "schema differs: table a2; rows differ: a2"),
    (
        "DROP INDEX invoice_customer",
        "CREATE INDEX invoice_customer ON invoice(cents)",
        "schema differs: index invoice_customer",
    ),
    (
        "DROP INDEX invoice_customer",
        "CREATE UNIQUE INDEX invoice_customer ON invoice(id, customer)",
        "schema differs: index invoice_customer",
    ),
    (
        "DROP VIEW total",
        "CREATE VIEW total AS SELECT customer, sum(cents) cents FROM invoice GROUP BY 1",
        "schema differs: view total",
    ),
    ("DROP TRIGGER no_negative", "SELECT 1", "schema differs: trigger no_negative"),
    (
        "UPDATE customer SET city = 'x' WHERE id = 3",
        "UPDATE customer SET city = '' WHERE id = 3",
        "rows differ: customer",
    ),
    (
        "UPDATE customer SET city = 'x' WHERE id = 3",
        "UPDATE customer SET city = 0 WHERE id = 3",
        "rows differ: customer",
    ),
    (
        "DELETE FROM customer WHERE id = 3",
        "INSERT INTO customer VALUES (4, 'Carl', NULL)",
        "rows differ: customer",
    ),
    (
        "DELETE FROM customer WHERE id = 3",
        "INSERT INTO customer(id, name) VALUES (3, 'Carl')",
        "rows differ: customer",
    ),
    (
        "INSERT INTO invoice(customer, cents) VALUES (2, 7)",
        "DELETE FROM invoice WHERE cents = 7",
        "rows differ: sqlite_sequence",
    ),
    ("PRAGMA user_version = 7", "SELECT 1", "schema differs: pragma user_version"),
    ("PRAGMA application_id = 7", "PRAGMA application_id = 8", "schema differs: pragma application_id"),
    (
        "ALTER TABLE customer RENAME COLUMN city TO town",
        "ALTER TABLE customer RENAME COLUMN town TO City",
        "schema differs: table customer",
    ),
    (
        "ALTER TABLE customer ADD COLUMN extra DEFAULT 1",
        "DROP VIEW total; ALTER TABLE customer DROP COLUMN city; ALTER TABLE customer RENAME COLUMN extra TO city",
        "schema differs: table customer, view total; rows differ: customer",
    ),
];

#[test]
fn a_wrong_script_is_found_out_and_taken_back() {
    for mode in MODES {
        for (change, back, differences) in WRONG {
            let shop = Shop::new(mode);
            let (mut target, before, committed) = shop.migrate(change);
            target.release();
            let (bytes, dump) = (shop.bytes(), shop.dump());
            match undo(&mut target, &[back], &before, &committed) {
                Err(DatabaseError::NotRestored { differences: found, .. }) => {
                    assert_eq!(found.to_string(), *differences, "{change} / {back}");
                }
                other => panic!("{change} / {back}: {other:?}"),
            }
            assert_eq!(target.fingerprint().unwrap(), committed);
            target.release();
            assert_eq!(shop.dump(), dump);
            if mode == Mode::Delete {
                assert_eq!(shop.bytes(), bytes, "{change} / {back}");
            }
        }
    }
}

#[test]
fn scripts_that_fail_or_leave_the_transaction_change_nothing() {
    let shop = Shop::new(Mode::Delete);
    let (mut target, before, committed) = shop.migrate(CHANGE);
    target.release();
    let bytes = shop.bytes();
    for bad in [
        "DROP TABLE fee; DROP TABLE fee",
        "DROP TABLE fee; COMMIT",
        "DELETE FROM tmp_marker",
        "INSERT OR ROLLBACK INTO customer(id) VALUES (1)",
    ] {
        let result = undo(&mut target, &[bad], &before, &committed);
        assert!(
            matches!(result, Err(DatabaseError::Statement { .. } | DatabaseError::Refused { .. })),
            "{bad}: {result:?}"
        );
        target.release();
        assert_eq!(shop.bytes(), bytes, "{bad}");
    }
    assert_eq!(undo(&mut target, &[BACK], &before, &committed).unwrap(), Undone::Exact);
}

#[test]
fn scripts_run_in_the_order_given() {
    let shop = Shop::new(Mode::Delete);
    let (mut target, before, committed) = shop.migrate("CREATE TABLE a(x); CREATE INDEX ax ON a(x)");
    let scripts = ["DROP INDEX ax", "DROP TABLE a"];
    assert_eq!(undo(&mut target, &scripts, &before, &committed).unwrap(), Undone::Exact);
}

#[test]
fn rows_that_others_wrote_since_are_kept() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (mut target, before, committed) = shop.migrate(CHANGE);
        shop.other().execute_batch("INSERT INTO customer(id, name) VALUES (77, 'FOREIGN')").unwrap();
        assert_eq!(undo(&mut target, &[BACK], &before, &committed).unwrap(), Undone::SchemaOnly);
        drop(target);
        let name: String =
            shop.other().query_row("SELECT name FROM customer WHERE id = 77", [], |row| row.get(0)).unwrap();
        assert_eq!(name, "Foreign");
    }
}

#[test]
fn the_schema_must_be_exact_even_then() {
    let shop = Shop::new(Mode::Delete);
    let (mut target, before, committed) = shop.migrate(CHANGE);
    shop.other().execute_batch("INSERT INTO customer(id, name) VALUES (77, 'FOREIGN')").unwrap();
    match undo(&mut target, &["DROP TABLE fee"], &before, &committed) {
        Err(DatabaseError::NotRestored { differences, .. }) => {
            assert_eq!(differences.to_string(), "schema differs: table customer");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_settle_the_same_lock_is_used() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (target, before, committed) = shop.migrate(CHANGE);
        drop(target);
        let mut target = shop.target();
        target.settle(&marker(1)).unwrap();
        assert_eq!(undo(&mut target, &[BACK], &before, &committed).unwrap(), Undone::Exact);
        target.release();
        shop.other().execute_batch("UPDATE customer SET city = 'free'").unwrap();
    }
}

#[test]
fn busy_changes_nothing() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (mut target, before, committed) = shop.migrate(CHANGE);
        let other = shop.other();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(matches!(undo(&mut target, &[BACK], &before, &committed), Err(DatabaseError::Busy { .. })));
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(undo(&mut target, &[BACK], &before, &committed).unwrap(), Undone::Exact);
    }
}
