//! SQL on a copy of a database: forward, verified, back by the very calls of a compensation, compared, and
//! forward again. Every direction commits and is followed by a new connection, as in a real migration.

use std::{path::Path, sync::Arc};

use camino::Utf8PathBuf;
use tmp_core::{
    Digest,
    clock::Clock,
    database::{Database, DatabaseError, Fingerprint, Marker, SqlText, Undo},
};
use tmp_disk::{At, Disk, remove_tree};

use super::{
    Databases, RehearsalError,
    difference::{States, compared, without},
    proof::{Class, Finding, Position},
    scratch::Scratch,
};
use crate::ids::new_id;

/// One SQL change with its texts.
#[derive(Debug)]
pub(super) struct Change {
    /// Makes the change.
    pub(super) apply: Text,
    /// Decides whether it is right, and whether every value must be true.
    pub(super) verify: Option<(Text, bool)>,
    /// Takes it back; `None` where the archive does.
    pub(super) rollback: Option<Text>,
}

/// A script.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) name: String,
    pub(super) text: String,
}

impl Text {
    fn sql(&self) -> SqlText<'_> {
        SqlText { name: &self.name, text: &self.text }
    }

    /// Where a finding about the whole script is shown.
    fn beginning(&self) -> Position {
        Position { script: self.name.clone(), line: 1, statement: None }
    }
}

/// What came of one rehearsal of some SQL.
#[derive(Debug, Default)]
pub(super) struct Cycle {
    /// What is wrong.
    pub(super) finding: Option<Finding>,
    /// Tables whose rows differ whenever the change is applied.
    pub(super) unrepeatable: Vec<String>,
    /// Whether the database now has the change, so that the next can be rehearsed upon it.
    pub(super) goes_on: bool,
}

/// A copy of a database on which SQL is rehearsed.
pub(super) struct Bench<'a> {
    database: Box<dyn Database>,
    scratch: &'a Scratch,
    disk: &'a dyn Disk,
    clock: Arc<dyn Clock>,
    payload: Digest,
    databases: &'a Databases<'a>,
}

/// How far forward a change came: the marker it left, and the database before and after.
struct Forward {
    marker: Marker,
    before: Fingerprint,
    after: Fingerprint,
}

/// The copy from before the first time a change is applied.
const FIRST: &str = "before-first";

/// The copy from before the second time, which is not kept.
const AGAIN: &str = "before-again";

impl<'a> Bench<'a> {
    /// A bench that holds a copy of what `from` holds, in a file of this name.
    pub(super) fn make(
        from: &mut dyn Database,
        file: &str,
        (scratch, disk, clock): (&'a Scratch, &'a dyn Disk, &Arc<dyn Clock>),
        payload: Digest,
        databases: &'a Databases<'a>,
    ) -> Result<Self, RehearsalError> {
        let path = scratch.path().join(file);
        let copied = from.copy_to(path.as_std_path());
        from.release();
        copied?;
        let database = databases(from.name(), &path);
        Ok(Self { database, scratch, disk, clock: Arc::clone(clock), payload, databases })
    }

    /// Rehearses changes that share a transaction, as one.
    pub(super) fn shared(&mut self, changes: &[&Change]) -> Result<Cycle, RehearsalError> {
        let done = self.shared_cycle(changes);
        self.database.release();
        done
    }

    fn shared_cycle(&mut self, changes: &[&Change]) -> Result<Cycle, RehearsalError> {
        let first = match self.forward(changes, FIRST)? {
            Ok(first) => first,
            Err(finding) => return Ok(Cycle { finding: Some(finding), ..Cycle::default() }),
        };
        if let Some(finding) = self.back(changes, &first)? {
            return Ok(Cycle { finding: Some(finding), goes_on: true, ..Cycle::default() });
        }
        match self.forward(changes, AGAIN)? {
            Err(failed) => {
                let message = format!("the second time: {}", failed.message);
                let finding = Finding { class: Class::CannotBeAppliedAgain, message, ..failed };
                Ok(Cycle { finding: Some(finding), ..Cycle::default() })
            }
            Ok(second) if second.after == first.after => Ok(Cycle { goes_on: true, ..Cycle::default() }),
            Ok(second) => {
                let unrepeatable = self.unrepeatable(changes, &first.after)?;
                let [expected, found] =
                    [&first.after, &second.after].map(|state| without(state, &unrepeatable));
                let finding = compared(Class::CannotBeAppliedAgain, &expected, &found).map(again);
                Ok(Cycle { finding, unrepeatable, goes_on: true })
            }
        }
    }

    /// Applies, verifies and commits. What the change itself does wrong is a finding, and nothing is
    /// committed then.
    fn forward(
        &mut self,
        changes: &[&Change],
        copy: &str,
    ) -> Result<Result<Forward, Finding>, RehearsalError> {
        let before = self.begin(copy)?;
        let applied = self.apply(changes).and_then(|marker| Ok((marker, self.database.fingerprint()?)));
        match applied {
            Ok((marker, after)) => {
                self.database.commit()?;
                self.database.release();
                Ok(Ok(Forward { marker, before, after }))
            }
            Err(error) => {
                self.database.release();
                wrong(Class::DoesNotApply, error).map(Err)
            }
        }
    }

    fn apply(&mut self, changes: &[&Change]) -> Result<Marker, DatabaseError> {
        let database = &mut self.database;
        for change in changes {
            database.apply(&change.apply.sql())?;
            if let Some((verify, assert)) = &change.verify {
                database.verify(&verify.sql(), *assert)?;
            }
        }
        let nonce = tmp_core::hex::encode(uuid::Uuid::new_v4().as_bytes());
        let marker = Marker { migration: new_id(self.clock.now()), payload: self.payload, nonce };
        database.mark(&marker)?;
        Ok(marker)
    }

