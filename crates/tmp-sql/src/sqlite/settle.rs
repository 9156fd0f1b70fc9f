//! Finds out whether a marked transaction committed, and makes the answer stay true.

use tmp_core::{
    database::{DatabaseError, Marker, Settled},
    mutant,
};

use super::{
    SqliteDatabase, beside,
    error::{engine, told},
    marker,
    session::{self, Phase, Session},
};

const DOING: &str = "settling";

pub(super) fn settle(database: &mut SqliteDatabase, wanted: &Marker) -> Result<Settled, DatabaseError> {
    // What an earlier session believes may be what a failed COMMIT left in its cache.
    database.session = None;
    let log = beside(database.resolved().as_std_path(), "-wal");
    let log_was_there = log.metadata().is_ok_and(|facts| facts.len() > 0);
    let mut session = database.open()?;
    let settled = held(database, &session, wanted, log_was_there)?;
    session.phase = Phase::Held;
    session.settled = true;
    database.session = Some(session);
    Ok(settled)
}

/// Takes the lock, asks, makes the answer durable and leaves the lock held.
fn held(
    database: &SqliteDatabase,
    session: &Session,
    wanted: &Marker,
    log_was_there: bool,
) -> Result<Settled, DatabaseError> {
    let name = &database.name;
    session.lock(name)?;
    let committed = marker::find(name, &session.connection, wanted)?;
    if committed && mutant::is("stabilise") {
        return Ok(Settled::Committed);
    }
    if committed {
        // After a kill between the journal's removal and the directory's sync the marker is visible and
        // not yet durable; in WAL mode likewise before the log's sync. The next COMMIT makes it so.
        session::commit_nothing(&session.connection).map_err(told(name, DOING))?;
    } else if log_was_there && session.is_wal().map_err(told(name, DOING))? {
        // A kill between the log's sync and the index's update leaves a whole transaction behind the
        // log's end, where nobody sees it until a power loss has the index built anew. The next COMMIT
        // overwrites it. With a rollback journal there is no such thing, and nothing is written.
        session::commit_nothing(&session.connection).map_err(told(name, DOING))?;
    } else {
        return Ok(Settled::NotCommitted);
    }
    session.lock(name)?;
    match (committed, marker::find(name, &session.connection, wanted)?) {
        (true, true) => Ok(Settled::Committed),
        (false, false) => Ok(Settled::NotCommitted),
        _ => Err(engine(name, DOING, "somebody else changed TMP's own table meanwhile")),
    }
}
