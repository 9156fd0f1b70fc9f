//! The migration's transaction.

use tmp_core::database::{Database as _, DatabaseError};

use crate::support::{MODES, Mode, Shop, marker, text};

const CHANGE: &str = "ALTER TABLE customer ADD COLUMN vat TEXT;
    UPDATE customer SET vat = 'X' || id;
    CREATE TABLE fee (id INTEGER PRIMARY KEY, cents INT);
    INSERT INTO fee VALUES (1, 5);";

#[test]
fn abandoned_leaves_the_very_bytes() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (bytes, dump) = (shop.bytes(), shop.dump());
        let mut target = shop.target();
        shop.prepare(&mut target, CHANGE);
        target.abandon().unwrap();
        target.release();
        if mode == Mode::Delete {
            assert_eq!(shop.bytes(), bytes);
        }
        assert_eq!(shop.dump(), dump);
        assert_eq!(shop.side_files(), Vec::<String>::new());
    }
}

#[test]
fn spilled_pages_are_taken_back_too() {
    let shop = Shop::new(Mode::Delete);
    let bytes = shop.bytes();
    let mut target = shop.target();
    shop.prepare(&mut target, &spilling());
    target.abandon().unwrap();
    target.release();
    assert_eq!(shop.bytes(), bytes);
}

/// More than SQLite's cache holds.
pub(crate) fn spilling() -> String {
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000)
     INSERT INTO invoice(customer, cents, note) SELECT 1, x, hex(randomblob(1000)) FROM n;
     UPDATE customer SET name = 'spilled'"
        .to_owned()
}

#[test]
fn committed_is_there_with_the_marker_and_the_same_journal_mode() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (mut target, before, committed) = shop.migrate(CHANGE);
        assert_eq!(target.fingerprint().unwrap(), committed);
        assert_eq!(before.differences(&committed).schema, ["table customer", "table fee"]);
        target.release();
        let other = shop.other();
        let nonce: String = other.query_row("SELECT nonce FROM tmp_marker", [], |row| row.get(0)).unwrap();
        assert_eq!(nonce, marker(1).nonce);
        let journal: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(journal, if mode == Mode::Wal { "wal" } else { "delete" });
        let sum: i64 = other.query_row("SELECT sum(cents) FROM fee", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 5);
    }
}

#[test]
fn the_copy_is_whole_and_alone() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let mut target = shop.target();
        // In WAL mode the newest rows are in the log only.
        shop.other().execute_batch("INSERT INTO customer VALUES (9, 'Emmy', 'Erlangen')").unwrap();
        let copy = shop.path("copy.db");
        target.copy_to(&copy).unwrap();
        let before = target.begin().unwrap();
        target.abandon().unwrap();
        assert!(["-wal", "-shm", "-journal"].iter().all(|end| !shop.path(&format!("copy.db{end}")).exists()));
        let mut of_copy = crate::support::target(copy.clone());
        assert_eq!(of_copy.fingerprint().unwrap(), before);
        assert!(matches!(target.copy_to(&copy), Err(DatabaseError::Engine { .. })), "never over a file");
    }
}

#[test]
fn moved_between_copy_and_begin() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let mut target = shop.target();
        target.copy_to(&shop.path("first.db")).unwrap();
        shop.other().execute_batch("UPDATE customer SET city = 'Wien' WHERE id = 1").unwrap();
        let begun = target.begin();
        assert!(matches!(begun, Err(DatabaseError::Moved { .. })), "{mode:?}: {begun:?}");
        shop.other().execute_batch("UPDATE customer SET city = 'Rome' WHERE id = 1").unwrap();
        target.copy_to(&shop.path("second.db")).unwrap();
        target.begin().unwrap();
    }
}

#[test]
fn the_lock_is_waited_for_and_then_busy() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let other = shop.other();
        other.execute_batch("BEGIN IMMEDIATE; UPDATE customer SET city = 'x'").unwrap();
        let mut target = shop.target();
        target.copy_to(&shop.path("copy.db")).unwrap();
        assert!(matches!(target.begin(), Err(DatabaseError::Busy { .. })), "{mode:?}");
        other.execute_batch("ROLLBACK").unwrap();
        target.begin().unwrap();
        assert!(
            other.execute_batch("UPDATE customer SET city = 'y'").is_err(),
            "{mode:?}: others cannot write"
        );
        target.abandon().unwrap();
        other.execute_batch("UPDATE customer SET city = 'z'").unwrap();
    }
}

