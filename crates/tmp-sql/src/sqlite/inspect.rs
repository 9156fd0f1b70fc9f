//! Says what a database is, before anything relies on it, and leaves no trace of having looked.
//!
//! A connection that takes part in the locking may make and remove side files, and plays back what a
//! killed process left. So the file is read as it lies there, without locks. Closing a descriptor of it
//! drops every lock that this process has on it; therefore an open session is asked instead.

use std::{collections::BTreeMap, fs::File, io::Read as _, os::unix::fs::MetadataExt as _};

use camino::Utf8Path;
use rusqlite::Connection;
use tmp_core::{
    DatabaseName, Digest,
    database::{DatabaseError, DatabaseFacts, Marker},
};

use super::{
    SqliteDatabase, beside,
    error::told,
    fingerprint, foreign_keys, marker,
    session::{self, Phase, Session},
};

const DOING: &str = "inspecting it";

pub(super) fn inspect(database: &mut SqliteDatabase) -> Result<DatabaseFacts, DatabaseError> {
    match &mut database.session {
        Some(session) if session.phase != Phase::Spent => {
            through_the_session(&database.name, &database.file, session)
        }
        _ => {
            database.session = None;
            untouched(&database.name, &database.file)
        }
    }
}

fn through_the_session(
    name: &DatabaseName,
    file: &Utf8Path,
    session: &mut Session,
) -> Result<DatabaseFacts, DatabaseError> {
    let said = told(name, DOING);
    if session.connection.is_readonly("main").map_err(&said)? {
        return Err(read_only(name, file));
    }
    let wal = session.is_wal().map_err(&said)?;
    session.snapshot(name, |connection| {
        let number = |pragma: &str| {
            connection.query_row(&format!("PRAGMA main.{pragma}"), [], |row| row.get::<_, i64>(0))
        };
        let size = number("page_count").map_err(&said)?.saturating_mul(number("page_size").map_err(&said)?);
        let mut notes = vec![mode(wal)];
        let content = content(name, file, connection)?;
        notes.extend(content.note);
        Ok(facts(u64::try_from(size).unwrap_or_default(), notes, Some(content.schema)))
    })
}

/// Without a connection that takes locks. The content is looked at only while nobody writes.
fn untouched(name: &DatabaseName, file: &Utf8Path) -> Result<DatabaseFacts, DatabaseError> {
    let path = session::regular_file(name, file)?;
    let unreachable = |message: String| DatabaseError::Unreachable { database: name.clone(), message };
    let look = || Look::read(&path).map_err(|error| unreachable(format!("{file}: {error}")));
    let before = look()?;
    if !before.is_database() {
        return Err(unreachable("file is not a database".to_owned()));
    }
    if before.write_version() > 2
        || rustix::fs::access(path.as_std_path(), rustix::fs::Access::WRITE_OK).is_err()
    {
        return Err(read_only(name, file));
    }
    let mut notes = vec![mode(before.write_version() == 2)];
    let mut schema = None;
    if before.quiet() {
        let found = Session::open_copy(path.as_std_path())
            .map_err(told(name, DOING))
            .and_then(|connection| content(name, file, &connection));
        // What was read while somebody wrote may fit together badly, and says nothing.
        if look()? == before {
            let content = found?;
            notes.extend(content.note);
            schema = Some(content.schema);
        } else {
            notes.push("somebody writes to it now: its content is checked when it is copied".to_owned());
        }
    } else {
        let what = if before.log > 0 { "write-ahead log" } else { "hot journal" };
        notes.push(format!(
            "a {what} is in use, or was left by a killed process; then the next connection plays it back. \
             Its content is checked when it is copied"
        ));
    }
    Ok(facts(before.size.saturating_add(before.log), notes, schema))
}

