//! Scripts that must not get through: each is refused when packaged or fails when run, and leaves the
//! very bytes that were there.

use tmp_core::{
    database::{Database as _, Settled},
    enhancement::{DatabaseEngine, TransactionMode},
};
use tmp_sql::{ScriptRole, check_script};

use crate::support::{MODES, Mode, Shop, marker, text};

/// Refused by their tokens, before any database is asked.
#[rustfmt::skip]
const REFUSED: &[&str] = &[
    // Transaction control.
    "COMMIT", "commit;", "CoMmIt TRANSACTION", "END", "END TRANSACTION;", "ROLLBACK", "ROLLBACK TRANSACTION",
    "ROLLBACK TO x", "ROLLBACK TRANSACTION TO SAVEPOINT x", "BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE TRANSACTION",
    "SAVEPOINT x", "RELEASE x", "RELEASE SAVEPOINT tmp_verify", "/* x */ COMMIT", "-- x\nCOMMIT", ";;COMMIT",
    "SELECT 1; COMMIT; BEGIN", "SELECT ';' ;COMMIT", "\tCOMMIT\r\n", "EXPLAIN COMMIT", "EXPLAIN QUERY PLAN COMMIT",
    "COMMIT -- x", "COMMIT/**/;", "CREATE TRIGGER t AFTER INSERT ON customer BEGIN SELECT 1; END; COMMIT;",
    "ROLLBACK TO tmp_verify; RELEASE tmp_verify", "\u{c}COMMIT",
    // Other files.
    "ATTACH 'x.db' AS x", "ATTACH DATABASE ':memory:' AS x", "attach '' as y", "DETACH main", "DETACH DATABASE x",
    "VACUUM", "VACUUM main", "vacuum;", "VACUUM INTO '/tmp/stolen.db'", "VACUUM main INTO 'x'",
    "SELECT load_extension('/tmp/x.so')", "SELECT LOAD_EXTENSION('x', 'init')", "SELECT \"load_extension\"('x')",
    "SELECT load_extension ('x')", "CREATE VIEW v AS SELECT load_extension('x')",
    "CREATE TRIGGER t AFTER INSERT ON customer BEGIN SELECT load_extension('x'); END",
    // Pragmas.
    "PRAGMA writable_schema = ON", "PRAGMA main.writable_schema = 1", "PRAGMA \"writable_schema\" = 1",
    "PRAGMA 'writable_schema' = 1", "PRAGMA [writable_schema] = 1", "pragma WRITABLE_SCHEMA(1)",
    "PRAGMA journal_mode = OFF", "PRAGMA journal_mode = MEMORY", "PRAGMA journal_mode", "PRAGMA synchronous = OFF",
    "PRAGMA locking_mode = NORMAL", "PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys", "PRAGMA trusted_schema = ON",
    "PRAGMA temp_store_directory = '/tmp'", "PRAGMA data_store_directory = '/tmp'", "PRAGMA schema_version = 1",
    "PRAGMA page_size = 512", "PRAGMA encoding = 'UTF-16'", "PRAGMA auto_vacuum = 0", "PRAGMA cache_spill = 0",
    "PRAGMA recursive_triggers = ON", "PRAGMA ignore_check_constraints = ON", "PRAGMA legacy_alter_table = ON",
    "PRAGMA case_sensitive_like = ON", "PRAGMA reverse_unordered_selects = ON", "PRAGMA query_only = ON",
    "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_autocheckpoint = 0", "PRAGMA mmap_size = 1", "PRAGMA busy_timeout = 0",
    "PRAGMA max_page_count = 1", "PRAGMA secure_delete = ON", "PRAGMA optimize", "PRAGMA incremental_vacuum",
    "PRAGMA shrink_memory", "PRAGMA analysis_limit = 1", "PRAGMA threads = 8", "PRAGMA unknown_pragma = 1", "PRAGMA",
    "EXPLAIN PRAGMA writable_schema = 1", "PRAGMA data_version", "PRAGMA key = 'x'",
    // TMP's own table.
    "DELETE FROM tmp_marker", "DELETE FROM main.tmp_marker", "DELETE FROM \"tmp_marker\"", "DELETE FROM [tmp_marker]",
    "DELETE FROM `tmp_marker`", "DELETE FROM 'tmp_marker'", "DELETE FROM TMP_MARKER", "DROP TABLE tmp_marker",
    "CREATE TABLE tmp_marker(a)", "CREATE TABLE Tmp_Marker(migration, payload, nonce, version)",
    "CREATE TEMP TABLE tmp_marker(a)", "CREATE VIEW tmp_marker AS SELECT 1", "CREATE TEMP VIEW tmp_marker AS SELECT 1",
    "CREATE VIRTUAL TABLE tmp_marker USING fts5(a)", "SELECT nonce FROM tmp_marker", "UPDATE tmp_marker SET nonce = 0",
    "INSERT INTO tmp_marker VALUES (1, 2, 3, 4)", "REPLACE INTO tmp_marker VALUES (1, 2, 3, 4)",
    "ALTER TABLE tmp_marker RENAME TO x", "ALTER TABLE customer RENAME TO tmp_marker", "CREATE INDEX i ON tmp_marker(nonce)",
    "CREATE TRIGGER t BEFORE INSERT ON tmp_marker BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TEMP TRIGGER t AFTER INSERT ON main.tmp_marker BEGIN SELECT 1; END",
    "CREATE TRIGGER t AFTER INSERT ON customer BEGIN DELETE FROM tmp_marker; END",
    "CREATE TABLE x AS SELECT * FROM tmp_marker", "CREATE VIEW v AS SELECT * FROM tmp_marker",
    "WITH tmp_marker AS (SELECT 1) SELECT * FROM tmp_marker", "ANALYZE tmp_marker", "REINDEX tmp_marker",
    "SELECT * FROM customer JOIN tmp_marker", "PRAGMA table_info(tmp_marker)", "DROP VIEW tmp_marker",
    // The client's commands, and what is no text.
    ".read /etc/passwd", ".shell rm -rf /", ".system true", ".load x.so", ".open other.db", ".quit", ".import x y",
    ".output x\nSELECT 1;", ".backup x.db", ".restore x.db", "SELECT 1;\n.exit", "  .tables",
    "SELECT 'open", "SELECT \"open", "SELECT [open", "SELECT `open", "/* open", "SELECT 1 /* open", "\0", "SELECT 1;\0COMMIT",
    "\u{feff}SELECT 1", "",
];

