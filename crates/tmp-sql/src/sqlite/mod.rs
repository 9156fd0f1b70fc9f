//! A SQLite database as a target.
//!
//! One dedicated connection does everything. Its locks are the process's POSIX locks, which go away
//! when *any* descriptor of the file is closed, so nothing opens the file but through SQLite while a session is open (see
//! `inspect`).

mod canonical;
mod copy;
mod error;
mod fingerprint;
mod foreign_keys;
mod guard;
mod inspect;
mod marker;
mod migrate;
mod restore;
mod rows;
mod script;
mod script_from;
mod session;
mod settle;
mod undo;

use std::{ffi::OsString, path::Path, time::Duration};

use camino::Utf8PathBuf;
use tmp_core::{
    DatabaseName,
    database::{
        Database, DatabaseError, DatabaseFacts, Fingerprint, FingerprintDifferences, Marker, Settled,
        SqlText, Undo, Undone,
    },
    enhancement::DatabaseEngine,
};

use session::{Phase, Session};

/// A SQLite database file, in WAL or in rollback-journal mode.
///
/// Every lock is waited for until the busy timeout is over; then the answer is
/// [`DatabaseError::Busy`].
#[derive(Debug)]
pub struct SqliteDatabase {
    name: DatabaseName,
    file: Utf8PathBuf,
    busy_timeout: Duration,
    session: Option<Session>,
}

impl SqliteDatabase {
    /// The database in `file`, which must exist when the first call is made. Opens nothing.
    pub fn new(name: DatabaseName, file: Utf8PathBuf) -> Self {
        Self { name, file, busy_timeout: Duration::from_secs(5), session: None }
    }

    /// The same with another busy timeout than 5 seconds.
    #[must_use]
    pub fn with_busy_timeout(self, busy_timeout: Duration) -> Self {
        Self { busy_timeout, ..self }
    }

    /// Whether the migration of this marker committed here and was not undone since. Changes nothing.
    ///
    /// # Errors
    /// It cannot be read, or holds a marker of the same migration with another nonce or payload.
    pub fn carries(&mut self, marker: &Marker) -> Result<bool, DatabaseError> {
        inspect::carries(self, marker)
    }

    /// The open session, or a new one. A session in which scripts ran to COMMIT is not used again: what
    /// they left in the connection itself, such as temporary tables, must not reach what comes later.
    fn session(&mut self) -> Result<&mut Session, DatabaseError> {
        let session = match self.session.take() {
            Some(session) if session.phase != Phase::Spent => session,
            spent => {
                drop(spent);
                self.open()?
            }
        };
        Ok(self.session.insert(session))
    }

    fn open(&self) -> Result<Session, DatabaseError> {
        Session::open(&self.name, &self.file, self.busy_timeout)
    }

    /// The file with symbolic links resolved, as SQLite itself places its side files; as configured
    /// where that cannot be done.
    fn resolved(&self) -> Utf8PathBuf {
        let absolute =
            || std::path::absolute(&self.file).ok().and_then(|path| Utf8PathBuf::try_from(path).ok());
        self.file.canonicalize_utf8().ok().or_else(absolute).unwrap_or_else(|| self.file.clone())
    }

    fn misuse(&self, doing: &'static str) -> DatabaseError {
        DatabaseError::Misuse { database: self.name.clone(), doing }
    }
}

impl Database for SqliteDatabase {
    fn name(&self) -> &DatabaseName {
        &self.name
    }

    fn engine(&self) -> DatabaseEngine {
        DatabaseEngine::Sqlite
    }

    fn files(&self) -> Vec<Utf8PathBuf> {
        let file = self.resolved();
        ["", "-journal", "-wal", "-shm"].iter().map(|end| Utf8PathBuf::from(format!("{file}{end}"))).collect()
    }

    fn inspect(&mut self) -> Result<DatabaseFacts, DatabaseError> {
        inspect::inspect(self)
    }

    fn ready(&mut self) -> Result<(), DatabaseError> {
        migrate::ready(self)
    }

    fn copy_to(&mut self, path: &Path) -> Result<(), DatabaseError> {
        copy::copy_to(self, path)
    }

    fn begin(&mut self) -> Result<Fingerprint, DatabaseError> {
        migrate::begin(self)
    }

    fn apply(&mut self, script: &SqlText<'_>) -> Result<(), DatabaseError> {
        migrate::apply(self, script)
    }

    fn verify(&mut self, script: &SqlText<'_>, assert: bool) -> Result<(), DatabaseError> {
        migrate::verify(self, script, assert)
    }

    fn mark(&mut self, marker: &Marker) -> Result<(), DatabaseError> {
        migrate::mark(self, marker)
    }

    fn fingerprint(&mut self) -> Result<Fingerprint, DatabaseError> {
        let name = self.name.clone();
        self.session()?.snapshot(&name, |connection| fingerprint::fingerprint(&name, connection))
    }

    fn commit(&mut self) -> Result<(), DatabaseError> {
        migrate::commit(self)
    }

    fn abandon(&mut self) -> Result<(), DatabaseError> {
        migrate::abandon(self)
    }

    fn settle(&mut self, marker: &Marker) -> Result<Settled, DatabaseError> {
        settle::settle(self, marker)
    }

    fn undo(&mut self, undo: &Undo<'_>) -> Result<Undone, DatabaseError> {
        undo::undo(self, undo)
    }

    fn restore_from(
        &mut self,
        path: &Path,
        marker: &Marker,
        committed: &Fingerprint,
    ) -> Result<Undone, DatabaseError> {
        restore::restore_from(self, path, marker, committed)
    }

    fn script_from(
        &mut self,
        path: &Path,
        objects: &FingerprintDifferences,
    ) -> Result<String, DatabaseError> {
        script_from::script_from(self, path, objects)
    }

    fn run_alone(&mut self, script: &SqlText<'_>) -> Result<(), DatabaseError> {
        migrate::run_alone(self, script)
    }

    fn release(&mut self) {
        if let Some(mut session) = self.session.take()
            && session.roll_back(&self.name).is_ok()
            && session.settled
            && beside(self.resolved().as_std_path(), "-journal").exists()
        {
            session::remove_stale_journal(&session.connection);
        }
    }
}

/// `path` with something appended to its last component.
fn beside(path: &Path, end: &str) -> std::path::PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}
