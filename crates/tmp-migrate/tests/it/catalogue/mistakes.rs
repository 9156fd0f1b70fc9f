//! Ways back that are wrong, by what is wrong with them.

use tmp_migrate::rehearse::Class::{
    self, CannotBeAppliedAgain, FailsAtStatement, RestoresSchemaNotData, RestoresSomethingElse, RollBackEmpty,
};

use super::{Case, ITEM, PAIR, SEEN, case};

/// Every mistake under the class it must be caught with.
pub(super) const ALL: &[(Class, &[Case])] = &[
    (RollBackEmpty, EMPTY),
    (FailsAtStatement, FAILS),
    (RestoresSomethingElse, ELSE),
    (RestoresSchemaNotData, DATA),
    (CannotBeAppliedAgain, AGAIN),
];

const EMPTY: &[Case] = &[
    case("comments only", ITEM, "ALTER TABLE item ADD COLUMN x;", "-- ALTER TABLE item DROP COLUMN x;\n"),
    case("a block comment", ITEM, "CREATE TABLE x (a);", "/* DROP TABLE x; */"),
    case("a query", ITEM, "CREATE TABLE x (a);", "SELECT 1;"),
    case(
        "a WHERE that nothing meets",
        ITEM,
        "UPDATE item SET price = price + 1;",
        "UPDATE item SET price = price - 1 WHERE price < 0;",
    ),
    case(
        "IF EXISTS and a typo",
        ITEM,
        "CREATE INDEX item_name ON item (name);",
        "DROP INDEX IF EXISTS item_names;",
    ),
    case("IF EXISTS of another table", ITEM, "CREATE TABLE extra (a);", "DROP TABLE IF EXISTS extras;"),
    case(
        "INSERT OR IGNORE of what was updated",
        ITEM,
        "UPDATE item SET name = 'quill' WHERE id = 1;",
        "INSERT OR IGNORE INTO item VALUES (1, 'pen', 3, 'blue');",
    ),
    case(
        "a view that is made again by IF NOT EXISTS",
        SEEN,
        "DROP VIEW v; CREATE VIEW v AS SELECT a FROM t;",
        "CREATE VIEW IF NOT EXISTS v AS SELECT a, b FROM t;",
    ),
    case("user_version only read", ITEM, "PRAGMA user_version = 3;", "PRAGMA user_version;"),
    case(
        "a temporary table instead",
        ITEM,
        "DELETE FROM item WHERE id = 1;",
        "CREATE TEMP TABLE back AS SELECT * FROM item;",
    ),
];

const FAILS: &[Case] = &[
    case("a typo in the keyword", ITEM, "CREATE TABLE x (a);", "DORP TABLE x;"),
    case("a typo in the name", ITEM, "CREATE TABLE x (a);", "DROP TABLE y;"),
    case(
        "a typo at statement 3",
        ITEM,
        "CREATE TABLE x (a); CREATE TABLE y (a); CREATE TABLE z (a);",
        "DROP TABLE z; DROP TABLE y; DROP TABEL x;",
    ),
    case("the same twice", ITEM, "CREATE TABLE x (a);", "DROP TABLE x; DROP TABLE x;"),
    case(
        "an index before its table, in the wrong order",
        ITEM,
        "CREATE TABLE x (a); CREATE INDEX x_a ON x (a);",
        "DROP TABLE x; DROP INDEX x_a;",
    ),
    case(
        "a column that an index still uses",
        ITEM,
        "ALTER TABLE item ADD COLUMN x; CREATE INDEX item_x ON item (x);",
        "ALTER TABLE item DROP COLUMN x;",
    ),
    case(
        "a column that a view still uses",
        ITEM,
        "ALTER TABLE item ADD COLUMN x; CREATE VIEW v AS SELECT x FROM item;",
        "ALTER TABLE item DROP COLUMN x; DROP VIEW v;",
    ),
    case(
        "a column that does not exist",
        ITEM,
        "ALTER TABLE item ADD COLUMN x;",
        "ALTER TABLE item DROP COLUMN y;",
    ),
    case(
        "rows that meet a constraint",
        ITEM,
        "DELETE FROM item WHERE id = 1;",
        "INSERT INTO item VALUES (2, 'pen', 3, 'blue');",
    ),
    case(
        "NOT NULL without a default",
        ITEM,
        "ALTER TABLE item DROP COLUMN price;",
        "ALTER TABLE item ADD COLUMN price INTEGER NOT NULL;",
    ),
    case(
        "renamed back from the wrong name",
        ITEM,
        "ALTER TABLE item RENAME TO thing;",
        "ALTER TABLE things RENAME TO item;",
    ),
    case("the change itself", ITEM, "CREATE TABLE x (a);", "CREATE TABLE x (a);"),
    case(
        "a dialect of another engine",
        ITEM,
        "ALTER TABLE item ADD COLUMN x;",
        "ALTER TABLE item DROP x CASCADE;",
    ),
    case("too few values", ITEM, "DELETE FROM item WHERE id = 1;", "INSERT INTO item VALUES (1, 'pen');"),
    case(
        "a trigger that is gone with its table",
        SEEN,
        "CREATE TRIGGER t_new AFTER INSERT ON log BEGIN SELECT 1; END;",
        "DROP TRIGGER t_old;",
    ),
];

