//! The seam to a database.
//!
//! A [`Database`] is one dedicated connection and what the engine asks of it. The calls come in this
//! order, and an implementation may refuse any other with [`DatabaseError::Misuse`]:
//!
//! * a migration: `inspect`, `ready`, `copy_to`, `begin`, (`apply`, `verify`)…, `mark`, `fingerprint`, then
//!   `commit` or `abandon`; later `run_alone`…;
//! * after a COMMIT that failed, and in recovery: `settle`, then `release`;
//! * a compensation: `undo`, else `restore_from`; `release` at the end.

use std::{collections::BTreeMap, fmt, path::Path};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::{DatabaseName, Digest, MigrationId, enhancement::DatabaseEngine};

/// A database that a migration can change and take back.
pub trait Database: Send {
    /// The name enhancements use.
    fn name(&self) -> &DatabaseName;

    /// Which engine answers.
    fn engine(&self) -> DatabaseEngine;

    /// The files that hold the database, side files included: never modules. Absolute; empty for a
    /// database that a server holds.
    fn files(&self) -> Vec<Utf8PathBuf>;

    /// Reaches the database and says what it is. Changes nothing.
    ///
    /// # Errors
    /// It cannot be reached, or nothing safe can be done with it.
    fn inspect(&mut self) -> Result<DatabaseFacts, DatabaseError>;

    /// Makes sure that a migration could change it now: takes the lock, waiting for it as long as for any
    /// other, and gives it back. Changes nothing.
    ///
    /// # Errors
    /// [`DatabaseError::Busy`] when somebody holds the lock past the timeout; else it cannot be reached.
    fn ready(&mut self) -> Result<(), DatabaseError>;

    /// Writes a consistent copy to the new file `path` by the engine's own method and remembers the
    /// version that was copied. The copy is not yet durable when this returns.
    ///
    /// # Errors
    /// The database cannot be read or the file not be written; `path` may hold part of a copy.
    fn copy_to(&mut self, path: &Path) -> Result<(), DatabaseError>;

    /// Opens the migration's transaction and keeps everybody else from writing. Answers the
    /// fingerprint before any change.
    ///
    /// # Errors
    /// [`DatabaseError::Moved`] when somebody wrote since `copy_to`; else busy or unreachable.
    /// No transaction is open then.
    fn begin(&mut self) -> Result<Fingerprint, DatabaseError>;