#[test]
fn a_statement_alone_waits_for_others_and_says_that_they_are_busy() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let other = shop.other();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut target = shop.target();
        let result = target.run_alone(&text("CREATE INDEX by_city ON customer (city)"));
        let Err(error @ DatabaseError::Busy { .. }) = result else { panic!("{mode:?}: {result:?}") };
        assert!(error.to_string().contains("line 1, statement 1: database is locked"), "{error}");
        other.execute_batch("ROLLBACK").unwrap();
        target.release();
        target.run_alone(&text("CREATE INDEX by_city ON customer (city)")).unwrap();
    }
}

#[test]
fn it_is_ready_when_nobody_holds_the_lock_and_is_as_it_was_after() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let other = shop.other();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut target = shop.target();
        assert!(matches!(target.ready(), Err(DatabaseError::Busy { .. })), "{mode:?}");
        other.execute_batch("ROLLBACK").unwrap();
        let bytes = std::fs::read(shop.path("shop.db")).unwrap();
        target.ready().unwrap();
        assert_eq!(std::fs::read(shop.path("shop.db")).unwrap(), bytes, "{mode:?}");
        other.execute_batch("UPDATE customer SET city = 'y'").unwrap();
        target.copy_to(&shop.path("copy.db")).unwrap();
        target.begin().unwrap();
        assert!(matches!(target.ready(), Err(DatabaseError::Misuse { .. })), "{mode:?}");
    }
}

#[test]
fn a_reader_is_in_the_way_of_a_rollback_journal_only() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let other = shop.other();
        other.execute_batch("BEGIN; SELECT count(*) FROM customer").unwrap();
        let mut target = shop.target();
        target.copy_to(&shop.path("copy.db")).unwrap();
        let begun = target.begin();
        match mode {
            Mode::Delete => assert!(matches!(begun, Err(DatabaseError::Busy { .. }))),
            Mode::Wal => {
                target.apply(&text(CHANGE)).unwrap();
                target.mark(&marker(1)).unwrap();
                target.commit().unwrap();
                let sees: i64 = other
                    .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'fee'", [], |row| row.get(0))
                    .unwrap();
                assert_eq!(sees, 0, "the reader keeps its snapshot");
            }
        }
    }
}

#[test]
fn calls_out_of_order_are_refused() {
    let shop = Shop::new(Mode::Delete);
    let mut target = shop.target();
    let is_misuse =
        |result: Result<(), DatabaseError>| assert!(matches!(result, Err(DatabaseError::Misuse { .. })));
    is_misuse(target.begin().map(drop));
    is_misuse(target.apply(&text("SELECT 1")));
    is_misuse(target.mark(&marker(1)));
    is_misuse(target.commit());
    target.abandon().unwrap();
    target.copy_to(&shop.path("copy.db")).unwrap();
    target.begin().unwrap();
    is_misuse(target.begin().map(drop));
    is_misuse(target.commit());
    is_misuse(target.run_alone(&text("VACUUM")));
    target.mark(&marker(1)).unwrap();
    is_misuse(target.apply(&text("SELECT 1")));
    is_misuse(target.verify(&text("SELECT 1"), false));
}

#[test]
fn verify_changes_nothing_and_asserts_strictly() {
    let shop = Shop::new(Mode::Delete);
    let mut target = shop.target();
    target.copy_to(&shop.path("copy.db")).unwrap();
    let before = target.begin().unwrap();
    target
        .verify(&text("DELETE FROM invoice; CREATE TABLE x(y); SELECT count(*) = 0 FROM invoice"), true)
        .unwrap();
    assert_eq!(target.fingerprint().unwrap(), before);
    for yes in ["SELECT 1", "SELECT 'true', 'TRUE', -5", "SELECT 1 WHERE 0; SELECT 2", "VALUES (1), (2)"] {
        target.verify(&text(yes), true).unwrap();
    }
    let nos = [
        "SELECT 0",
        "SELECT NULL",
        "SELECT 'yes'",
        "SELECT '1'",
        "SELECT 1.5",
        "SELECT x'01'",
        "SELECT 1, 0",
        "VALUES (1), (0)",
        "SELECT ''",
        "SELECT 1 WHERE 0",
        "",
        "-- nothing",
        "UPDATE customer SET city = 'x'",
    ];
    for no in nos {
        target.verify(&text(no), false).unwrap();
        let result = target.verify(&text(no), true);
        assert!(matches!(result, Err(DatabaseError::NotTrue { .. })), "{no}: {result:?}");
    }
    assert!(matches!(target.verify(&text("SELECT nope"), false), Err(DatabaseError::Statement { .. })));
    assert_eq!(target.fingerprint().unwrap(), before);
    target.abandon().unwrap();
}