/// Not visible in the tokens; they fail when they run.
#[rustfmt::skip]
const FAILING: &[&str] = &[
    // Conflict clauses that end the transaction by themselves.
    "INSERT OR ROLLBACK INTO customer(id, name) VALUES (1, 'x')",
    "DELETE FROM invoice; INSERT OR ROLLBACK INTO customer(id, name) VALUES (1, 'x')",
    "UPDATE OR ROLLBACK customer SET name = NULL",
    "CREATE TABLE x(a UNIQUE ON CONFLICT ROLLBACK); INSERT INTO x VALUES (1), (1)",
    "CREATE TABLE x(a NOT NULL ON CONFLICT ROLLBACK); INSERT INTO x VALUES (NULL)",
    "CREATE TABLE x(a INTEGER PRIMARY KEY ON CONFLICT ROLLBACK); INSERT INTO x VALUES (1); INSERT INTO x VALUES (1)",
    "CREATE TRIGGER t BEFORE DELETE ON customer BEGIN SELECT RAISE(ROLLBACK, 'out'); END; DELETE FROM customer",
    "CREATE TEMP TRIGGER t BEFORE DELETE ON customer BEGIN SELECT RAISE(ROLLBACK, 'out'); END; DELETE FROM customer; CREATE TABLE y(z)",
    "CREATE TRIGGER t AFTER INSERT ON invoice BEGIN INSERT OR ROLLBACK INTO customer(id, name) VALUES (1, 'x'); END; INSERT INTO invoice(customer) VALUES (1)",
    // Ordinary failures behind changes that must go too.
    "DELETE FROM invoice; SELECT * FROM nowhere", "UPDATE customer SET name = 'x'; UPDATE invoice SET cents = -1",
    "DROP TABLE invoice; INSERT INTO customer(id, name) VALUES (1, 'x')", "DELETE FROM invoice; syntax error",
    "DELETE FROM invoice; SELECT ?", "DELETE FROM invoice; SELECT :name", "DELETE FROM invoice; SELECT @a, $b",
    "INSERT OR FAIL INTO customer(id, name) VALUES (10, 'a'), (1, 'b')", "INSERT OR ABORT INTO customer(id, name) VALUES (10, 'a'), (1, 'b')",
    "DELETE FROM customer", "UPDATE invoice SET customer = 99", "DROP TABLE customer", "INSERT INTO invoice(customer) VALUES (-1)",
    // The schema, by the back door.
    "DELETE FROM sqlite_schema", "UPDATE sqlite_master SET sql = 'x'", "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, '')",
    "DROP TABLE sqlite_schema", "DROP TABLE sqlite_sequence", "CREATE TABLE sqlite_x(a)", "ALTER TABLE sqlite_sequence RENAME TO x",
    "CREATE TRIGGER t AFTER INSERT ON sqlite_schema BEGIN SELECT 1; END", "CREATE INDEX i ON sqlite_schema(name)",
    "CREATE VIRTUAL TABLE f USING fts5(a); DELETE FROM f_data", "CREATE VIRTUAL TABLE f USING fts5(a); UPDATE f_config SET v = 99",
    "CREATE VIRTUAL TABLE x USING no_such_module(a)", "SELECT fts3_tokenizer('simple', x'00')", "SELECT no_such_function(1)",
    "SELECT readfile('/etc/passwd')", "SELECT writefile('/tmp/x', 'y')", "SELECT edit('x')", "CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd')",
    "SELECT * FROM fsdir('/')", "UPDATE sqlite_dbpage SET data = x'00'",
    // Splitting tricks.
    "CREATE TRIGGER t AFTER INSERT ON customer BEGIN SELECT 1; DROP TABLE invoice;",
    "CREATE TRIGGER t; DROP TABLE invoice; END;", "CREATE TRIGGER COMMIT; END", "EXPLAIN EXPLAIN COMMIT",
    "SELECT 1 COMMIT WORK NOW", "SELECT [a]]; COMMIT; --]", "SELECT 1; \u{a0}COMMIT", "(COMMIT)", "\"COMMIT\"",
    "[COMMIT]", "DO COMMIT", "PREPARE TRANSACTION", "CREATE TRIGGER t AFTER INSERT ON customer BEGIN COMMIT; END",
    "WITH a AS (COMMIT) SELECT 1", "RAISE(ROLLBACK, 'x')",
    // Too much.
    "SELECT zeroblob(2000000000)", "SELECT printf('%*c', 2000000000, 'x')", "SELECT abs(-9223372036854775808)",
    "CREATE TABLE x(a CHECK (a > 0)); INSERT INTO x VALUES (-1)", "CREATE TABLE x(a INTEGER) STRICT; INSERT INTO x VALUES ('y')",
];

