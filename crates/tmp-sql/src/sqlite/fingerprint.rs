//! What a database holds, as comparable digests. The format is in docs/format/fingerprint.md.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

use rusqlite::Connection;
use tmp_core::{
    DatabaseName, Digest,
    database::{DatabaseError, Fingerprint},
    digest::Hasher,
};

use super::{canonical, error::told, rows};
use crate::MARKER_TABLE;

/// Version of the format; part of every schema digest, so that versions never compare equal.
const FORMAT: &[u8] = b"tmp fingerprint 1\n";

/// The fingerprint of what `connection` sees. The caller holds a transaction, so that it is of one
/// instant. Memory does not grow with the rows.
pub(super) fn fingerprint(
    name: &DatabaseName,
    connection: &Connection,
) -> Result<Fingerprint, DatabaseError> {
    let said = told(name, "reading its fingerprint");
    Ok(Fingerprint {
        schema: schema(connection).map_err(&said)?,
        data: rows::tables(connection).map_err(&said)?,
    })
}

/// Each schema object with the digest of its definition.
pub(super) fn schema(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Digest>> {
    let mut objects = BTreeMap::new();
    for pragma in ["application_id", "auto_vacuum", "encoding", "user_version"] {
        let value: rusqlite::types::Value =
            connection.query_row(&format!("PRAGMA main.{pragma}"), [], |row| row.get(0))?;
        objects.insert(format!("pragma {pragma}"), digest(format!("{value:?}").as_bytes()));
    }
    let mut statement = connection.prepare(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_schema \
         WHERE lower(tbl_name) <> ?1 AND name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' AND name <> 'sqlite_sequence'",
    )?;
    let mut rows = statement.query([MARKER_TABLE])?;
    while let Some(row) = rows.next()? {
        let (kind, name, table): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let sql: Option<String> = row.get(3)?;
        let (key, digest) = match sql {
            Some(sql) => (format!("{kind} {name}"), definition(sql)),
            None => automatic_index(connection, &name, &table)?,
        };
        objects.insert(key, digest);
    }
    Ok(objects)
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// The digest of a definition. It says nothing but what its text says, and most definitions are the same
/// from one migration to the next: it is worked out once for each text.
fn definition(sql: String) -> Digest {
    KNOWN.with_borrow_mut(|known| {
        if let Some(digest) = known.digests.get(&sql) {
            return *digest;
        }
        let digest = digest(&canonical::definition(&sql));
        if known.bytes + sql.len() > MOST_KNOWN {
            *known = Known::default();
        }
        known.bytes += sql.len();
        known.digests.insert(sql, digest);
        digest
    })
}

/// The most bytes of definitions that are remembered.
const MOST_KNOWN: usize = 8 << 20;

/// Definitions whose digests are known.
#[derive(Default)]
struct Known {
    digests: HashMap<String, Digest>,
    bytes: usize,
}

fn digest(definition: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(FORMAT);
    hasher.update(definition);
    hasher.finish()
}

/// An index that a constraint made has a name that SQLite counts up; its columns tell it apart.
fn automatic_index(connection: &Connection, name: &str, table: &str) -> rusqlite::Result<(String, Digest)> {
    let mut statement = connection.prepare(
        "SELECT coalesce(name, ''), coll, \"desc\" FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno",
    )?;
    let mut rows = statement.query([name])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        let (column, collation): (String, String) = (row.get(0)?, row.get(1)?);
        let order = if row.get(2)? { " DESC" } else { "" };
        columns.push(format!("{column} COLLATE {collation}{order}"));
    }
    let key = format!("automatic index {table}({})", columns.join(", "));
    let digest = digest(key.as_bytes());
    Ok((key, digest))
}
