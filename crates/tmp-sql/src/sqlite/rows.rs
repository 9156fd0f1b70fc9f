//! The rows of every table, counted and summed up.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, types::ValueRef};
use tmp_core::{Digest, database::TableFingerprint, digest::Hasher};

use super::error::message;
use crate::MARKER_TABLE;

/// Modules of virtual tables whose rows are stored in the database. Rows of others are made up when
/// they are asked for.
const STORING: &[&str] = &["fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"];

/// Each table with its rows, by name.
///
/// Virtual tables count with the rows they present. The shadow tables behind them hold the same rows in
/// an arrangement that depends on their history, so they do not count, save for FTS5's settings.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<BTreeMap<String, TableFingerprint>> {
    let mut statement = connection.prepare(
        "SELECT list.name, list.type, coalesce(schema.sql, '') FROM pragma_table_list AS list \
         LEFT JOIN main.sqlite_schema AS schema ON schema.name = list.name AND schema.type = 'table' \
         WHERE list.schema = 'main' AND list.type <> 'view'",
    )?;
    let mut rows = statement.query([])?;
    let mut tables = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (name, kind, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let own = name.to_ascii_lowercase();
        if own == MARKER_TABLE || (own.starts_with("sqlite_") && own != "sqlite_sequence") {
            continue;
        }
        let table = match kind.as_str() {
            "virtual" if STORING.contains(&module(&sql).as_str()) => {
                presented(connection, &name, &module(&sql))
            }
            "virtual" => continue,
            "shadow" if !own.ends_with("_config") => continue,
            _ => sum(connection, &select(connection, &name)?)?,
        };
        // SQLite makes sqlite_sequence with the first AUTOINCREMENT and never takes it away again.
        if own != "sqlite_sequence" || table.rows > 0 {
            tables.insert(name, table);
        }
    }
    Ok(tables)
}

/// `x` of `CREATE VIRTUAL TABLE … USING x(…)`, in lower case.
fn module(sql: &str) -> String {
    let (lexemes, _) = crate::tokens::tokens(tmp_core::enhancement::DatabaseEngine::Sqlite, sql);
    let using = lexemes.iter().position(|lexeme| lexeme.is_word("USING")).map_or(usize::MAX - 1, |at| at);
    lexemes.get(using + 1).and_then(|lexeme| lexeme.name()).unwrap_or_default().to_ascii_lowercase()
}

/// A virtual table that cannot be read, such as one whose content is elsewhere and gone, counts with
/// what SQLite says of it.
fn presented(connection: &Connection, name: &str, module: &str) -> TableFingerprint {
    let rowid = if module.starts_with("fts") { "rowid, " } else { "" };
    let sql = format!("SELECT {rowid}* FROM main.{}", quoted(name));
    sum(connection, &sql)
        .unwrap_or_else(|error| TableFingerprint { rows: 0, digest: Digest::of(message(&error).as_bytes()) })
}

/// Reads the table itself, not an index of it, and no column that is computed on reading.
fn select(connection: &Connection, table: &str) -> rusqlite::Result<String> {
    let mut statement = connection
        .prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden IN (0, 3) ORDER BY cid")?;
    let columns = statement
        .query_map([table], |row| row.get::<_, String>(0))?
        .map(|name| name.map(|name| quoted(&name)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(format!("SELECT {} FROM main.{} NOT INDEXED", columns.join(", "), quoted(table)))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn sum(connection: &Connection, sql: &str) -> rusqlite::Result<TableFingerprint> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut total = Sum::default();
    while let Some(row) = rows.next()? {
        total.add(&digest(row, columns)?);
    }
    Ok(TableFingerprint { rows: total.rows, digest: total.digest() })
}

/// The digest of a row: for each value its class, and its bytes; the length before those of text and
/// blobs. Numbers are big-endian, fractions by their bits (IEEE 754).
fn digest(row: &Row<'_>, columns: usize) -> rusqlite::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut sized = |class: u8, bytes: &[u8]| {
        let mut head = [class; 9];
        let [_, length @ ..] = &mut head;
        *length = (bytes.len() as u64).to_be_bytes();
        hasher.update(&head);
        hasher.update(bytes);
    };
    for index in 0..columns {
        match row.get_ref(index)? {
            ValueRef::Null => sized(0, &[]),
            ValueRef::Integer(number) => sized(1, &number.to_be_bytes()),
            ValueRef::Real(number) => sized(2, &number.to_bits().to_be_bytes()),
            ValueRef::Text(text) => sized(3, text),
            ValueRef::Blob(bytes) => sized(4, bytes),
        }
    }
    Ok(hasher.finish())
}

/// The sum of digests as 256-bit numbers, modulo 2^256: independent of their order, and unlike with
/// exclusive or, two equal rows do not cancel each other.
#[derive(Default)]
struct Sum {
    rows: u64,
    /// Most significant first.
    limbs: [u64; 4],
}

impl Sum {
    fn add(&mut self, digest: &Digest) {
        self.rows += 1;
        let (limbs, _) = digest.as_bytes().as_chunks::<8>();
        let mut carry = false;
        for (own, bytes) in self.limbs.iter_mut().zip(limbs).rev() {
            let (with_carry, first) = own.overflowing_add(u64::from(carry));
            let (total, second) = with_carry.overflowing_add(u64::from_be_bytes(*bytes));
            *own = total;
            carry = first || second;
        }
    }

    fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        for (chunk, limb) in chunks.iter_mut().zip(self.limbs) {
            *chunk = limb.to_be_bytes();
        }
        Digest::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_carries_through_all_limbs_and_wraps() {
        let mut sum = Sum::default();
        sum.add(&Digest::from_bytes([0xff; 32]));
        let mut one = [0; 32];
        one[31] = 1;
        sum.add(&Digest::from_bytes(one));
        assert_eq!((sum.rows, *sum.digest().as_bytes()), (2, [0; 32]));
        sum.add(&Digest::from_bytes(one));
        assert_eq!(*sum.digest().as_bytes(), one);
    }

    #[test]
    fn a_module_is_read_from_its_definition() {
        assert_eq!(module("CREATE VIRTUAL TABLE \"using\" USING FTS5(a, b)"), "fts5");
        assert_eq!(module("CREATE TABLE t(a)"), "");
    }
}
