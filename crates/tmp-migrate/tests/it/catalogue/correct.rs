//! Ways back that lead exactly back.

use super::Case;

const fn case(name: &'static str, before: &'static str, up: &'static str, down: &'static str) -> Case {
    Case { name, before, up, down }
}

const ITEM: &str =
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER DEFAULT 10, \
                    note TEXT);
INSERT INTO item VALUES (1, 'pen', 3, 'blue'), (2, 'ink', 7, NULL), (3, 'cap', 7, 'red');";

const PAIR: &str = "CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE pet (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owner (id) ON DELETE CASCADE, name TEXT);
INSERT INTO owner VALUES (1, 'ann'), (2, 'bob');
INSERT INTO pet VALUES (1, 1, 'rex'), (2, 2, 'tom');";

const SEEN: &str = "CREATE TABLE t (a INTEGER, b TEXT COLLATE NOCASE, c TEXT);
CREATE TABLE log (what TEXT);
CREATE INDEX t_a ON t (a) WHERE a > 0;
CREATE UNIQUE INDEX t_lower ON t (lower(b));
CREATE VIEW v AS SELECT a, b FROM t;
CREATE TRIGGER t_log AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.b); END;
INSERT INTO t VALUES (1, 'x', 'one'), (2, 'y', 'two');";

