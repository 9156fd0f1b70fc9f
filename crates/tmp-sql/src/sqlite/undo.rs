//! Takes a committed migration back by its roll-back scripts.

use tmp_core::{
    DatabaseName,
    database::{DatabaseError, FingerprintDifferences, Undo, Undone},
    enhancement::TransactionMode,
};

use super::{
    SqliteDatabase,
    error::told,
    fingerprint::fingerprint,
    foreign_keys::Violations,
    marker,
    script::Script,
    session::{self, Phase, Session},
};

const DOING: &str = "undoing";

pub(super) fn undo(database: &mut SqliteDatabase, undo: &Undo<'_>) -> Result<Undone, DatabaseError> {
    let name = database.name.clone();
    let misuse = database.misuse("undo");
    let session = database.session()?;
    match session.phase {
        Phase::Idle => session.lock(&name)?,
        Phase::Held => {}
        _ => return Err(misuse),
    }
    let result = undone(&name, session, undo);
    if result.is_ok() {
        session.phase = Phase::Spent;
    } else {
        database.abandon_quietly();
    }
    result
}

fn undone(name: &DatabaseName, session: &mut Session, undo: &Undo<'_>) -> Result<Undone, DatabaseError> {
    if !marker::find(name, &session.connection, undo.marker)? {
        // An undo that was killed may have left its COMMIT visible and not yet durable.
        session::commit_nothing(&session.connection).map_err(told(name, DOING))?;
        return Ok(Undone::Before);
    }
    let quiet = fingerprint(name, &session.connection)? == *undo.committed;
    let violations = Violations::read(&session.connection).map_err(told(name, "checking foreign keys"))?;
    for text in undo.scripts {
        Script::read(name, text, TransactionMode::Shared)?.run(&mut session.connection)?;
    }
    violations.refuse_more(name, &session.connection)?;
    marker::remove(name, &session.connection, undo.marker)?;
    let after = fingerprint(name, &session.connection)?;
    let mut differences = undo.before.differences(&after);
    if !quiet {
        differences = FingerprintDifferences { data: Vec::new(), ..differences };
    }
    if !differences.is_empty() {
        return Err(DatabaseError::NotRestored { database: name.clone(), differences });
    }
    session.connection.execute_batch("COMMIT").map_err(told(name, DOING))?;
    Ok(if quiet { Undone::Exact } else { Undone::SchemaOnly })
}