const ELSE: &[Case] = &[
    case("another table dropped", PAIR, "CREATE TABLE toy (a);", "DROP TABLE pet;"),
    case("one of two tables", ITEM, "CREATE TABLE x (a); CREATE TABLE y (a);", "DROP TABLE x;"),
    case(
        "a table and not its view",
        ITEM,
        "CREATE VIEW v AS SELECT id FROM item; CREATE TABLE x (a);",
        "DROP TABLE x;",
    ),
    case("the wrong column", ITEM, "ALTER TABLE item ADD COLUMN x;", "ALTER TABLE item DROP COLUMN note;"),
    case(
        "column order after a drop",
        ITEM,
        "ALTER TABLE item DROP COLUMN price;",
        "ALTER TABLE item ADD COLUMN price INTEGER DEFAULT 10;",
    ),
    case(
        "column order after a rebuild",
        ITEM,
        "ALTER TABLE item ADD COLUMN x;",
        "CREATE TABLE new (id INTEGER PRIMARY KEY, price INTEGER DEFAULT 10, name TEXT NOT NULL, note TEXT);
INSERT INTO new SELECT id, price, name, note FROM item; DROP TABLE item; ALTER TABLE new RENAME TO item;",
    ),
    case(
        "a default lost by a rebuild",
        ITEM,
        "ALTER TABLE item ADD COLUMN x;",
        "CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER, note TEXT);
INSERT INTO new SELECT id, name, price, note FROM item; DROP TABLE item; ALTER TABLE new RENAME TO item;",
    ),
    case(
        "NOT NULL lost by a rebuild",
        ITEM,
        "ALTER TABLE item ADD COLUMN x;",
        "CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT, price INTEGER DEFAULT 10, note TEXT);
INSERT INTO new SELECT id, name, price, note FROM item; DROP TABLE item; ALTER TABLE new RENAME TO item;",
    ),
    case(
        "the primary key lost by CREATE TABLE AS",
        ITEM,
        "ALTER TABLE item ADD COLUMN x;",
        "CREATE TABLE new AS SELECT id, name, price, note FROM item; DROP TABLE item; ALTER TABLE new RENAME TO item;",
    ),
    case(
        "CHECK lost by a rebuild",
        "CREATE TABLE t (a INTEGER CHECK (a > 0)); INSERT INTO t VALUES (1);",
        "ALTER TABLE t ADD COLUMN b;",
        "CREATE TABLE new (a INTEGER); INSERT INTO new SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "UNIQUE lost by a rebuild",
        "CREATE TABLE t (a INTEGER UNIQUE); INSERT INTO t VALUES (1);",
        "ALTER TABLE t ADD COLUMN b;",
        "CREATE TABLE new (a INTEGER); INSERT INTO new SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "a foreign key lost by a rebuild",
        PAIR,
        "ALTER TABLE pet ADD COLUMN age;",
        "CREATE TABLE new (id INTEGER PRIMARY KEY, owner INTEGER, name TEXT);
INSERT INTO new SELECT id, owner, name FROM pet; DROP TABLE pet; ALTER TABLE new RENAME TO pet;",
    ),
    case(
        "ON DELETE lost by a rebuild",
        PAIR,
        "ALTER TABLE pet ADD COLUMN age;",
        "CREATE TABLE new (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owner (id), name TEXT);
INSERT INTO new SELECT id, owner, name FROM pet; DROP TABLE pet; ALTER TABLE new RENAME TO pet;",
    ),
    case(
        "a collation lost by a rebuild",
        "CREATE TABLE t (a TEXT COLLATE NOCASE); INSERT INTO t VALUES ('x');",
        "ALTER TABLE t ADD COLUMN b;",
        "CREATE TABLE new (a TEXT); INSERT INTO new SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "an affinity changed by a rebuild",
        "CREATE TABLE t (a VARCHAR(20)); INSERT INTO t VALUES ('x');",
        "ALTER TABLE t ADD COLUMN b;",
        "CREATE TABLE new (a TEXT); INSERT INTO new SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "AUTOINCREMENT lost by a rebuild",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t (a) VALUES ('x');",
        "ALTER TABLE t ADD COLUMN b;",
        "CREATE TABLE new (id INTEGER PRIMARY KEY, a); INSERT INTO new SELECT id, a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "WITHOUT ROWID lost by a rebuild",
        "CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('x', 1);",
        "ALTER TABLE t ADD COLUMN b;",
        "CREATE TABLE new (k TEXT PRIMARY KEY, v); INSERT INTO new SELECT k, v FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "STRICT lost by a rebuild",
        "CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (1);",
        "ALTER TABLE t ADD COLUMN b TEXT;",
        "CREATE TABLE new (a INTEGER); INSERT INTO new SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "a generated column made a plain one",
        "CREATE TABLE t (a INTEGER, b INTEGER AS (a * 2)); INSERT INTO t VALUES (1);",
        "ALTER TABLE t ADD COLUMN c;",
        "CREATE TABLE new (a INTEGER, b INTEGER); INSERT INTO new SELECT a, b FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "a stored column made a virtual one",
        "CREATE TABLE t (a INTEGER, b INTEGER AS (a * 2) STORED); INSERT INTO t VALUES (1);",
        "ALTER TABLE t ADD COLUMN c;",
        "CREATE TABLE new (a INTEGER, b INTEGER AS (a * 2)); INSERT INTO new (a) SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "an index lost by a rebuild",
        "CREATE TABLE t (a); CREATE INDEX t_a ON t (a); INSERT INTO t VALUES (1);",
        "ALTER TABLE t ADD COLUMN b;",
        "CREATE TABLE new (a); INSERT INTO new SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "a trigger lost by a rebuild",
        "CREATE TABLE t (a); CREATE TABLE l (a); CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO l VALUES (new.a); END;",
        "ALTER TABLE t ADD COLUMN b;",
        "CREATE TABLE new (a); INSERT INTO new SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case("an index without its condition", SEEN, "DROP INDEX t_a;", "CREATE INDEX t_a ON t (a);"),
    case("an index on another column", SEEN, "DROP INDEX t_a;", "CREATE INDEX t_a ON t (b) WHERE a > 0;"),
    case(
        "an index in another order",
        "CREATE TABLE t (a, b); CREATE INDEX i ON t (a, b DESC);",
        "DROP INDEX i;",
        "CREATE INDEX i ON t (a, b);",
    ),
    case(
        "an index that is not unique any more",
        SEEN,
        "DROP INDEX t_lower;",
        "CREATE INDEX t_lower ON t (lower(b));",
    ),
    case(
        "an index on another expression",
        SEEN,
        "DROP INDEX t_lower;",
        "CREATE UNIQUE INDEX t_lower ON t (upper(b));",
    ),
    case("an index under another name", SEEN, "DROP INDEX t_a;", "CREATE INDEX t_a2 ON t (a) WHERE a > 0;"),
    case(
        "an index with another collation",
        "CREATE TABLE t (a TEXT); CREATE INDEX i ON t (a COLLATE NOCASE);",
        "DROP INDEX i;",
        "CREATE INDEX i ON t (a);",
    ),
    case("a view with fewer columns", SEEN, "DROP VIEW v;", "CREATE VIEW v AS SELECT a FROM t;"),
    case(
        "a view with columns in another order",
        SEEN,
        "DROP VIEW v;",
        "CREATE VIEW v AS SELECT b, a FROM t;",
    ),
    case(
        "a view with another condition",
        SEEN,
        "DROP VIEW v;",
        "CREATE VIEW v AS SELECT a, b FROM t WHERE a > 1;",
    ),
    case(
        "a view not made again",
        SEEN,
        "DROP VIEW v; DROP INDEX t_a;",
        "CREATE INDEX t_a ON t (a) WHERE a > 0;",
    ),
    case(
        "a trigger with another timing",
        SEEN,
        "DROP TRIGGER t_log;",
        "CREATE TRIGGER t_log BEFORE DELETE ON t BEGIN INSERT INTO log VALUES (old.b); END;",
    ),
    case(
        "a trigger on another event",
        SEEN,
        "DROP TRIGGER t_log;",
        "CREATE TRIGGER t_log AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (old.b); END;",
    ),
    case(
        "a trigger that does something else",
        SEEN,
        "DROP TRIGGER t_log;",
        "CREATE TRIGGER t_log AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.c); END;",
    ),
    case(
        "a trigger with a condition it had not",
        SEEN,
        "DROP TRIGGER t_log;",
        "CREATE TRIGGER t_log AFTER DELETE ON t WHEN old.a > 1 BEGIN INSERT INTO log VALUES (old.b); END;",
    ),
    case(
        "a column renamed to something else",
        ITEM,
        "ALTER TABLE item RENAME COLUMN note TO remark;",
        "ALTER TABLE item RENAME COLUMN remark TO notes;",
    ),
    case(
        "a column renamed back in another case",
        ITEM,
        "ALTER TABLE item RENAME COLUMN note TO remark;",
        "ALTER TABLE item RENAME COLUMN remark TO Note;",
    ),
    case(
        "a table renamed back in another case",
        ITEM,
        "ALTER TABLE item RENAME TO thing;",
        "ALTER TABLE thing RENAME TO Item;",
    ),
    case(
        "user_version set to another value",
        "PRAGMA user_version = 4; CREATE TABLE t (a);",
        "PRAGMA user_version = 5;",
        "PRAGMA user_version = 0;",
    ),
    case(
        "application_id not set back",
        "CREATE TABLE t (a);",
        "PRAGMA application_id = 9; CREATE TABLE x (a);",
        "DROP TABLE x;",
    ),
    case(
        "a virtual table with other columns",
        "CREATE VIRTUAL TABLE f USING fts5 (a, b);",
        "DROP TABLE f;",
        "CREATE VIRTUAL TABLE f USING fts5 (a);",
    ),
    case(
        "another default",
        ITEM,
        "ALTER TABLE item DROP COLUMN note;",
        "ALTER TABLE item ADD COLUMN note TEXT DEFAULT '';",
    ),
];

const DATA: &[Case] = &[
    case(
        "a column dropped and added again",
        ITEM,
        "ALTER TABLE item DROP COLUMN note;",
        "ALTER TABLE item ADD COLUMN note TEXT;",
    ),
    case(
        "values not set back after an UPDATE",
        ITEM,
        "ALTER TABLE item ADD COLUMN x; UPDATE item SET price = 0;",
        "ALTER TABLE item DROP COLUMN x;",
    ),
    case(
        "a WHERE that meets too many",
        ITEM,
        "UPDATE item SET price = 8 WHERE id = 2;",
        "UPDATE item SET price = 7 WHERE price > 0;",
    ),
    case(
        "a WHERE that meets too few",
        ITEM,
        "UPDATE item SET price = price + 1;",
        "UPDATE item SET price = price - 1 WHERE id < 3;",
    ),
    case(
        "deleted rows not brought back",
        ITEM,
        "DELETE FROM item WHERE id = 1; CREATE TABLE x (a);",
        "DROP TABLE x;",
    ),
    case(
        "one of two deleted rows",
        ITEM,
        "DELETE FROM item WHERE id < 3;",
        "INSERT INTO item VALUES (1, 'pen', 3, 'blue');",
    ),
    case(
        "a deleted row with another value",
        ITEM,
        "DELETE FROM item WHERE id = 1;",
        "INSERT INTO item VALUES (1, 'pen', 3, 'Blue');",
    ),
    case(
        "a deleted row under another key",
        ITEM,
        "DELETE FROM item WHERE id = 1;",
        "INSERT INTO item (name, price, note) VALUES ('pen', 3, 'blue');",
    ),
    case("every row deleted", ITEM, "INSERT INTO item VALUES (4, 'nib', 1, NULL);", "DELETE FROM item;"),
    case(
        "an inserted row left",
        ITEM,
        "INSERT INTO item VALUES (4, 'nib', 1, NULL), (5, 'pad', 1, NULL);",
        "DELETE FROM item WHERE id = 4;",
    ),
    case(
        "a row that was there deleted too",
        ITEM,
        "INSERT INTO item VALUES (4, 'nib', 7, NULL);",
        "DELETE FROM item WHERE price = 7;",
    ),
    case(
        "INSERT OR REPLACE over a row",
        ITEM,
        "INSERT OR REPLACE INTO item VALUES (1, 'nib', 1, NULL);",
        "DELETE FROM item WHERE id = 1;",
    ),
    case(
        "rows deleted by a cascade",
        PAIR,
        "DELETE FROM pet; DELETE FROM owner WHERE id = 1;",
        "INSERT INTO owner VALUES (1, 'ann');",
    ),
    case(
        "NULL turned into an empty text",
        ITEM,
        "UPDATE item SET note = '-' WHERE note IS NULL;",
        "UPDATE item SET note = '' WHERE note = '-';",
    ),
    case(
        "a number turned into a text",
        "CREATE TABLE t (a); INSERT INTO t VALUES (1);",
        "UPDATE t SET a = 2;",
        "UPDATE t SET a = '1';",
    ),
    case(
        "case lost",
        "CREATE TABLE t (a); INSERT INTO t VALUES ('Ann');",
        "UPDATE t SET a = upper(a);",
        "UPDATE t SET a = lower(a);",
    ),
    case(
        "a rounded number",
        "CREATE TABLE t (a REAL); INSERT INTO t VALUES (1.25);",
        "UPDATE t SET a = round(a, 1);",
        "UPDATE t SET a = a + 0.05;",
    ),
    case(
        "the sequence of AUTOINCREMENT",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t (a) VALUES (1);",
        "INSERT INTO t (a) VALUES (2);",
        "DELETE FROM t WHERE a = 2;",
    ),
    case("what a trigger wrote", SEEN, "DELETE FROM t WHERE a = 1;", "INSERT INTO t VALUES (1, 'x', 'one');"),
    case(
        "a table dropped and made again empty",
        ITEM,
        "DROP TABLE item;",
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER DEFAULT 10, note TEXT);",
    ),
    case(
        "rows doubled",
        "CREATE TABLE t (a); INSERT INTO t VALUES (1);",
        "CREATE TABLE keep AS SELECT * FROM t;",
        "INSERT INTO t SELECT * FROM keep; DROP TABLE keep;",
    ),
    case(
        "values of two columns exchanged once",
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2);",
        "UPDATE t SET a = b, b = a;",
        "UPDATE t SET a = b;",
    ),
    case(
        "time stamped by the roll-back",
        "CREATE TABLE t (a, changed); INSERT INTO t VALUES (1, '2020-01-01');",
        "UPDATE t SET a = 2;",
        "UPDATE t SET a = 1, changed = datetime('now');",
    ),
    case(
        "text trimmed",
        "CREATE TABLE t (a); INSERT INTO t VALUES (' x ');",
        "UPDATE t SET a = 'pre' || a;",
        "UPDATE t SET a = trim(substr(a, 4));",
    ),
];

