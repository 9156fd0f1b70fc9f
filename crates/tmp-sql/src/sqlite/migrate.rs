//! The migration's transaction, and statements that cannot share it.

use rusqlite::limits::Limit;
use tmp_core::{
    database::{DatabaseError, Fingerprint, Marker, SqlText},
    enhancement::TransactionMode,
};

use super::{
    SqliteDatabase,
    error::{engine, told},
    fingerprint::fingerprint,
    foreign_keys::Violations,
    marker,
    script::Script,
    session::{self, Found, Phase, Session},
};

impl SqliteDatabase {
    /// The session whose transaction is open and in `phase`.
    fn in_transaction(&mut self, phase: Phase, doing: &'static str) -> Result<&mut Session, DatabaseError> {
        let misuse = self.misuse(doing);
        self.session
            .as_mut()
            .filter(|session| session.phase == phase && !session.connection.is_autocommit())
            .ok_or(misuse)
    }
}

pub(super) fn ready(database: &mut SqliteDatabase) -> Result<(), DatabaseError> {
    let name = database.name.clone();
    let misuse = database.misuse("ready");
    let session = database.session()?;
    if session.phase != Phase::Idle {
        return Err(misuse);
    }
    session.lock(&name)?;
    session.roll_back(&name)
}

pub(super) fn begin(database: &mut SqliteDatabase) -> Result<Fingerprint, DatabaseError> {
    let name = database.name.clone();
    let misuse = database.misuse("begin");
    let session = database.session()?;
    let (Phase::Idle, Some(copied)) = (session.phase, session.copied) else { return Err(misuse) };
    session.lock(&name)?;
    let result = begun(&name, session, copied);
    match result {
        Ok((found, before)) => {
            session.found = Some(found);
            session.phase = Phase::Migrating;
            Ok(before)
        }
        Err(error) => {
            database.abandon_quietly();
            Err(error)
        }
    }
}

fn begun(
    name: &tmp_core::DatabaseName,
    session: &Session,
    copied: i64,
) -> Result<(Found, Fingerprint), DatabaseError> {
    let connection = &session.connection;
    if session::data_version(connection).map_err(told(name, "begin"))? != copied {
        return Err(DatabaseError::Moved { database: name.clone() });
    }
    let table = marker::is_there(name, connection)?;
    let violations = Violations::read(connection).map_err(told(name, "checking foreign keys"))?;
    Ok((Found { violations, table }, fingerprint(name, connection)?))
}

impl SqliteDatabase {
    /// Rolls back; where even that fails the connection goes, and SQLite rolls back by itself.
    pub(super) fn abandon_quietly(&mut self) {
        let name = self.name.clone();
        if self.session.as_mut().is_some_and(|session| session.roll_back(&name).is_err()) {
            self.session = None;
        }
    }
}

pub(super) fn apply(database: &mut SqliteDatabase, text: &SqlText<'_>) -> Result<(), DatabaseError> {
    let name = database.name.clone();
    let session = database.in_transaction(Phase::Migrating, "apply")?;
    Script::read(&name, text, TransactionMode::Shared)?.run(&mut session.connection)
}

pub(super) fn verify(
    database: &mut SqliteDatabase,
    text: &SqlText<'_>,
    assert: bool,
) -> Result<(), DatabaseError> {
    let name = database.name.clone();
    let session = database.in_transaction(Phase::Migrating, "verify")?;
    let script = Script::read(&name, text, TransactionMode::Shared)?;
    let said = told(&name, "verifying");
    session.connection.execute_batch("SAVEPOINT tmp_verify").map_err(&said)?;
    let result = if assert {
        script.run_asserting(&mut session.connection)
    } else {
        script.run(&mut session.connection)
    };
    if session.connection.is_autocommit() {
        return result;
    }
    let ended = session.connection.execute_batch("ROLLBACK TO tmp_verify; RELEASE tmp_verify").map_err(&said);
    result.and(ended)
}

pub(super) fn mark(database: &mut SqliteDatabase, marker: &Marker) -> Result<(), DatabaseError> {
    let name = database.name.clone();
    let misuse = database.misuse("mark");
    let session = database.in_transaction(Phase::Migrating, "mark")?;
    let Some(found) = &session.found else { return Err(misuse) };
    let connection = &session.connection;
    found.violations.refuse_more(&name, connection)?;
    if marker::is_there(&name, connection)? != found.table {
        return Err(engine(&name, "its marker", "a script made or removed TMP's own table"));
    }
    marker::insert(&name, connection, marker, found.table)?;
    session.phase = Phase::Marked;
    Ok(())
}

pub(super) fn commit(database: &mut SqliteDatabase) -> Result<(), DatabaseError> {
    let name = database.name.clone();
    let session = database.in_transaction(Phase::Marked, "commit")?;
    session.connection.execute_batch("COMMIT").map_err(told(&name, "commit"))?;
    session.phase = Phase::Spent;
    Ok(())
}

pub(super) fn abandon(database: &mut SqliteDatabase) -> Result<(), DatabaseError> {
    let name = database.name.clone();
    let result = database.session.as_mut().map_or(Ok(()), |session| session.roll_back(&name));
    if result.is_err() {
        database.session = None;
    }
    result
}

pub(super) fn run_alone(database: &mut SqliteDatabase, text: &SqlText<'_>) -> Result<(), DatabaseError> {
    let name = database.name.clone();
    let misuse = database.misuse("run_alone");
    let script = Script::read(&name, text, TransactionMode::None)?;
    let session = database.session()?;
    if session.phase != Phase::Idle {
        return Err(misuse);
    }
    // VACUUM attaches a database of its own.
    session
        .connection
        .set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)
        .map_err(told(&name, "running a statement alone"))?;
    session.phase = Phase::Spent;
    script.run(&mut session.connection)
}
