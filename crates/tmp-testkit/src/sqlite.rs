//! What an SQLite database holds, read without touching it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, types::ValueRef};

use crate::context::Context;

/// The table in which TMP marks a migration: no part of what a database holds for its users.
const MARKER: &str = "tmp_marker";

/// Everything a database holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatabaseDump {
    /// Values of the header: user version, application id, encoding.
    pub header: BTreeMap<&'static str, String>,
    /// The schema: type, name, table and SQL text of each object, white space as it is.
    pub schema: Vec<(String, String, String, Option<String>)>,
    /// The rows of each table, one text each, sorted.
    pub rows: BTreeMap<String, Vec<String>>,
}

/// Makes a new database and runs `scripts` in it, in order.
///
/// # Errors
/// The file is there already, or a script fails; the text says which.
pub fn build<'a>(database: &Path, scripts: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    fs::File::create_new(database).context("make", database.display())?;
    let connection = Connection::open(database).map_err(io::Error::other)?;
    for (number, script) in scripts.into_iter().enumerate() {
        connection.execute_batch(script).map_err(io::Error::other).context("run script", number + 1)?;
    }
    connection.close().map_err(|(_, error)| io::Error::other(error))
}

/// Reads everything a database holds. The file and its side files are copied first and the copy is opened,
/// so the original, its locks and its side files stay as they are; a journal that an interrupted process
/// left is played back in the copy. Nobody may write meanwhile.
///
/// # Errors
/// The files cannot be copied, or the copy is no healthy database; the text says which.
pub fn dump(database: &Path) -> io::Result<DatabaseDump> {
    let scratch = tempfile::tempdir()?;
    let copy = scratch.path().join("copy");
    for side in ["", "-wal", "-journal"] {
        let from = beside(database, side);
        if side.is_empty() || from.exists() {
            fs::copy(&from, beside(&copy, side)).context("copy", from.display())?;
        }
    }
    read(&copy).map_err(|error| io::Error::other(format!("cannot read {}: {error}", database.display())))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn read(copy: &Path) -> rusqlite::Result<DatabaseDump> {
    let connection = Connection::open(copy)?;
    let mut dump = DatabaseDump::default();
    let health: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    dump.header.insert("integrity_check", health);
    for name in ["user_version", "application_id", "encoding"] {
        let value = connection.pragma_query_value(None, name, |row| row.get_ref(0).map(text))?;
        dump.header.insert(name, value);
    }
    let mut objects = connection.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE tbl_name <> ?1 ORDER BY type, name",
    )?;
    dump.schema = objects
        .query_map([MARKER], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    for (_, table, ..) in dump.schema.iter().filter(|(kind, ..)| kind == "table") {
        dump.rows.insert(table.clone(), rows(&connection, table)?);
    }
    Ok(dump)
}

fn rows(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let quoted = table.replace('"', "\"\"");
    let mut statement = connection.prepare(&format!("SELECT * FROM \"{quoted}\""))?;
    let width = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let values: Result<Vec<_>, _> = (0..width).map(|column| row.get_ref(column).map(text)).collect();
        found.push(values?.join(", "));
    }
    // TMP's own table must not show through the counters of AUTOINCREMENT either.
    if table == "sqlite_sequence" {
        found.retain(|row| !row.starts_with(&format!("{MARKER:?}")));
    }
    found.sort();
    Ok(found)
}

/// A value with its type, so that 1, 1.0 and '1' differ.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => format!("{value:?}r"),
        ValueRef::Text(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        ValueRef::Blob(bytes) => format!("x\"{}\"", bytes.escape_ascii()),
    }
}

