//! Puts the archived copy back into the live database, as one transaction.
//!
//! SQLite's online backup writes the copy's pages into the live database under an exclusive lock and
//! commits them like any other transaction, so that a crash leaves all of them or none. The question
//! whether somebody else wrote has to be asked under a lock that lasts until then, and a backup cannot
//! begin inside a transaction of its target:
//!
//! * with a rollback journal, `locking_mode = EXCLUSIVE` keeps the file's lock between the transaction
//!   that asks and the backup;
//! * in WAL mode that would need every other connection to be closed. There the backup's first step
//!   takes the write lock without writing, and a second connection, which may read, asks.

use std::path::Path;

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};
use tmp_core::{
    DatabaseName,
    database::{DatabaseError, Fingerprint, Marker, Undone},
};

use super::{
    SqliteDatabase,
    error::{engine, told},
    fingerprint::fingerprint,
    marker,
    session::{self, Session},
};

const DOING: &str = "restoring its copy";

pub(super) fn restore_from(
    database: &mut SqliteDatabase,
    path: &Path,
    wanted: &Marker,
    committed: &Fingerprint,
) -> Result<Undone, DatabaseError> {
    let name = database.name.clone();
    database.session = None;
    let copy = sound_copy(&name, path, wanted)?;
    let session = database.open()?;
    let check = Check { name: &name, wanted, committed };
    if session.is_wal().map_err(told(&name, DOING))? {
        let reader = database.open()?;
        through_the_log(&check, &copy, session, reader)
    } else {
        under_the_lock(&check, &copy, session)
    }
}

/// What has to hold for the live database before the copy may replace it.
struct Check<'a> {
    name: &'a DatabaseName,
    wanted: &'a Marker,
    committed: &'a Fingerprint,
}

impl Check<'_> {
    /// Whether the copy is to be put back; `false` where that was done before.
    fn wants_restore(&self, connection: &Connection) -> Result<bool, DatabaseError> {
        if !marker::find(self.name, connection, self.wanted)? {
            return Ok(false);
        }
        let differences = self.committed.differences(&fingerprint(self.name, connection)?);
        if differences.is_empty() {
            Ok(true)
        } else {
            Err(DatabaseError::WrittenSince { database: self.name.clone(), differences })
        }
    }
}

fn sound_copy(name: &DatabaseName, path: &Path, wanted: &Marker) -> Result<Connection, DatabaseError> {
    let unusable = |why: String| engine(name, DOING, format!("the copy {}: {why}", path.display()));
    let said = |error: rusqlite::Error| unusable(super::error::message(&error));
    let copy = Session::open_copy(path).map_err(said)?;
    let check: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(said)?;
    if check != "ok" {
        return Err(unusable(check));
    }
    if marker::find(name, &copy, wanted)? {
        return Err(unusable("it was made after the migration".to_owned()));
    }
    Ok(copy)
}

fn under_the_lock(
    check: &Check<'_>,
    copy: &Connection,
    mut session: Session,
) -> Result<Undone, DatabaseError> {
    let said = told(check.name, DOING);
    lock_for_good(check.name, &session)?;
    if !check.wants_restore(&session.connection)? {
        session::commit_nothing(&session.connection).map_err(&said)?;
        return Ok(Undone::Before);
    }
    session.roll_back(check.name)?;
    let step =
        Backup::new(copy, &mut session.connection).and_then(|backup| backup.step(-1)).map_err(&said)?;
    done(check.name, step).map(|()| Undone::Exact)
}

/// Opens a transaction whose exclusive lock stays until the connection is closed, which also takes the
/// journal away. The mode is not set before the lock is held: a connection that keeps its locks keeps the
/// shared one too while it waits, and the writer it waits for could never commit.
fn lock_for_good(name: &DatabaseName, session: &Session) -> Result<(), DatabaseError> {
    session.lock(name)?;
    session.connection.execute_batch("PRAGMA main.locking_mode = EXCLUSIVE").map_err(told(name, DOING))
}

fn through_the_log(
    check: &Check<'_>,
    copy: &Connection,
    mut session: Session,
    mut reader: Session,
) -> Result<Undone, DatabaseError> {
    let said = told(check.name, DOING);
    let backup = Backup::new(copy, &mut session.connection).map_err(&said)?;
    match backup.step(0).map_err(&said)? {
        StepResult::More => {}
        other => return done(check.name, other).map(|()| Undone::Exact),
    }
    if reader.snapshot(check.name, |connection| check.wants_restore(connection))? {
        done(check.name, backup.step(-1).map_err(&said)?)?;
        return Ok(Undone::Exact);
    }
    drop(backup);
    session.lock(check.name)?;
    session::commit_nothing(&session.connection).map_err(&said)?;
    Ok(Undone::Before)
}

fn done(name: &DatabaseName, step: StepResult) -> Result<(), DatabaseError> {
    match step {
        StepResult::Done => Ok(()),
        StepResult::Busy | StepResult::Locked => Err(DatabaseError::Busy {
            database: name.clone(),
            message: "somebody else holds its lock".to_owned(),
        }),
        other => Err(engine(name, DOING, format!("it stopped early: {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_outlives_the_transaction_and_the_journal_does_not_outlive_the_connection() {
        let folder = tempfile::tempdir().unwrap();
        let file = camino::Utf8PathBuf::try_from(folder.path().join("a.db")).unwrap();
        let other = Connection::open(&file).unwrap();
        other.execute_batch("CREATE TABLE t(a)").unwrap();
        other.busy_timeout(std::time::Duration::ZERO).unwrap();
        let name: DatabaseName = "a".parse().unwrap();
        let mut session = Session::open(&name, &file, std::time::Duration::ZERO).unwrap();
        lock_for_good(&name, &session).unwrap();
        session.roll_back(&name).unwrap();
        assert!(other.execute_batch("INSERT INTO t VALUES (1)").is_err());
        session.connection.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert!(other.execute_batch("INSERT INTO t VALUES (3)").is_err());
        drop(session);
        assert!(!std::fs::exists(format!("{file}-journal")).unwrap());
        other.execute_batch("INSERT INTO t VALUES (4)").unwrap();
    }
}
