//! An open connection with the prelude that every use of it relies on.

use std::{path::Path, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};
use tmp_core::{DatabaseName, database::DatabaseError, mutant};

use super::{error::told, foreign_keys::Violations};

/// Where a session is in the order of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No transaction is open.
    Idle,
    /// The migration's transaction is open.
    Migrating,
    /// It holds the marker and takes no further change.
    Marked,
    /// A transaction that changes nothing keeps everybody else from writing.
    Held,
    /// Scripts ran to their COMMIT; the connection is not used again.
    Spent,
}

/// One connection and what is known of it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) phase: Phase,
    /// The version that was copied; comparable on this connection only.
    pub(super) copied: Option<i64>,
    /// What the open transaction found, to be compared before COMMIT.
    pub(super) found: Option<Found>,
    /// Whether it settled a migration: a stale journal may be that migration's then.
    pub(super) settled: bool,
}

/// The state of a database before the migration's first statement.
#[derive(Debug)]
pub(super) struct Found {
    /// Rows that already referred to nothing.
    pub(super) violations: Violations,
    /// Whether TMP's table was there.
    pub(super) table: bool,
}

impl Session {
    /// Opens the existing `file` for reading and writing.
    ///
    /// Prelude: EXTRA synchronisation (SQLite takes it as FULL in WAL mode); foreign keys not enforced,
    /// since rebuilding a table needs that (docs/decisions/0003-sqlite-foreign-keys.md); no trust in
    /// functions that the schema names; no direct writes to the schema or to shadow tables; no second
    /// database.
    pub(super) fn open(
        name: &DatabaseName,
        file: &Utf8Path,
        busy_timeout: Duration,
    ) -> Result<Self, DatabaseError> {
        let path = regular_file(name, file)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(told(name, "opening it"))?;
        Self::prelude(&connection, busy_timeout).map_err(told(name, "opening it"))?;
        Ok(Self { connection, phase: Phase::Idle, copied: None, found: None, settled: false })
    }

    fn prelude(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
        connection.busy_timeout(busy_timeout)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        let synchronous = if mutant::is("sqlite-full") { "FULL" } else { "EXTRA" };
        connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))
    }

    /// Opens the file at `path` for reading, taking no lock and making no side file: a copy that nobody
    /// else knows of, or a database that nobody writes to meanwhile.
    pub(super) fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
        use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _};
        let mut uri = "file:".to_owned();
        for &byte in path.as_os_str().as_bytes() {
            if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
                uri.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(uri, "%{byte:02X}");
            }
        }
        uri.push_str("?immutable=1");
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        Ok(connection)
    }

    /// Opens a transaction and keeps everybody else from writing: with a rollback journal it excludes
    /// readers too, so that COMMIT cannot find one in its way; in WAL mode SQLite takes EXCLUSIVE as
    /// IMMEDIATE.
    pub(super) fn lock(&self, name: &DatabaseName) -> Result<(), DatabaseError> {
        self.connection.execute_batch("BEGIN EXCLUSIVE").map_err(told(name, "taking the lock"))
    }

    /// Ends a transaction that is open, without its changes.
    pub(super) fn roll_back(&mut self, name: &DatabaseName) -> Result<(), DatabaseError> {
        self.phase = Phase::Idle;
        self.found = None;
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK").map_err(told(name, "rolling back"))
    }

    /// Whether the database is in WAL mode.
    pub(super) fn is_wal(&self) -> rusqlite::Result<bool> {
        Ok(journal_mode(&self.connection)? == "wal")
    }

    /// Runs `read` on one consistent state: in the open transaction, or in one of its own.
    pub(super) fn snapshot<T>(
        &mut self,
        name: &DatabaseName,
        read: impl FnOnce(&Connection) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        if !self.connection.is_autocommit() {
            return read(&self.connection);
        }
        self.connection.execute_batch("BEGIN").map_err(told(name, "reading"))?;
        let result = read(&self.connection);
        let ended = self.connection.execute_batch("ROLLBACK").map_err(told(name, "reading"));
        result.and_then(|value| ended.map(|()| value))
    }
}

/// Where `file` is, with symbolic links resolved; only a regular file will do.
pub(super) fn regular_file(name: &DatabaseName, file: &Utf8Path) -> Result<Utf8PathBuf, DatabaseError> {
    let unreachable = |message: String| DatabaseError::Unreachable { database: name.clone(), message };
    let path = file.canonicalize_utf8().map_err(|error| unreachable(format!("{file}: {error}")))?;
    let facts = path.metadata().map_err(|error| unreachable(format!("{file}: {error}")))?;
    if facts.is_file() { Ok(path) } else { Err(unreachable(format!("{file} is not a regular file"))) }
}

/// Refuses a database whose pages SQLite finds damaged.
pub(super) fn refuse_damage(
    name: &DatabaseName,
    file: &Utf8Path,
    connection: &Connection,
) -> Result<(), DatabaseError> {
    let check: String = connection
        .query_row("PRAGMA main.quick_check(1)", [], |row| row.get(0))
        .map_err(told(name, "checking it for damage"))?;
    if check == "ok" {
        return Ok(());
    }
    let message = format!("{file} is damaged: {check}");
    Err(DatabaseError::Unreachable { database: name.clone(), message })
}

/// Takes away a journal that a killed process left before its header was written. SQLite sees nothing to
/// roll back in it and leaves it until the next transaction that writes. A connection that changes from a
/// mode which keeps the journal to one that does not removes it, if nobody holds the lock for writing;
/// otherwise the journal is in use, or the next writer removes it.
pub(super) fn remove_stale_journal(connection: &Connection) {
    if journal_mode(connection).is_ok_and(|mode| mode == "delete") {
        let _ = connection
            .execute_batch("PRAGMA main.journal_mode = TRUNCATE; PRAGMA main.journal_mode = DELETE");
    }
}

/// The journal mode, in lower case.
pub(super) fn journal_mode(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA main.journal_mode", [], |row| row.get(0))
}

/// A number that changes on this connection when another one commits.
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA main.data_version", [], |row| row.get(0))
}

/// Commits the first page without changing what the database holds. Writing a row once more as it is would
/// not do: SQLite notices that nothing differs, and commits nothing. Whatever was visible before, but not yet durable,
/// is durable then; whatever lay half written behind the end of the log is overwritten.
pub(super) fn commit_nothing(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA main.user_version", [], |row| row.get(0))?;
    connection.execute_batch(&format!("PRAGMA main.user_version = {version}; COMMIT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prelude_holds_in_both_journal_modes() {
        for mode in ["delete", "wal"] {
            let folder = tempfile::tempdir().unwrap();
            let file = Utf8PathBuf::try_from(folder.path().join("a.db")).unwrap();
            let made = Connection::open(&file).unwrap();
            made.execute_batch(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE t(a)")).unwrap();
            drop(made);
            let session = Session::open(&"a".parse().unwrap(), &file, Duration::ZERO).unwrap();
            assert_eq!(journal_mode(&session.connection).unwrap(), mode);
            let number = |pragma: &str| -> i64 {
                session.connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
            };
            assert_eq!(number("synchronous"), 3);
            assert_eq!(number("foreign_keys"), 0);
            assert_eq!(number("trusted_schema"), 0);
            assert!(session.connection.execute_batch("ATTACH ':memory:' AS x").is_err());
        }
    }
}