#[test]
fn statements_alone() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (mut target, ..) =
            shop.migrate("CREATE TEMP TABLE left_over(x); DELETE FROM invoice WHERE id = 1");
        target.run_alone(&text("VACUUM")).unwrap();
        target.run_alone(&text("-- all of it\nANALYZE;")).unwrap();
        target.run_alone(&text("PRAGMA wal_checkpoint(TRUNCATE)")).unwrap();
        assert!(
            target.run_alone(&text("SELECT * FROM left_over")).is_err(),
            "nothing is left in the connection"
        );
        for refused in [
            "BEGIN",
            "VACUUM INTO '/tmp/x'",
            "ATTACH '' AS x",
            "SELECT 1; SELECT 2",
            "",
            "DELETE FROM tmp_marker",
        ] {
            assert!(target.run_alone(&text(refused)).is_err(), "{refused}");
        }
        assert_eq!(target.settle(&marker(1)).unwrap(), tmp_core::database::Settled::Committed);
    }
}

#[test]
fn what_cannot_be_reached_is_said() {
    let shop = Shop::new(Mode::Delete);
    std::fs::write(
        shop.path("text.db"),
        "this is no database, but long enough to have a header of 100 bytes".repeat(20),
    )
    .unwrap();
    std::fs::write(shop.path("empty.db"), "").unwrap();
    for name in ["missing.db", ".", "text.db"] {
        let result = crate::support::target(shop.path(name)).inspect();
        assert!(matches!(result, Err(DatabaseError::Unreachable { .. })), "{name}: {result:?}");
    }
    assert!(!shop.path("missing.db").exists(), "never made");
    crate::support::target(shop.path("empty.db")).inspect().unwrap();
}

#[test]
fn what_cannot_be_written_is_refused() {
    let shop = Shop::new(Mode::Delete);
    let mut bytes = shop.bytes();
    // A write version of a later SQLite: this one may read it only.
    bytes[18] = 3;
    std::fs::write(shop.file(), &bytes).unwrap();
    let result = shop.target().inspect();
    assert!(matches!(result, Err(DatabaseError::Unreachable { .. })), "{result:?}");
    assert_eq!(shop.bytes(), bytes);
}

#[test]
fn a_damaged_database_is_not_touched() {
    let shop = Shop::new(Mode::Delete);
    let mut bytes = shop.bytes();
    let second_page = 4096..4096 + 64;
    bytes[second_page].fill(0xff);
    std::fs::write(shop.file(), &bytes).unwrap();
    assert!(shop.target().inspect().is_err());
    assert_eq!(shop.bytes(), bytes);
}

#[test]
fn facts_and_files() {
    let shop = Shop::new(Mode::Wal);
    std::os::unix::fs::symlink(shop.file(), shop.path("link.db")).unwrap();
    let mut target = crate::support::target(shop.path("link.db"));
    let real = shop.file().canonicalize().unwrap();
    let files: Vec<_> = target.files().into_iter().map(camino::Utf8PathBuf::into_std_path_buf).collect();
    assert_eq!(files[0], real);
    assert_eq!(files[2].file_name().unwrap(), "shop.db-wal");
    let facts = target.inspect().unwrap();
    assert_eq!(facts.notes, ["journal mode wal"]);
    assert!(facts.size >= 4096 && facts.version.starts_with("SQLite 3."));
}

#[test]
fn two_migrations_share_the_table() {
    let shop = Shop::new(Mode::Delete);
    drop(shop.migrate("CREATE TABLE a(x)"));
    let mut target = shop.target();
    target.copy_to(&shop.path("copy2.db")).unwrap();
    target.begin().unwrap();
    target.apply(&text("CREATE TABLE b(x)")).unwrap();
    target.mark(&marker(2)).unwrap();
    target.commit().unwrap();
    drop(target);
    let rows: i64 = shop.other().query_row("SELECT count(*) FROM tmp_marker", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
}
