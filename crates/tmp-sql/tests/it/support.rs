//! A database in a folder of its own, and a second pair of eyes.

use std::{path::PathBuf, process::Command, time::Duration};

use camino::Utf8PathBuf;
use rusqlite::{Connection, types::ValueRef};
use tempfile::TempDir;
use tmp_core::{
    Digest, MigrationId,
    database::{Database as _, DatabaseError, Fingerprint, Marker, SqlText},
};
use tmp_sql::SqliteDatabase;

/// Which journal a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Delete,
    Wal,
}

pub(crate) const MODES: [Mode; 2] = [Mode::Delete, Mode::Wal];

pub(crate) const SHOP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT DEFAULT 'Köln');
    CREATE TABLE invoice (id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER REFERENCES customer(id) ON DELETE CASCADE,
                          cents INTEGER CHECK (cents >= 0), note TEXT UNIQUE);
    CREATE INDEX invoice_customer ON invoice(customer);
    CREATE VIEW total AS SELECT customer, sum(cents) AS cents FROM invoice GROUP BY customer;
    CREATE TRIGGER no_negative BEFORE UPDATE ON invoice WHEN new.cents < 0 BEGIN SELECT RAISE(ABORT, 'negative'); END;
    INSERT INTO customer VALUES (1, 'Ada', 'London'), (2, 'Blaise', 'Paris'), (3, 'Carl', NULL);
    INSERT INTO invoice(customer, cents, note) VALUES (1, 100, 'a'), (1, 250, 'b'), (2, 0, NULL);
";

pub(crate) struct Shop {
    pub(crate) folder: TempDir,
    pub(crate) mode: Mode,
}

impl Shop {
    pub(crate) fn new(mode: Mode) -> Self {
        Self::with(mode, SHOP)
    }

    pub(crate) fn with(mode: Mode, sql: &str) -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap(), mode };
        let connection = Connection::open(shop.file()).unwrap();
        if mode == Mode::Wal {
            connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        }
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        shop
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn target(&self) -> SqliteDatabase {
        target(self.file())
    }

    /// Another application's connection.
    pub(crate) fn other(&self) -> Connection {
        let connection = Connection::open(self.file()).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        connection
    }

    /// The file's bytes; only while no connection of this process is open.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).unwrap()
    }

    pub(crate) fn dump(&self) -> String {
        dump(&self.other())
    }

    /// Archives, begins, applies, marks; answers the fingerprints before and just before COMMIT.
    pub(crate) fn prepare(&self, target: &mut SqliteDatabase, sql: &str) -> (Fingerprint, Fingerprint) {
        target.copy_to(&self.path("copy.db")).unwrap();
        let before = target.begin().unwrap();
        target.apply(&text(sql)).unwrap();
        target.mark(&marker(1)).unwrap();
        let committed = target.fingerprint().unwrap();
        (before, committed)
    }

    /// The same and commits.
    pub(crate) fn migrate(&self, sql: &str) -> (SqliteDatabase, Fingerprint, Fingerprint) {
        let mut target = self.target();
        let (before, committed) = self.prepare(&mut target, sql);
        target.commit().unwrap();
        (target, before, committed)
    }

    /// The files as a killed process would leave them, in another folder. `cp` reads them, since closing
    /// a descriptor here would drop the locks of this process.
    pub(crate) fn killed(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for end in ["", "-journal", "-wal"] {
            let from = self.path(&format!("shop.db{end}"));
            if from.exists() {
                assert!(Command::new("cp").arg(&from).arg(folder.path()).status().unwrap().success());
            }
        }
        Self { folder, mode: self.mode }
    }

    /// Names of the files beside the database that SQLite left.
    pub(crate) fn side_files(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("shop.db-"))
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn target(file: PathBuf) -> SqliteDatabase {
    SqliteDatabase::new("main".parse().unwrap(), Utf8PathBuf::try_from(file).unwrap())
        .with_busy_timeout(Duration::from_millis(50))
}

pub(crate) fn text(sql: &str) -> SqlText<'_> {
    SqlText { name: "010.sql", text: sql }
}

pub(crate) fn marker(number: u128) -> Marker {
    Marker {
        migration: MigrationId::from_bits(number),
        payload: Digest::of(b"payload"),
        nonce: format!("{:032x}", number * 7),
    }
}

/// Runs a script on a shop of its own and answers what was wrong with it.
pub(crate) fn failure(sql: &str) -> DatabaseError {
    let shop = Shop::new(Mode::Delete);
    let mut target = shop.target();
    target.copy_to(&shop.path("copy.db")).unwrap();
    target.begin().unwrap();
    target.apply(&text(sql)).and_then(|()| target.mark(&marker(1))).unwrap_err()
}

/// Schema and rows in words of SQLite's own, without anything of this crate. White space and quotation
/// marks of the schema are left out.
pub(crate) fn dump(connection: &Connection) -> String {
    let list = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let line: Vec<_> = (0..columns).map(|index| shown(row.get_ref(index).unwrap())).collect();
            lines.push(line.join("|"));
        }
        lines
    };
    let mut lines: Vec<String> = list("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2")
        .into_iter()
        .filter(|line| !line.contains("tmp_marker"))
        .map(|line| line.replace([' ', '\n', '"'], ""))
        .collect();
    let tables = list("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1");
    for name in tables.iter().map(|name| name.trim_matches('\'')).filter(|name| *name != "tmp_marker") {
        lines.push(format!("-- {name}"));
        let mut rows = list(&format!("SELECT * FROM \"{name}\""));
        rows.sort();
        lines.extend(rows);
    }
    for pragma in ["user_version", "application_id", "journal_mode"] {
        lines.push(format!("{pragma} {:?}", list(&format!("PRAGMA {pragma}"))));
    }
    lines.join("\n")
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
        other => format!("{other:?}"),
    }
}