    /// Runs every statement of `script` in the open transaction.
    ///
    /// # Errors
    /// The first statement that failed, or that would have left the transaction. The transaction is
    /// still to be abandoned.
    fn apply(&mut self, script: &SqlText<'_>) -> Result<(), DatabaseError>;

    /// Runs a verify script in a savepoint that is rolled back. With `assert`, every value of every
    /// row it returns must be true.
    ///
    /// # Errors
    /// A statement failed or a value is not true.
    fn verify(&mut self, script: &SqlText<'_>, assert: bool) -> Result<(), DatabaseError>;

    /// Checks what is deferred to COMMIT, then writes TMP's marker row, last.
    ///
    /// # Errors
    /// A constraint does not hold, or the row cannot be written.
    fn mark(&mut self, marker: &Marker) -> Result<(), DatabaseError>;

    /// The fingerprint as the open transaction sees it, or as it is when none is open.
    ///
    /// # Errors
    /// The database cannot be read.
    fn fingerprint(&mut self) -> Result<Fingerprint, DatabaseError>;

    /// Commits. On success the change and the marker are durable.
    ///
    /// # Errors
    /// Whether it committed is unknown: ask [`Database::settle`].
    fn commit(&mut self) -> Result<(), DatabaseError>;

    /// Rolls the open transaction back, if one is open, and lets others in.
    ///
    /// # Errors
    /// The connection is of no use any more; the engine rolls back by itself once it is closed.
    fn abandon(&mut self) -> Result<(), DatabaseError>;

    /// Finds out whether the marked transaction committed, makes the answer durable, and keeps it
    /// true (nobody else writes, no late COMMIT can land) until [`Database::release`].
    ///
    /// # Errors
    /// The database cannot be asked: in doubt.
    fn settle(&mut self, marker: &Marker) -> Result<Settled, DatabaseError>;

    /// In one transaction: runs the roll-back scripts, removes the marker, compares with the
    /// fingerprint before the migration (schema exactly; data exactly where nobody else wrote), and
    /// commits. With the marker gone already it changes nothing and answers `Undone::Before`.
    ///
    /// # Errors
    /// A script failed or the result is not what was before ([`DatabaseError::NotRestored`]). The
    /// transaction is rolled back: the database is as it was when `undo` was called.
    fn undo(&mut self, undo: &Undo<'_>) -> Result<Undone, DatabaseError>;

    /// Puts the copy at `path` back as one transaction, so that a crash leaves either all of it or
    /// none. Refused when somebody else wrote since COMMIT (`committed` differs from what is there).
    /// Without a marker there it changes nothing.
    ///
    /// # Errors
    /// [`DatabaseError::WrittenSince`], or the copy cannot be put back; the database is unchanged.
    fn restore_from(
        &mut self,
        path: &Path,
        marker: &Marker,
        committed: &Fingerprint,
    ) -> Result<Undone, DatabaseError>;

    /// Writes a script that makes the named objects what they are in the copy at `path`: tables with their
    /// rows, and whatever else the fingerprint names. It runs in a transaction like any other; whoever runs
    /// it compares. Reads the copy alone.
    ///
    /// # Errors
    /// The copy cannot be read, or no script gives one of the objects back.
    fn script_from(&mut self, path: &Path, objects: &FingerprintDifferences)
    -> Result<String, DatabaseError>;

    /// Runs one statement outside of any transaction.
    ///
    /// # Errors
    /// It failed; what it did until then stays.
    fn run_alone(&mut self, script: &SqlText<'_>) -> Result<(), DatabaseError>;

    /// Ends whatever [`Database::settle`] holds and closes the connection; the next call opens a new
    /// one. Never fails: what cannot be closed in order is dropped.
    fn release(&mut self);
}

/// What [`Database::inspect`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Engine and version, for people.
    pub version: String,
    /// Bytes a copy will take, about.
    pub size: u64,
    /// Peculiarities worth a line in the plan, such as the journal mode.
    pub notes: Vec<String>,
    /// The schema, as in [`Fingerprint::schema`]; `None` where it could not be read without a trace.
    pub schema: Option<BTreeMap<String, Digest>>,
}

/// The text of a script with its name for error messages.
#[derive(Debug, Clone, Copy)]
pub struct SqlText<'a> {
    /// Where it came from.
    pub name: &'a str,
    /// The SQL.
    pub text: &'a str,
}

/// Proof inside a database that a migration committed there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The migration.
    pub migration: MigrationId,
    /// What it carried.
    pub payload: Digest,
    /// A secret that scripts cannot know: 32 hexadecimal digits, journaled before it is used.
    pub nonce: String,
}

/// Whether a marked transaction committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The marker is there, with our nonce.
    Committed,
    /// It is not, and cannot appear any more.
    NotCommitted,
}

/// What a compensation of a database needs.
#[derive(Debug)]
pub struct Undo<'a> {
    /// The migration's marker.
    pub marker: &'a Marker,
    /// Roll-back scripts in the order they are to run: newest first.
    pub scripts: &'a [SqlText<'a>],
    /// The fingerprint before the migration.
    pub before: &'a Fingerprint,
    /// The fingerprint just before COMMIT: while it holds, nobody else wrote.
    pub committed: &'a Fingerprint,
}

/// What an undo left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undone {
    /// Schema and data are exactly as before.
    Exact,
    /// The schema is exactly as before; others wrote rows since, so the data was not compared.
    SchemaOnly,
    /// The marker was gone: it was undone before.
    Before,
}

/// What a database holds, as comparable digests. TMP's own table is no part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Each schema object, `kind name`, with the digest of its canonical definition.
    pub schema: BTreeMap<String, Digest>,
    /// Each table with its rows.
    pub data: BTreeMap<String, TableFingerprint>,
}

/// The rows of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFingerprint {
    /// How many.
    pub rows: u64,
    /// The sum of the rows' digests, independent of their order.
    pub digest: Digest,
}

impl Fingerprint {
    /// The names of schema objects that differ between the two, and of tables whose rows do.
    pub fn differences(&self, other: &Self) -> FingerprintDifferences {
        FingerprintDifferences {
            schema: differing(&self.schema, &other.schema),
            data: differing(&self.data, &other.data),
        }
    }
}

