//! Foreign keys: checked before COMMIT, since they are not enforced while scripts run.

use std::{collections::BTreeMap, fmt};

use rusqlite::Connection;
use tmp_core::{DatabaseName, database::DatabaseError};

use super::error::{message, told};

/// Rows that refer to nothing, by the table they are in.
#[derive(Debug)]
pub(super) struct Violations(BTreeMap<String, Broken>);

#[derive(Debug)]
enum Broken {
    /// By the table that is referred to: how many rows, and some of them.
    Rows(BTreeMap<String, Rows>),
    /// SQLite cannot even check it, for instance because the parent's key is not unique.
    Uncheckable(String),
}

#[derive(Debug, Default)]
struct Rows {
    count: u64,
    examples: Vec<String>,
}

impl Violations {
    /// Checks every table.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'",
        )?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let mut tables = BTreeMap::new();
        for name in names {
            match broken_rows(connection, &name) {
                Ok(rows) if rows.is_empty() => {}
                Ok(rows) => drop(tables.insert(name, Broken::Rows(rows))),
                Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) => {
                    tables.insert(name, Broken::Uncheckable(message(&error)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self(tables))
    }

    /// Whether every row refers to something.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses rows that refer to nothing and did not before.
    pub(super) fn refuse_more(
        &self,
        name: &DatabaseName,
        connection: &Connection,
    ) -> Result<(), DatabaseError> {
        let now = Self::read(connection).map_err(told(name, "checking foreign keys"))?;
        let more =
            Self(now.0.into_iter().filter(|(table, broken)| broken.exceeds(self.0.get(table))).collect());
        if more.is_empty() {
            return Ok(());
        }
        Err(DatabaseError::Constraint {
            database: name.clone(),
            message: format!("foreign keys that held before do not hold any more: {more}"),
        })
    }
}

impl Broken {
    fn exceeds(&self, before: Option<&Self>) -> bool {
        match (self, before) {
            (_, Some(Self::Uncheckable(_))) => false,
            (_, None) | (Self::Uncheckable(_), Some(Self::Rows(_))) => true,
            (Self::Rows(now), Some(Self::Rows(before))) => now
                .iter()
                .any(|(parent, rows)| rows.count > before.get(parent).map_or(0, |before| before.count)),
        }
    }
}

fn broken_rows(connection: &Connection, table: &str) -> rusqlite::Result<BTreeMap<String, Rows>> {
    let mut statement =
        connection.prepare("SELECT parent, rowid FROM pragma_foreign_key_check(?1, 'main')")?;
    let mut rows = statement.query([table])?;
    let mut parents: BTreeMap<String, Rows> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (parent, rowid): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
        let rows = parents.entry(parent).or_default();
        rows.count += 1;
        if rows.examples.len() < 3 {
            rows.examples.extend(rowid.map(|rowid| rowid.to_string()));
        }
    }
    Ok(parents)
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (table, broken) in &self.0 {
            match broken {
                Broken::Uncheckable(why) => write!(f, "{separator}{table}: {why}")?,
                Broken::Rows(parents) => {
                    for (parent, rows) in parents {
                        write!(f, "{separator}{} in {table} without its {parent}", rows.count)?;
                        if !rows.examples.is_empty() {
                            write!(f, " (rowid {})", rows.examples.join(", "))?;
                        }
                        separator = "; ";
                    }
                }
            }
            separator = "; ";
        }
        Ok(())
    }
}
