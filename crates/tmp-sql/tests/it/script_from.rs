//! A script from a copy gives back what a migration changed, as the fingerprint sees it.

use rusqlite::Connection;
use tmp_core::database::{Database as _, DatabaseError, Fingerprint, Marker, SqlText};

use crate::support::{MODES, Shop};

/// Runs `change`, then the script that gives back what differs; the fingerprints before and after.
fn given_back(change: &str) -> (Fingerprint, Result<Fingerprint, DatabaseError>) {
    let shop = Shop::new(MODES[0]);
    let other = shop.other();
    other
        .execute_batch(
            "CREATE TABLE odd (a, rowid TEXT, \"quo\"\"ted\" REAL, made AS (a || 'x') STORED);
             INSERT INTO odd VALUES (NULL, 'it''s', 1e-300), (-9223372036854775808, char(0) || 'nul', 9e999),
                                    (X'00ff', CAST(X'ff61' AS TEXT), -0.0), (0.1, '', 1.5e300), (7, 'seven', 7);
             CREATE TABLE plain (x);
             INSERT INTO plain (rowid, x) VALUES (5, 'five'), (-3, 'minus three'), (9000000000, 'far');
             CREATE TABLE strict_one (k TEXT PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID;
             INSERT INTO strict_one VALUES ('a', 1), ('b', '1'), ('c', X'31'), ('d', 1.0);
             CREATE UNIQUE INDEX plain_x ON plain (x COLLATE NOCASE) WHERE x <> 'y';
             CREATE TRIGGER no_more BEFORE INSERT ON plain BEGIN SELECT RAISE(ABORT, 'no more'); END;
             CREATE VIEW odd_view AS SELECT a FROM odd;
             PRAGMA user_version = 41; PRAGMA application_id = 7;",
        )
        .unwrap();
    let mut target = shop.target();
    target.copy_to(&shop.path("copy.db")).unwrap();
    let before = target.begin().unwrap();
    target.apply(&SqlText { name: "change", text: change }).unwrap();
    let changed = target.fingerprint().unwrap();
    assert_ne!(before, changed, "{change}");
    let script = match target.script_from(&shop.path("copy.db"), &before.differences(&changed)) {
        Ok(script) => script,
        Err(error) => return (before, Err(error)),
    };
    target
        .apply(&SqlText { name: "back", text: &script })
        .unwrap_or_else(|error| panic!("{error}\n{script}"));
    let after = target.fingerprint();
    target
        .mark(&Marker {
            migration: "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0001".parse().unwrap(),
            payload: tmp_core::Digest::of(b""),
            nonce: "0".repeat(32),
        })
        .unwrap();
    target.commit().unwrap();
    target.release();
    let check: String = Connection::open(shop.path("shop.db"))
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    (before, after)
}

#[test]
fn everything_that_a_change_touched_comes_back() {
    for change in [
        "UPDATE odd SET a = 1;",
        "DROP TABLE odd; CREATE VIEW odd AS SELECT 1;",
        "DELETE FROM plain; DROP TRIGGER no_more; INSERT INTO plain VALUES ('new');",
        "ALTER TABLE odd RENAME TO even;",
        "ALTER TABLE strict_one ADD COLUMN w ANY; UPDATE strict_one SET w = k;",
        "DROP INDEX plain_x; DROP VIEW odd_view; CREATE VIEW odd_view AS SELECT 2;",
        "CREATE TABLE new (a); INSERT INTO new VALUES (1); CREATE INDEX new_a ON new (a);",
        "PRAGMA user_version = 42; PRAGMA application_id = 8;",
        "INSERT INTO invoice(customer, cents, note) VALUES (1, 7, 'c'); DELETE FROM customer WHERE id = 3;",
        "DROP VIEW total; DROP TRIGGER no_negative; ALTER TABLE invoice RENAME COLUMN cents TO amount;",
        "DROP VIEW total; DROP TABLE invoice; DROP TABLE customer;",
    ] {
        let (before, after) = given_back(change);
        assert_eq!(before.differences(&after.unwrap()).to_string(), "nothing differs", "{change}");
    }
}

/// A dropped table comes back with the numbers of its rows, which nothing in the fingerprint holds.
#[test]
fn rows_keep_their_numbers() {
    let shop = Shop::new(MODES[0]);
    shop.other()
        .execute_batch("CREATE TABLE plain (x); INSERT INTO plain (rowid, x) VALUES (5, 'a'), (-3, 'b');")
        .unwrap();
    let mut target = shop.target();
    target.copy_to(&shop.path("copy.db")).unwrap();
    let before = target.begin().unwrap();
    target.apply(&SqlText { name: "change", text: "DELETE FROM plain;" }).unwrap();
    let differences = before.differences(&target.fingerprint().unwrap());
    let script = target.script_from(&shop.path("copy.db"), &differences).unwrap();
    insta::assert_snapshot!(script, @r#"
    DROP TABLE IF EXISTS "plain";
    CREATE TABLE plain (x);
    INSERT INTO "plain"(rowid, "x") VALUES (-3, 'b'), (5, 'a');
    "#);
}

#[test]
fn what_no_script_gives_back_is_said() {
    let shop = Shop::new(MODES[0]);
    shop.other()
        .execute_batch("CREATE VIRTUAL TABLE words USING fts5(text); INSERT INTO words VALUES ('one')")
        .unwrap();
    let mut target = shop.target();
    target.copy_to(&shop.path("copy.db")).unwrap();
    let before = target.begin().unwrap();
    target.apply(&SqlText { name: "change", text: "INSERT INTO words VALUES ('two');" }).unwrap();
    let differences = before.differences(&target.fingerprint().unwrap());
    let error = target.script_from(&shop.path("copy.db"), &differences).unwrap_err().to_string();
    assert!(error.contains("words is a virtual table"), "{error}");
}