    /// Opens a transaction after a copy to this file, which stays.
    fn begin(&mut self, copy: &str) -> Result<Fingerprint, RehearsalError> {
        remove_tree(self.disk, At::new(self.scratch.dir(), copy))?;
        let path = self.path(copy);
        self.database.copy_to(path.as_std_path())?;
        Ok(self.database.begin()?)
    }

    fn path(&self, copy: &str) -> Utf8PathBuf {
        self.scratch.path().join(copy)
    }

    /// Takes the changes back as a compensation does. What is wrong with that leaves the database as the
    /// changes made it.
    fn back(&mut self, changes: &[&Change], first: &Forward) -> Result<Option<Finding>, RehearsalError> {
        let scripts: Option<Vec<SqlText<'_>>> =
            changes.iter().rev().map(|change| change.rollback.as_ref().map(Text::sql)).collect();
        let Some(scripts) = scripts else {
            let copy = self.path(FIRST);
            self.database.restore_from(Path::new(&copy), &first.marker, &first.after)?;
            self.database.release();
            return Ok(None);
        };
        let undo =
            Undo { marker: &first.marker, scripts: &scripts, before: &first.before, committed: &first.after };
        let undone = self.database.undo(&undo);
        self.database.release();
        let Err(error) = undone else { return Ok(None) };
        if matches!(error, DatabaseError::Statement { .. } | DatabaseError::Refused { .. }) {
            return wrong(Class::FailsAtStatement, error).map(Some);
        }
        let message = crate::text(&error);
        let finding = wrong(Class::RestoresSomethingElse, error)?;
        // Which of the mistakes it is shows in what the scripts lead to.
        self.begin(AGAIN)?;
        let down = scripts
            .iter()
            .try_for_each(|script| self.database.apply(script))
            .and_then(|()| self.database.fingerprint());
        self.database.release();
        let told = down
            .ok()
            .and_then(|down| States { before: &first.before, up: &first.after, down: &down }.finding());
        let at = match changes {
            [change] => change.rollback.as_ref().map(Text::beginning),
            _ => None,
        };
        Ok(Some(Finding { at, ..told.unwrap_or(Finding { message, ..finding }) }))
    }

    /// The tables whose rows differ even where the change is applied to the very same database: they hold
    /// the time, or chance.
    fn unrepeatable(&self, changes: &[&Change], first: &Fingerprint) -> Result<Vec<String>, RehearsalError> {
        let mut fresh = (self.databases)(self.database.name(), &self.path(FIRST));
        remove_tree(self.disk, At::new(self.scratch.dir(), AGAIN))?;
        let mut run = || {
            fresh.copy_to(self.path(AGAIN).as_std_path())?;
            fresh.begin()?;
            changes.iter().try_for_each(|change| fresh.apply(&change.apply.sql()))?;
            fresh.fingerprint()
        };
        let found: Result<Fingerprint, DatabaseError> = run();
        fresh.release();
        let differences = first.differences(&found?);
        Ok(if differences.schema.is_empty() { differences.data } else { Vec::new() })
    }

    /// Rehearses one change that runs outside of any transaction.
    pub(super) fn alone(&mut self, change: &Change) -> Result<Cycle, RehearsalError> {
        let failed = |finding| Ok(Cycle { finding: Some(finding), ..Cycle::default() });
        let before = self.look()?;
        if let Err(error) = self.run_alone(&change.apply) {
            return failed(wrong(Class::DoesNotApply, error)?);
        }
        let up = self.look()?;
        let Some(rollback) = &change.rollback else { return Ok(Cycle { goes_on: true, ..Cycle::default() }) };
        if let Err(error) = self.run_alone(rollback) {
            return failed(wrong(Class::FailsAtStatement, error)?);
        }
        let down = self.look()?;
        if let Some(finding) = (States { before: &before, up: &up, down: &down }).finding() {
            return failed(Finding { at: Some(rollback.beginning()), ..finding });
        }
        if let Err(error) = self.run_alone(&change.apply) {
            return failed(again(wrong(Class::CannotBeAppliedAgain, error)?));
        }
        let finding = compared(Class::CannotBeAppliedAgain, &up, &self.look()?).map(again);
        Ok(Cycle { finding, goes_on: true, ..Cycle::default() })
    }

    fn look(&mut self) -> Result<Fingerprint, RehearsalError> {
        let found = self.database.fingerprint();
        self.database.release();
        Ok(found?)
    }

    fn run_alone(&mut self, script: &Text) -> Result<(), DatabaseError> {
        let ran = self.database.run_alone(&script.sql());
        self.database.release();
        ran
    }
}

fn again(finding: Finding) -> Finding {
    let message = format!("applied again it gives another result: {}", finding.message);
    Finding { message, ..finding }
}

/// What an error says of the script that met it; an error of the database itself ends the rehearsal.
pub(super) fn wrong(class: Class, error: DatabaseError) -> Result<Finding, RehearsalError> {
    let at = match &error {
        DatabaseError::Statement { script, line, statement, .. }
        | DatabaseError::Refused { script, line, statement, .. }
        | DatabaseError::NotTrue { script, line, statement, .. } => {
            Some(Position { script: script.clone(), line: *line, statement: Some(*statement) })
        }
        DatabaseError::Constraint { .. }
        | DatabaseError::NotRestored { .. }
        | DatabaseError::Engine { .. } => None,
        _ => return Err(error.into()),
    };
    Ok(Finding { at, ..Finding::new(class, crate::text(&error)) })
}