#[test]
fn there_are_enough() {
    assert!(REFUSED.len() + FAILING.len() >= 200, "{} and {}", REFUSED.len(), FAILING.len());
}

#[test]
fn each_is_refused_when_packaged() {
    for script in REFUSED {
        let faults = check_script(
            DatabaseEngine::Sqlite,
            TransactionMode::Shared,
            ScriptRole::Apply,
            script.as_bytes(),
        );
        assert!(!faults.is_empty(), "{script:?}");
    }
    for script in FAILING {
        let _ = check_script(
            DatabaseEngine::Sqlite,
            TransactionMode::Shared,
            ScriptRole::Apply,
            script.as_bytes(),
        );
    }
}

#[test]
fn each_fails_when_run_and_leaves_the_very_bytes() {
    let shop = Shop::new(Mode::Delete);
    let bytes = shop.bytes();
    let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    let wide =
        format!("CREATE TABLE x({})", (0..3000).map(|n| format!("c{n}")).collect::<Vec<_>>().join(","));
    let nested = format!("SELECT {}", (0..2000).map(|_| "1").collect::<Vec<_>>().join(" UNION "));
    let more = [deep.as_str(), wide.as_str(), nested.as_str()];
    for script in REFUSED.iter().chain(FAILING).copied().chain(more) {
        let mut target = shop.target();
        let copy = shop.path("copy.db");
        target.copy_to(&copy).unwrap();
        target.begin().unwrap();
        let applied = target.apply(&text(script));
        if !script.is_empty() && script != "\u{feff}" {
            let result = applied.and_then(|()| target.mark(&marker(1)));
            assert!(result.is_err(), "{script:?} got through");
        }
        let _ = target.verify(&text(script), false);
        target.abandon().unwrap();
        target.release();
        assert!(shop.bytes() == bytes, "{script:?} left something");
        std::fs::remove_file(copy).unwrap();
    }
    assert_eq!(shop.target().settle(&marker(1)).unwrap(), Settled::NotCommitted);
}

#[test]
fn nothing_of_a_lost_transaction_can_be_committed() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let dump = shop.dump();
        let mut target = shop.target();
        target.copy_to(&shop.path("copy.db")).unwrap();
        target.begin().unwrap();
        target.apply(&text("INSERT OR ROLLBACK INTO customer(id, name) VALUES (1, 'x')")).unwrap_err();
        assert!(target.apply(&text("CREATE TABLE y(z)")).is_err());
        assert!(target.mark(&marker(1)).is_err());
        assert!(target.commit().is_err());
        target.abandon().unwrap();
        target.release();
        assert_eq!(shop.dump(), dump);
    }
}

#[test]
fn a_verify_script_cannot_leave_either() {
    let shop = Shop::new(Mode::Delete);
    let mut target = shop.target();
    target.copy_to(&shop.path("copy.db")).unwrap();
    target.begin().unwrap();
    for script in ["ROLLBACK TO tmp_verify", "RELEASE tmp_verify", "COMMIT"] {
        assert!(target.verify(&text(script), true).is_err(), "{script}");
    }
    target.apply(&text("CREATE TABLE still_inside(x)")).unwrap();
    assert!(
        target.verify(&text("INSERT OR ROLLBACK INTO customer(id, name) VALUES (1, 'x')"), false).is_err()
    );
    assert!(target.mark(&marker(1)).is_err());
}

#[test]
fn a_table_that_became_tmps_own_is_noticed() {
    let shop = Shop::with(Mode::Delete, "CREATE TABLE tmp_marker(migration TEXT PRIMARY KEY, nonce TEXT)");
    let mut target = shop.target();
    assert!(target.inspect().is_err());
    target.copy_to(&shop.path("copy.db")).unwrap();
    insta::assert_snapshot!(target.begin().unwrap_err());
}
