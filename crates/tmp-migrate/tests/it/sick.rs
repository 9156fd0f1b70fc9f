//! A database whose disk fails at chosen calls.

use std::{
    panic::resume_unwind,
    path::Path,
    sync::{Arc, Mutex},
};

use camino::Utf8PathBuf;
use tmp_core::{
    DatabaseName,
    database::{
        Database, DatabaseError, DatabaseFacts, Fingerprint, FingerprintDifferences, Marker, Settled,
        SqlText, Undo, Undone,
    },
    enhancement::DatabaseEngine,
};

/// What ails a database: the calls that fail, each once, in this order, and how.
pub(crate) type Ails = Arc<Mutex<Vec<(&'static str, Ail)>>>;

/// What its disk says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ail {
    Full,
    Broken,
    /// The call has its effect and fails all the same.
    Late,
    /// It panics, before or after the call has its effect.
    Panics,
    PanicsLate,
}

/// Another database, with a disk that fails.
pub(crate) struct Sick {
    pub(crate) inner: Box<dyn Database>,
    pub(crate) ails: Ails,
}

impl Sick {
    fn ail(&self, call: &str) -> Option<Ail> {
        let mut ails = self.ails.lock().unwrap();
        if ails.first().is_some_and(|(at, _)| *at == call) { Some(ails.remove(0).1) } else { None }
    }

    fn ask<T>(
        &mut self,
        call: &str,
        work: impl FnOnce(&mut dyn Database) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let (doing, message) = (call.to_owned(), "so says the test".to_owned());
        match self.ail(call) {
            None => work(self.inner.as_mut()),
            Some(Ail::Full) => Err(DatabaseError::NoRoom { doing, message }),
            Some(Ail::Broken) => Err(DatabaseError::Disk { doing, message }),
            Some(Ail::Late) => {
                drop(work(self.inner.as_mut()));
                Err(DatabaseError::Disk { doing, message })
            }
            Some(Ail::Panics) => resume_unwind(Box::new("so says the test")),
            Some(Ail::PanicsLate) => {
                drop(work(self.inner.as_mut()));
                resume_unwind(Box::new("so says the test"))
            }
        }
    }
}

impl Database for Sick {
    fn name(&self) -> &DatabaseName {
        self.inner.name()
    }

    fn engine(&self) -> DatabaseEngine {
        self.inner.engine()
    }

    fn files(&self) -> Vec<Utf8PathBuf> {
        self.inner.files()
    }

    fn inspect(&mut self) -> Result<DatabaseFacts, DatabaseError> {
        self.ask("inspect", |it| it.inspect())
    }

    fn ready(&mut self) -> Result<(), DatabaseError> {
        self.ask("ready", |it| it.ready())
    }

    fn copy_to(&mut self, path: &Path) -> Result<(), DatabaseError> {
        self.ask("copy_to", |it| it.copy_to(path))
    }

    fn begin(&mut self) -> Result<Fingerprint, DatabaseError> {
        self.ask("begin", |it| it.begin())
    }

    fn apply(&mut self, script: &SqlText<'_>) -> Result<(), DatabaseError> {
        self.ask("apply", |it| it.apply(script))
    }

    fn verify(&mut self, script: &SqlText<'_>, assert: bool) -> Result<(), DatabaseError> {
        self.ask("verify", |it| it.verify(script, assert))
    }

    fn mark(&mut self, marker: &Marker) -> Result<(), DatabaseError> {
        self.ask("mark", |it| it.mark(marker))
    }

    fn fingerprint(&mut self) -> Result<Fingerprint, DatabaseError> {
        self.ask("fingerprint", |it| it.fingerprint())
    }

    fn commit(&mut self) -> Result<(), DatabaseError> {
        self.ask("commit", |it| it.commit())
    }

    fn abandon(&mut self) -> Result<(), DatabaseError> {
        self.ask("abandon", |it| it.abandon())
    }

    fn settle(&mut self, marker: &Marker) -> Result<Settled, DatabaseError> {
        self.ask("settle", |it| it.settle(marker))
    }

    fn undo(&mut self, undo: &Undo<'_>) -> Result<Undone, DatabaseError> {
        self.ask("undo", |it| it.undo(undo))
    }

    fn restore_from(
        &mut self,
        path: &Path,
        marker: &Marker,
        committed: &Fingerprint,
    ) -> Result<Undone, DatabaseError> {
        self.ask("restore_from", |it| it.restore_from(path, marker, committed))
    }

    fn script_from(
        &mut self,
        path: &Path,
        objects: &FingerprintDifferences,
    ) -> Result<String, DatabaseError> {
        self.ask("script_from", |it| it.script_from(path, objects))
    }

    fn run_alone(&mut self, script: &SqlText<'_>) -> Result<(), DatabaseError> {
        self.ask("run_alone", |it| it.run_alone(script))
    }

    fn release(&mut self) {
        self.inner.release();
    }
}
