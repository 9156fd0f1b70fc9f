//! Fingerprints: equal for equal content however it came about, different for any difference.

use rusqlite::Connection;
use tmp_core::database::{Database as _, Fingerprint};

use crate::support::{MODES, Mode, SHOP, Shop};

fn of(sql: &str) -> Fingerprint {
    Shop::with(Mode::Delete, sql).target().fingerprint().unwrap()
}

/// The fingerprint before and after `sql` ran on the shop.
fn round_trip(sql: &str) -> (Fingerprint, Fingerprint) {
    (of(SHOP), of(&format!("{SHOP};{sql}")))
}

#[test]
fn the_order_of_rows_makes_no_difference_and_their_number_does() {
    let table = "CREATE TABLE t(a, b);";
    let one = of(&format!("{table} INSERT INTO t VALUES (1, 'x'), (2, 'y'), (1, 'x')"));
    assert_eq!(one, of(&format!("{table} INSERT INTO t VALUES (2, 'y'), (1, 'x'), (1, 'x')")));
    assert_ne!(one, of(&format!("{table} INSERT INTO t VALUES (1, 'x'), (2, 'y')")));
    assert_ne!(one, of(&format!("{table} INSERT INTO t VALUES (1, 'x'), (2, 'y'), (2, 'y')")));
    let gone = of(&format!("{table} INSERT INTO t VALUES (1, 'x'), (1, 'x')"));
    assert_ne!(gone.data, of(table).data, "equal rows do not cancel each other");
}

#[test]
fn every_value_counts_with_its_type() {
    let values = [
        "NULL",
        "''",
        "0",
        "x''",
        "0.0",
        "'0'",
        "1",
        "1.0",
        "'1'",
        "x'31'",
        "'a'",
        "'A'",
        "'a '",
        "x'61'",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775807.0",
        "1e300",
        "-1e300",
        "1e-300",
        "9e999",
        "-9e999",
        "'é'",
        "'e' || char(769)",
        "char(0)",
        "'a' || char(0) || 'b'",
        "zeroblob(1)",
        "zeroblob(2)",
    ];
    let prints: Vec<_> = values
        .iter()
        .map(|value| of(&format!("CREATE TABLE t(a); INSERT INTO t VALUES ({value})")))
        .collect();
    for (index, print) in prints.iter().enumerate() {
        for (other, value) in prints[index + 1..].iter().zip(&values[index + 1..]) {
            assert_ne!(print, other, "{} and {value}", values[index]);
        }
    }
    let two = |values: &str| of(&format!("CREATE TABLE t(a, b); INSERT INTO t VALUES ({values})"));
    assert_ne!(two("'ab', 'c'"), two("'a', 'bc'"));
    assert_ne!(two("1, 2"), two("2, 1"));
    assert_ne!(two("NULL, 1"), two("1, NULL"));
}