pub(super) const ALL: &[Case] = &[
    case("a table", ITEM, "CREATE TABLE x (a);", "DROP TABLE x;"),
    case("two tables", ITEM, "CREATE TABLE x (a); CREATE TABLE y (a);", "DROP TABLE y; DROP TABLE x;"),
    case("a table with rows", ITEM, "CREATE TABLE x (a); INSERT INTO x VALUES (1), (2);", "DROP TABLE x;"),
    case("a table from a query", ITEM, "CREATE TABLE x AS SELECT * FROM item;", "DROP TABLE x;"),
    case("a table with its index", ITEM, "CREATE TABLE x (a); CREATE INDEX x_a ON x (a);", "DROP TABLE x;"),
    case("a table that refers to another", PAIR, "CREATE TABLE toy (pet INTEGER REFERENCES pet (id)); INSERT INTO toy VALUES (1);", "DROP TABLE toy;"),
    case("IF EXISTS", ITEM, "CREATE TABLE IF NOT EXISTS x (a);", "DROP TABLE IF EXISTS x;"),
    case("a column", ITEM, "ALTER TABLE item ADD COLUMN x;", "ALTER TABLE item DROP COLUMN x;"),
    case("a column with values", ITEM, "ALTER TABLE item ADD COLUMN x INTEGER; UPDATE item SET x = price * 2;", "ALTER TABLE item DROP COLUMN x;"),
    case("a column with a default", ITEM, "ALTER TABLE item ADD COLUMN x INTEGER NOT NULL DEFAULT 5;", "ALTER TABLE item DROP COLUMN x;"),
    case("two columns", ITEM, "ALTER TABLE item ADD COLUMN x; ALTER TABLE item ADD COLUMN y;", "ALTER TABLE item DROP COLUMN y; ALTER TABLE item DROP COLUMN x;"),
    case("a column with an index", ITEM, "ALTER TABLE item ADD COLUMN x; CREATE INDEX item_x ON item (x);", "DROP INDEX item_x; ALTER TABLE item DROP COLUMN x;"),
    case("a generated column", ITEM, "ALTER TABLE item ADD COLUMN twice INTEGER AS (price * 2);", "ALTER TABLE item DROP COLUMN twice;"),
    case("a column with a collation", ITEM, "ALTER TABLE item ADD COLUMN x TEXT COLLATE NOCASE;", "ALTER TABLE item DROP COLUMN x;"),
    case("a column with a check", ITEM, "ALTER TABLE item ADD COLUMN x INTEGER CHECK (x > 0);", "ALTER TABLE item DROP COLUMN x;"),
    case("a column renamed", ITEM, "ALTER TABLE item RENAME COLUMN note TO remark;", "ALTER TABLE item RENAME COLUMN remark TO note;"),
    case("a column renamed that a view uses", SEEN, "ALTER TABLE t RENAME COLUMN a TO number;", "ALTER TABLE t RENAME COLUMN number TO a;"),
    case("a table renamed", ITEM, "ALTER TABLE item RENAME TO thing;", "ALTER TABLE thing RENAME TO item;"),
    case("a table renamed that a view and a trigger use", SEEN, "ALTER TABLE t RENAME TO u;", "ALTER TABLE u RENAME TO t;"),
    case("a table renamed that another refers to", PAIR, "ALTER TABLE owner RENAME TO keeper;", "ALTER TABLE keeper RENAME TO owner;"),
    case("a table renamed in its case", ITEM, "ALTER TABLE item RENAME TO tmp; ALTER TABLE tmp RENAME TO ITEM;", "ALTER TABLE ITEM RENAME TO tmp; ALTER TABLE tmp RENAME TO item;"),
    case("an index", ITEM, "CREATE INDEX item_name ON item (name);", "DROP INDEX item_name;"),
    case("a unique index", ITEM, "CREATE UNIQUE INDEX item_name ON item (name);", "DROP INDEX item_name;"),
    case("an index dropped", SEEN, "DROP INDEX t_a;", "CREATE INDEX t_a ON t (a) WHERE a > 0;"),
    case("an index dropped, made again with other spaces", SEEN, "DROP INDEX t_a;", "create index t_a\n  on t(a)\n  where a>0;"),
    case("an expression index dropped", SEEN, "DROP INDEX t_lower;", "CREATE UNIQUE INDEX t_lower ON t (lower(b));"),
    case("an index exchanged", SEEN, "DROP INDEX t_a; CREATE INDEX t_a ON t (a, c);", "DROP INDEX t_a; CREATE INDEX t_a ON t (a) WHERE a > 0;"),
    case("a view", ITEM, "CREATE VIEW cheap AS SELECT name FROM item WHERE price < 5;", "DROP VIEW cheap;"),
    case("a view exchanged", SEEN, "DROP VIEW v; CREATE VIEW v AS SELECT c FROM t;", "DROP VIEW v; CREATE VIEW v AS SELECT a, b FROM t;"),
    case("a view dropped", SEEN, "DROP VIEW v;", "CREATE VIEW v AS SELECT a, b FROM t;"),
    case("a trigger", SEEN, "CREATE TRIGGER t_new AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.b); END;", "DROP TRIGGER t_new;"),
    case("a trigger exchanged", SEEN, "DROP TRIGGER t_log; CREATE TRIGGER t_log AFTER DELETE ON t BEGIN SELECT 1; END;", "DROP TRIGGER t_log; CREATE TRIGGER t_log AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.b); END;"),
    case("a trigger instead of a write to a view", SEEN, "CREATE TRIGGER v_in INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (new.a, new.b, ''); END;", "DROP TRIGGER v_in;"),
    case("an UPDATE and its inverse", ITEM, "UPDATE item SET price = price + 100;", "UPDATE item SET price = price - 100;"),
    case("an UPDATE of one row", ITEM, "UPDATE item SET name = 'quill' WHERE id = 1;", "UPDATE item SET name = 'pen' WHERE id = 1;"),
    case("values kept in a table aside", ITEM, "CREATE TABLE kept AS SELECT id, price FROM item; UPDATE item SET price = 0;", "UPDATE item SET price = (SELECT kept.price FROM kept WHERE kept.id = item.id); DROP TABLE kept;"),
    case("rows inserted", ITEM, "INSERT INTO item VALUES (10, 'nib', 1, NULL), (11, 'pad', 2, NULL);", "DELETE FROM item WHERE id IN (10, 11);"),
    case("rows deleted", ITEM, "DELETE FROM item WHERE id = 1;", "INSERT INTO item VALUES (1, 'pen', 3, 'blue');"),
    case("rows deleted and kept aside", ITEM, "CREATE TABLE kept AS SELECT * FROM item WHERE price = 7; DELETE FROM item WHERE price = 7;", "INSERT INTO item SELECT * FROM kept; DROP TABLE kept;"),
    case("every row deleted and kept aside", ITEM, "CREATE TABLE kept AS SELECT * FROM item; DELETE FROM item;", "INSERT INTO item SELECT * FROM kept; DROP TABLE kept;"),
    case("a row replaced", ITEM, "INSERT OR REPLACE INTO item VALUES (1, 'nib', 1, NULL);", "INSERT OR REPLACE INTO item VALUES (1, 'pen', 3, 'blue');"),
    case("an upsert", ITEM, "INSERT INTO item VALUES (1, 'nib', 1, NULL) ON CONFLICT (id) DO UPDATE SET name = excluded.name;", "UPDATE item SET name = 'pen' WHERE id = 1;"),
    case("NULL filled in", ITEM, "UPDATE item SET note = '?' WHERE note IS NULL;", "UPDATE item SET note = NULL WHERE note = '?';"),
    case("the sequence of AUTOINCREMENT set back", "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t (a) VALUES (1);", "INSERT INTO t (a) VALUES (2);", "DELETE FROM t WHERE a = 2; UPDATE sqlite_sequence SET seq = 1 WHERE name = 't';"),
    case("what a trigger wrote, taken out", SEEN, "DELETE FROM t WHERE a = 1;", "INSERT INTO t VALUES (1, 'x', 'one'); DELETE FROM log WHERE what = 'x';"),
    case("rows of two tables", PAIR, "INSERT INTO owner VALUES (3, 'eve'); INSERT INTO pet VALUES (3, 3, 'kit');", "DELETE FROM pet WHERE id = 3; DELETE FROM owner WHERE id = 3;"),
    case("two values exchanged", "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2);", "UPDATE t SET a = b, b = a;", "UPDATE t SET a = b, b = a;"),
    case("a rebuild", ITEM, "ALTER TABLE item ADD COLUMN x;", "CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER DEFAULT 10, note TEXT);
INSERT INTO new SELECT id, name, price, note FROM item; DROP TABLE item; ALTER TABLE new RENAME TO item;"),
    case("rebuilt forth and back", PAIR, "CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO new SELECT id, name FROM pet; CREATE TABLE kept AS SELECT id, owner FROM pet; DROP TABLE pet; ALTER TABLE new RENAME TO pet;",
"CREATE TABLE new (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owner (id) ON DELETE CASCADE, name TEXT);
INSERT INTO new SELECT pet.id, kept.owner, pet.name FROM pet JOIN kept ON kept.id = pet.id;
DROP TABLE pet; ALTER TABLE new RENAME TO pet; DROP TABLE kept;"),
    case("a rebuild with its indexes", "CREATE TABLE t (a, b); CREATE INDEX t_a ON t (a); INSERT INTO t VALUES (1, 2);", "ALTER TABLE t ADD COLUMN c;", "CREATE TABLE new (a, b); INSERT INTO new SELECT a, b FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t; CREATE INDEX t_a ON t (a);"),
    case("WITHOUT ROWID rebuilt", "CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('x', 1);", "ALTER TABLE t ADD COLUMN b;", "CREATE TABLE new (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO new SELECT k, v FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;"),
    case("STRICT rebuilt", "CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (1);", "ALTER TABLE t ADD COLUMN b TEXT;", "CREATE TABLE new (a INTEGER) STRICT; INSERT INTO new SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;"),
    case("a table dropped and kept aside", ITEM, "CREATE TABLE kept AS SELECT * FROM item; DROP TABLE item;", "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER DEFAULT 10, note TEXT); INSERT INTO item SELECT * FROM kept; DROP TABLE kept;"),
    case("a table renamed instead of dropped", ITEM, "ALTER TABLE item RENAME TO old_item;", "ALTER TABLE old_item RENAME TO item;"),
    case("user_version", "PRAGMA user_version = 4; CREATE TABLE t (a);", "PRAGMA user_version = 5;", "PRAGMA user_version = 4;"),
    case("application_id", ITEM, "PRAGMA application_id = 9;", "PRAGMA application_id = 0;"),
    case("a full-text table", ITEM, "CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('some words');", "DROP TABLE f;"),
    case("rows of a full-text table", "CREATE VIRTUAL TABLE f USING fts5 (a); INSERT INTO f VALUES ('one');", "INSERT INTO f VALUES ('two');", "DELETE FROM f WHERE a = 'two';"),
    case("an r-tree", ITEM, "CREATE VIRTUAL TABLE r USING rtree (id, a, b); INSERT INTO r VALUES (1, 2, 3);", "DROP TABLE r;"),
    case("temporary tables on both ways", ITEM, "CREATE TEMP TABLE w AS SELECT id FROM item; CREATE TABLE x AS SELECT * FROM w;", "CREATE TEMP TABLE w AS SELECT id FROM x; DROP TABLE x;"),
    case("a change that changes nothing", ITEM, "UPDATE item SET price = 1 WHERE id = 99;", "-- nothing to take back\n"),
    case("a query alone", ITEM, "SELECT count(*) FROM item;", "SELECT 1;"),
    case("the time of the change", ITEM, "ALTER TABLE item ADD COLUMN made; UPDATE item SET made = strftime('%f', 'now') || hex(randomblob(4));", "ALTER TABLE item DROP COLUMN made;"),
    case("chance", ITEM, "CREATE TABLE token (t); INSERT INTO token VALUES (hex(randomblob(8)));", "DROP TABLE token;"),
    case("statistics", SEEN, "ANALYZE;", "DROP TABLE sqlite_stat1;"),
    case("names with quotes", ITEM, "CREATE TABLE \"odd \"\"name\" (\"a b\", [c d]); INSERT INTO \"odd \"\"name\" VALUES (1, 2);", "DROP TABLE \"odd \"\"name\";"),
    case("text that looks like a comment", ITEM, "UPDATE item SET note = '-- ; /*' WHERE id = 2;", "UPDATE item SET note = NULL WHERE note = '-- ; /*';"),
    case("an empty database", "", "CREATE TABLE x (a); INSERT INTO x VALUES (1);", "DROP TABLE x;"),
];