/// Whether the marker is there. Without a connection that takes locks while nobody writes; else through
/// one that reads.
pub(super) fn carries(database: &mut SqliteDatabase, wanted: &Marker) -> Result<bool, DatabaseError> {
    let path = session::regular_file(&database.name, &database.file)?;
    let look = || {
        let unreachable = |error: std::io::Error| DatabaseError::Unreachable {
            database: database.name.clone(),
            message: format!("{path}: {error}"),
        };
        Look::read(&path).map_err(unreachable)
    };
    let before = look()?;
    if database.session.is_none() && before.quiet() {
        let connection = Session::open_copy(path.as_std_path()).map_err(told(&database.name, DOING))?;
        let found = marker::find(&database.name, &connection, wanted);
        drop(connection);
        if look()? == before {
            return found;
        }
    }
    let name = database.name.clone();
    database.session()?.snapshot(&name, |connection| marker::find(&name, connection, wanted))
}

/// What can be seen of a database from outside. Its header has the counter of its transactions.
#[derive(PartialEq, Eq)]
struct Look {
    /// The first 100 bytes (<https://sqlite.org/fileformat2.html#the_database_header>), fewer at the end
    /// of the file.
    header: Vec<u8>,
    size: u64,
    modified: (i64, i64),
    /// The size of the write-ahead log.
    log: u64,
    /// Whether the rollback journal would be played back: the first byte of one that is finished is 0.
    hot: bool,
}

impl Look {
    fn read(path: &Utf8Path) -> std::io::Result<Self> {
        let first = |path: &std::path::Path, count: u64| {
            let mut bytes = Vec::new();
            File::open(path)?.take(count).read_to_end(&mut bytes).map(|_| bytes)
        };
        let path = path.as_std_path();
        let (log, journal) = (beside(path, "-wal"), beside(path, "-journal"));
        let facts = path.metadata()?;
        Ok(Self {
            header: first(path, 100)?,
            size: facts.len(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            log: log.metadata().map_or(0, |facts| facts.len()),
            hot: journal.is_file()
                && first(&journal, 1).map_or(true, |bytes| bytes.first().is_some_and(|&byte| byte != 0)),
        })
    }

    /// Whether this SQLite reads it: an empty file is an empty database.
    fn is_database(&self) -> bool {
        self.size == 0
            || self.header.len() == 100
                && self.header.starts_with(b"SQLite format 3\0")
                && self.header.get(19).is_some_and(|&read_version| read_version <= 2)
    }

    /// 1 with a rollback journal, 2 with a write-ahead log, more in a later SQLite.
    fn write_version(&self) -> u8 {
        self.header.get(18).copied().unwrap_or(1)
    }

    fn quiet(&self) -> bool {
        self.log == 0 && !self.hot
    }
}

/// What was read of a database's content.
struct Content {
    /// What is worth a note.
    note: Option<String>,
    schema: BTreeMap<String, Digest>,
}

/// Refuses what is damaged or has something else in the place of TMP's table.
fn content(name: &DatabaseName, file: &Utf8Path, connection: &Connection) -> Result<Content, DatabaseError> {
    session::refuse_damage(name, file, connection)?;
    marker::is_there(name, connection)?;
    let violations = foreign_keys::Violations::read(connection).map_err(told(name, DOING))?;
    let note = (!violations.is_empty())
        .then(|| format!("foreign keys that do not hold already, and may stay so: {violations}"));
    Ok(Content { note, schema: fingerprint::schema(connection).map_err(told(name, DOING))? })
}

/// The kinds of rollback journal are not told apart: each connection chooses its own.
fn mode(wal: bool) -> String {
    if wal { "journal mode wal" } else { "rollback journal" }.to_owned()
}

fn facts(size: u64, notes: Vec<String>, schema: Option<BTreeMap<String, Digest>>) -> DatabaseFacts {
    DatabaseFacts { version: format!("SQLite {}", rusqlite::version()), size, notes, schema }
}

fn read_only(name: &DatabaseName, file: &Utf8Path) -> DatabaseError {
    DatabaseError::Unreachable { database: name.clone(), message: format!("{file} cannot be written") }
}