const AGAIN: &[Case] = &[
    case(
        "row numbers that the roll-back deals anew",
        "CREATE TABLE t (a); INSERT INTO t VALUES ('gone'), ('x'), ('y'); DELETE FROM t WHERE a = 'gone';",
        "ALTER TABLE t ADD COLUMN n; UPDATE t SET n = rowid;",
        "CREATE TABLE new (a); INSERT INTO new SELECT a FROM t; DROP TABLE t; ALTER TABLE new RENAME TO t;",
    ),
    case(
        "the next row number",
        "CREATE TABLE t (a); INSERT INTO t VALUES ('x');",
        "INSERT INTO t VALUES ('y'); CREATE TABLE at AS SELECT max(rowid) AS n FROM t;",
        "DELETE FROM t; INSERT INTO t (rowid, a) VALUES (5, 'x'); DROP TABLE at;",
    ),
    case(
        "the order of rows",
        "CREATE TABLE t (a); INSERT INTO t VALUES ('x'), ('y');",
        "CREATE TABLE first AS SELECT a FROM t ORDER BY rowid LIMIT 1;",
        "DROP TABLE first; CREATE TEMP TABLE k AS SELECT a FROM t ORDER BY a DESC; DELETE FROM t; INSERT INTO t SELECT a FROM k;",
    ),
];
