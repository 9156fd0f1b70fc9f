//! What the system is, seen without any of TMP's own eyes: every path with type, content, mode, owner
//! and modification time, and a digest of the schema and the rows of the database.

use std::{collections::BTreeMap, fs, io, os::unix::fs::MetadataExt as _, path::Path};

use camino::Utf8Path;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use tmp_core::{Digest, digest::Hasher};

use crate::failure::Failure;

/// The system at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    paths: BTreeMap<String, String>,
    database: BTreeMap<String, Digest>,
}

/// What differs between two moments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Differences {
    /// Paths compared.
    pub(super) compared: usize,
    /// Tables and other objects of the schema compared.
    pub(super) objects: usize,
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) database: Vec<String>,
}

impl Differences {
    /// Whether there are none.
    pub(super) fn none(&self) -> bool {
        self.added.is_empty()
            && self.changed.is_empty()
            && self.removed.is_empty()
            && self.database.is_empty()
    }
}

impl Seen {
    /// Looks at the system in `dir`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn now(dir: &Utf8Path) -> Result<Self, Failure> {
        let mut paths = BTreeMap::new();
        let root = dir.join("live");
        walk(root.as_std_path(), ".", &mut paths).map_err(Failure::unexpected)?;
        let database = database(&dir.join("data/billing.db")).map_err(Failure::unexpected)?;
        Ok(Self { paths, database })
    }

    /// What became of it.
    pub(super) fn until(&self, after: &Self) -> Differences {
        let only = |these: &Self, others: &Self| {
            these.paths.keys().filter(|path| !others.paths.contains_key(*path)).cloned().collect()
        };
        let changed = |(path, before): (&String, &String)| {
            after.paths.get(path).is_some_and(|after| after != before).then(|| path.clone())
        };
        let names: std::collections::BTreeSet<_> =
            self.database.keys().chain(after.database.keys()).collect();
        let differs = |name: &&&String| self.database.get(**name) != after.database.get(**name);
        Differences {
            compared: self.paths.len().max(after.paths.len()),
            objects: names.len(),
            added: only(after, self),
            changed: self.paths.iter().filter_map(changed).collect(),
            removed: only(self, after),
            database: names.iter().filter(differs).map(|name| (*name).clone()).collect(),
        }
    }
}

fn walk(path: &Path, name: &str, paths: &mut BTreeMap<String, String>) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    let content = if meta.is_symlink() {
        format!("symlink to {}", fs::read_link(path)?.display())
    } else if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let inner = format!("{name}/{}", entry.file_name().to_string_lossy());
            walk(&entry.path(), &inner, paths)?;
        }
        "directory".to_owned()
    } else {
        Digest::of(&fs::read(path)?).to_string()
    };
    let (mode, owner, group) = (meta.mode(), meta.uid(), meta.gid());
    let (seconds, nanoseconds) = (meta.mtime(), meta.mtime_nsec());
    paths.insert(name.to_owned(), format!("{mode:o} {owner}:{group} {seconds}.{nanoseconds:09} {content}"));
    Ok(())
}

/// Every object of the schema with its definition and, for a table, its rows; without TMP's own table.
fn database(path: &Utf8Path) -> rusqlite::Result<BTreeMap<String, Digest>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut schema = connection.prepare(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_schema
         WHERE name NOT LIKE 'tmp\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
           AND tbl_name NOT LIKE 'tmp\\_%' ESCAPE '\\'",
    )?;
    let objects: Vec<(String, String, String)> =
        schema.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    let mut found = BTreeMap::new();
    for (kind, name, sql) in objects {
        let mut hasher = Hasher::new();
        hasher.update(sql.as_bytes());
        if kind == "table" {
            rows(&connection, &name, &mut hasher)?;
        }
        found.insert(format!("{kind} {name}"), hasher.finish());
    }
    Ok(found)
}

fn rows(connection: &Connection, table: &str, hasher: &mut Hasher) -> rusqlite::Result<()> {
    let quoted = table.replace('"', "\"\"");
    let mut statement = connection.prepare(&format!("SELECT * FROM \"{quoted}\" ORDER BY 1, 2"))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            hasher.update(format!("{:?}\u{1f}", row.get_ref(column)?).as_bytes());
        }
        hasher.update(b"\x1e");
    }
    Ok(())
}