/// What differs, one line each, for people; empty when nothing does.
pub fn diff(before: &DatabaseDump, after: &DatabaseDump) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in &before.header {
        let now = after.header.get(name);
        if now != Some(value) {
            lines.push(format!("{name}: {value} -> {}", now.map_or("nothing", String::as_str)));
        }
    }
    let object = |(kind, name, _, sql): &(String, String, String, Option<String>)| {
        format!("{kind} {name}: {}", sql.as_deref().unwrap_or("implied"))
    };
    only(&before.schema, &after.schema).for_each(|lost| lines.push(format!("schema lost {}", object(lost))));
    only(&after.schema, &before.schema).for_each(|new| lines.push(format!("schema gained {}", object(new))));
    let none = Vec::new();
    let tables: std::collections::BTreeSet<_> = before.rows.keys().chain(after.rows.keys()).collect();
    for table in tables {
        let (old, new) = (before.rows.get(table).unwrap_or(&none), after.rows.get(table).unwrap_or(&none));
        if old == new {
            continue;
        }
        lines.push(format!("{table}: {} rows -> {} rows", old.len(), new.len()));
        only(old, new).take(5).for_each(|row| lines.push(format!("{table} lost ({row})")));
        only(new, old).take(5).for_each(|row| lines.push(format!("{table} gained ({row})")));
    }
    lines
}

fn only<'a, T: Ord>(these: &'a [T], others: &'a [T]) -> impl Iterator<Item = &'a T> {
    let others: std::collections::BTreeSet<_> = others.iter().collect();
    these.iter().filter(move |item| !others.contains(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "CREATE TABLE invoice (id INTEGER PRIMARY KEY AUTOINCREMENT, amount, note TEXT);
        CREATE INDEX by_amount ON invoice (amount);
        INSERT INTO invoice (amount, note) VALUES (1, 'a'), (2, NULL), (2.0, x'00ff');";

    fn database(journal: &str) -> (tempfile::TempDir, PathBuf, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("main.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", journal).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        (dir, path, connection)
    }

    #[test]
    fn every_change_of_schema_and_data_is_seen() {
        for (sql, seen) in [
            ("UPDATE invoice SET amount = '1' WHERE id = 1", "invoice gained (1, \"1\", \"a\")"),
            ("UPDATE invoice SET amount = 1.0 WHERE id = 1", "invoice gained (1, 1.0r, \"a\")"),
            ("DROP INDEX by_amount", "schema lost index by_amount"),
            ("ALTER TABLE invoice ADD fee", "schema gained table invoice"),
            ("DELETE FROM invoice", "invoice: 3 rows -> 0 rows"),
            ("UPDATE sqlite_sequence SET seq = 9", "sqlite_sequence gained (\"invoice\", 9)"),
            ("PRAGMA user_version = 4", "user_version: 0 -> 4"),
        ] {
            let (_dir, path, connection) = database("delete");
            let before = dump(&path).unwrap();
            connection.execute_batch(sql).unwrap();
            let lines = diff(&before, &dump(&path).unwrap());
            assert!(lines.iter().any(|line| line.starts_with(seen)), "{sql}: {lines:?}");
        }
    }

    #[test]
    fn the_marker_is_no_part_of_it() {
        let (_dir, path, connection) = database("delete");
        let before = dump(&path).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE tmp_marker (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE);
                INSERT INTO tmp_marker (id) VALUES ('x');",
            )
            .unwrap();
        assert_eq!(diff(&before, &dump(&path).unwrap()), Vec::<String>::new());
    }

    #[test]
    fn the_write_ahead_log_counts_and_nothing_is_touched() {
        let (dir, path, connection) = database("wal");
        connection.execute_batch("INSERT INTO invoice (amount) VALUES (77)").unwrap();
        let before = crate::walk::fingerprint(dir.path()).unwrap();
        let seen = dump(&path).unwrap();
        assert_eq!(seen.rows.get("invoice").unwrap().len(), 4);
        assert_eq!(
            crate::walk::diff(&before, &crate::walk::fingerprint(dir.path()).unwrap()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn no_database_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        fs::write(&path, "this is no database, whatever its name says, and is long enough to be one")
            .unwrap();
        assert!(dump(&path).unwrap_err().to_string().starts_with("cannot read"));
        assert!(dump(&dir.path().join("absent")).unwrap_err().to_string().starts_with("cannot copy"));
    }
}