#[test]
fn the_digest_of_a_known_table_stays_what_it_is() {
    let print = of("CREATE TABLE t(a); INSERT INTO t VALUES (NULL), (1), (1.5), ('x'), (x'00')");
    let text: Vec<_> = print
        .schema
        .iter()
        .map(|(name, digest)| format!("{name} {digest}"))
        .chain(print.data.iter().map(|(name, table)| format!("{name} {} {}", table.rows, table.digest)))
        .collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn round_trips_compare_equal() {
    for sql in [
        "ALTER TABLE customer ADD COLUMN vat TEXT; ALTER TABLE customer DROP COLUMN vat",
        "ALTER TABLE customer ADD COLUMN vat TEXT NOT NULL DEFAULT 'x, y'; ALTER TABLE customer DROP COLUMN vat",
        "ALTER TABLE customer ADD COLUMN a; ALTER TABLE customer ADD COLUMN b; ALTER TABLE customer DROP COLUMN a; ALTER TABLE customer DROP COLUMN b",
        "ALTER TABLE customer RENAME TO client; ALTER TABLE client RENAME TO customer",
        "ALTER TABLE invoice RENAME TO bill; ALTER TABLE bill RENAME TO invoice",
        "ALTER TABLE customer RENAME COLUMN city TO town; ALTER TABLE customer RENAME COLUMN town TO city",
        "ALTER TABLE invoice RENAME COLUMN cents TO \"the cents\"; ALTER TABLE invoice RENAME COLUMN \"the cents\" TO cents",
        "CREATE TABLE x(y); DROP TABLE x",
        "CREATE INDEX x ON customer(name); DROP INDEX x",
        "DROP INDEX invoice_customer; CREATE INDEX invoice_customer ON invoice ( customer )",
        "DROP VIEW total; CREATE VIEW total AS SELECT customer, sum(cents) AS cents FROM invoice -- all of them\n GROUP BY customer",
        "UPDATE customer SET city = city || '!'; UPDATE customer SET city = rtrim(city, '!')",
        "DELETE FROM customer WHERE id = 2; INSERT INTO customer VALUES (2, 'Blaise', 'Paris')",
        "ANALYZE",
        "REINDEX",
        "VACUUM",
        "PRAGMA user_version = 3; PRAGMA user_version = 0",
        "CREATE TABLE r AS SELECT * FROM customer; DELETE FROM customer; INSERT INTO customer SELECT * FROM r ORDER BY id DESC; DROP TABLE r",
    ] {
        let (before, after) = round_trip(sql);
        assert_eq!(before, after, "{sql}: {}", before.differences(&after));
    }
    assert_eq!(
        of("SELECT 1"),
        of("CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO a VALUES (1); DROP TABLE a")
    );
}

#[test]
fn any_other_change_is_seen_where_it_is() {
    for (sql, differences) in [
        ("CREATE TABLE x(y)", "schema differs: table x; rows differ: x"),
        ("DROP TRIGGER no_negative", "schema differs: trigger no_negative"),
        (
            "ALTER TABLE customer RENAME TO client",
            "schema differs: table client, table customer, table invoice; rows differ: client, customer",
        ),
        ("UPDATE customer SET city = 'Koln' WHERE id = 1", "rows differ: customer"),
        ("UPDATE invoice SET cents = 100.0 WHERE id = 1", "nothing differs"),
        ("UPDATE invoice SET cents = 100.5 WHERE id = 1", "rows differ: invoice"),
        ("UPDATE sqlite_sequence SET seq = 9", "rows differ: sqlite_sequence"),
        ("DELETE FROM sqlite_sequence", "rows differ: sqlite_sequence"),
        ("UPDATE customer SET id = 30 WHERE id = 3", "rows differ: customer"),
        ("CREATE UNIQUE INDEX u ON customer(name)", "schema differs: index u"),
        ("PRAGMA user_version = 3", "schema differs: pragma user_version"),
        ("PRAGMA auto_vacuum = 1; VACUUM", "schema differs: pragma auto_vacuum"),
    ] {
        let (before, after) = round_trip(sql);
        assert_eq!(before.differences(&after).to_string(), differences, "{sql}");
    }
    let constraint = |columns: &str| of(&format!("CREATE TABLE t({columns})"));
    assert_ne!(constraint("a, UNIQUE(a)"), constraint("a"));
    assert_ne!(of("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a)"), of("CREATE TABLE t(a)"));
    assert_eq!(
        of("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a); INSERT INTO t VALUES ('é')").data,
        of("CREATE TABLE t(a); INSERT INTO t VALUES ('é')").data
    );
}

#[test]
fn every_single_value_of_every_row_counts() {
    let before = of(SHOP);
    for (table, columns, ids) in
        [("customer", ["id", "name", "city"], 3), ("invoice", ["customer", "cents", "note"], 3)]
    {
        for column in columns {
            for id in 1..=ids {
                let other =
                    if column == "name" || column == "city" || column == "note" { "'other'" } else { "40" };
                let sql = format!("{SHOP}; UPDATE {table} SET {column} = {other} WHERE id = {id}");
                assert_eq!(before.differences(&of(&sql)).data, [table], "{sql}");
            }
        }
    }
}

#[test]
fn odd_kinds_of_tables() {
    let without = "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;";
    assert_eq!(
        of(&format!("{without} INSERT INTO w VALUES ('a', 1), ('b', 2)")),
        of(&format!("{without} INSERT INTO w VALUES ('b', 2), ('a', 1)"))
    );
    assert_ne!(
        of(&format!("{without} INSERT INTO w VALUES ('a', 1)")),
        of(&format!("{without} INSERT INTO w VALUES ('a', 2)"))
    );
    let rowid = "CREATE TABLE t(a);";
    assert_eq!(
        of(&format!("{rowid} INSERT INTO t(rowid, a) VALUES (5, 'x')")),
        of(&format!("{rowid} INSERT INTO t(rowid, a) VALUES (6, 'x')")),
        "a rowid that nobody named is not content"
    );
    let computed = of("CREATE TABLE g(a, b AS (a + 1), c AS (a * 2) STORED); INSERT INTO g(a) VALUES (1)");
    assert_eq!(computed.data["g"].rows, 1);
    let names = of("CREATE TABLE \"a \"\"b\"(\"select\", [x y]); INSERT INTO \"a \"\"b\" VALUES (1, 2)");
    assert_eq!(names.data["a \"b"].rows, 1);
}

#[test]
fn virtual_tables_count_with_what_they_hold() {
    let fts = "CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('one'), ('two');";
    let before = of(fts);
    assert_eq!(before.data["f"].rows, 2);
    assert_eq!(
        before,
        of(&format!("{fts} INSERT INTO f VALUES ('three'); DELETE FROM f WHERE body = 'three'"))
    );
    assert_eq!(before, of(&format!("{fts} INSERT INTO f(f) VALUES ('optimize')")));
    assert_eq!(
        before.differences(&of(&format!("{fts} UPDATE f SET body = 'zwei' WHERE body = 'two'"))).data,
        ["f"]
    );
    assert_eq!(before.differences(&of(&format!("{fts} UPDATE f SET rowid = 9 WHERE rowid = 1"))).data, ["f"]);
    assert_eq!(
        before.differences(&of(&format!("{fts} INSERT INTO f(f, rank) VALUES ('pgsz', 64)"))).data,
        ["f_config"]
    );
    let tree = "CREATE VIRTUAL TABLE r USING rtree(id, a, b); INSERT INTO r VALUES (1, 0, 1), (2, 5, 6);";
    assert_eq!(of(tree), of(&format!("{tree} INSERT INTO r VALUES (3, 1, 2); DELETE FROM r WHERE id = 3")));
    assert_eq!(of(tree).differences(&of(&format!("{tree} UPDATE r SET b = 2 WHERE id = 1"))).data, ["r"]);
    let four = "CREATE VIRTUAL TABLE o USING fts4(body); INSERT INTO o VALUES ('x');";
    assert_eq!(of(four).data["o"].rows, 1);
    let lost = of(
        "CREATE TABLE c(body); CREATE VIRTUAL TABLE f USING fts5(body, content='c', content_rowid='rowid');
        INSERT INTO f(rowid, body) VALUES (1, 'x')",
    );
    assert!(lost.data.contains_key("f"));
    of("CREATE VIRTUAL TABLE s USING dbstat; CREATE TABLE t(a)");
}

#[test]
fn the_same_in_both_modes_and_after_a_copy() {
    let prints = MODES.map(|mode| Shop::new(mode).target().fingerprint().unwrap());
    assert_eq!(prints[0], prints[1]);
}

#[test]
fn memory_does_not_grow_with_the_rows() {
    let shop = Shop::with(Mode::Delete, "CREATE TABLE t(a, b); WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000)
        INSERT INTO t SELECT x, hex(randomblob(100)) FROM n");
    let used = || -> i64 {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
    };
    let before = used();
    assert_eq!(shop.target().fingerprint().unwrap().data["t"].rows, 100_000);
    assert!(used() - before < 64 << 20, "22 MB of rows");
    drop(Connection::open(shop.file()).unwrap());
}