fn differing<V: PartialEq>(a: &BTreeMap<String, V>, b: &BTreeMap<String, V>) -> Vec<String> {
    let mut names: Vec<_> =
        a.keys().chain(b.keys()).filter(|name| a.get(*name) != b.get(*name)).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What differs between two fingerprints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct FingerprintDifferences {
    /// Schema objects.
    pub schema: Vec<String>,
    /// Tables whose rows differ.
    pub data: Vec<String>,
}

impl FingerprintDifferences {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.schema.is_empty() && self.data.is_empty()
    }
}

impl fmt::Display for FingerprintDifferences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.schema.as_slice(), self.data.as_slice()) {
            ([], []) => f.write_str("nothing differs"),
            (schema, []) => write!(f, "schema differs: {}", schema.join(", ")),
            ([], data) => write!(f, "rows differ: {}", data.join(", ")),
            (schema, data) => {
                write!(f, "schema differs: {}; rows differ: {}", schema.join(", "), data.join(", "))
            }
        }
    }
}

/// Why a database did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// It cannot be reached or opened.
    #[error("database {database} cannot be reached: {message}")]
    Unreachable {
        /// Which one.
        database: DatabaseName,
        /// What it said.
        message: String,
    },
    /// Somebody held it past the timeout.
    #[error("database {database} is busy: {message}")]
    Busy {
        /// Which one.
        database: DatabaseName,
        /// What it said.
        message: String,
    },
    /// Somebody wrote between the archive and the transaction.
    #[error("database {database} was written to after it was archived")]
    Moved {
        /// Which one.
        database: DatabaseName,
    },
    /// A statement failed.
    #[error("{script}, line {line}, statement {statement}: {message}")]
    Statement {
        /// The script.
        script: String,
        /// The statement's line in it, from 1.
        line: u64,
        /// The statement's number in it, from 1.
        statement: usize,
        /// What the database said.
        message: String,
    },
    /// A statement is one that no script may run.
    #[error("{script}, line {line}, statement {statement}: {what} is refused: {why}")]
    Refused {
        /// The script.
        script: String,
        /// The statement's line in it, from 1.
        line: u64,
        /// The statement's number in it, from 1.
        statement: usize,
        /// The statement, named.
        what: String,
        /// Why, and what to do instead.
        why: String,
    },
    /// A verify script returned something that is not true.
    #[error("{script}, line {line}, statement {statement}: {column} is {value}, not true")]
    NotTrue {
        /// The script.
        script: String,
        /// The statement's line in it, from 1.
        line: u64,
        /// The statement's number in it, from 1.
        statement: usize,
        /// The column.
        column: String,
        /// The value.
        value: String,
    },
    /// A constraint that is checked at COMMIT does not hold.
    #[error("database {database}: {message}")]
    Constraint {
        /// Which one.
        database: DatabaseName,
        /// Which constraint, and the rows.
        message: String,
    },
    /// After the roll-back scripts the database is not what it was before.
    #[error("database {database}: the roll-back scripts do not restore it: {differences}")]
    NotRestored {
        /// Which one.
        database: DatabaseName,
        /// What differs.
        differences: FingerprintDifferences,
    },
    /// Restoring the copy would lose what others wrote.
    #[error(
        "database {database} was written to since the migration committed ({differences}); restoring the archive would lose that"
    )]
    WrittenSince {
        /// Which one.
        database: DatabaseName,
        /// Where it was written.
        differences: FingerprintDifferences,
    },
    /// There is no room on its disk for what was asked, which did not happen. It may be asked again.
    #[error("{doing}: there is no room on the disk of the database: {message}")]
    NoRoom {
        /// What was asked, and of which database or in which script.
        doing: String,
        /// What the database said.
        message: String,
    },
    /// Its disk failed. What is durable is unknown: whoever opens it anew finds out.
    #[error("{doing}: the disk of the database failed: {message}")]
    Disk {
        /// What was asked, and of which database or in which script.
        doing: String,
        /// What the database said.
        message: String,
    },
    /// Anything else the engine said.
    #[error("database {database}, {doing}: {message}")]
    Engine {
        /// Which one.
        database: DatabaseName,
        /// What TMP was doing.
        doing: &'static str,
        /// What the database said.
        message: String,
    },
    /// A call that does not fit the order of calls.
    #[error("database {database}: {doing} out of order")]
    Misuse {
        /// Which one.
        database: DatabaseName,
        /// The call.
        doing: &'static str,
    },
}
