//! The two ways back: before the commit point and after it.

use std::path::Path;

use tmp_core::{
    database::{DatabaseError, Settled, SqlText, Undo, Undone},
    enhancement::{SqlRollback, TransactionMode},
    event::Event,
    module::Kind,
    mutant,
    outcome::{DatabaseComparison, Outcome},
    plan::AFTER_ROLLBACK,
};
use tmp_disk::{At, DiskError, Stat, remove_tree};

use super::{
    ballast,
    error::{EngineError, Stuck, Trouble},
    run::Run,
};
use crate::journal::{Fact, PreparedSite};

/// The archived database in the migration's folder, while it is put back.
const COPY: &str = "database-restore";

/// How a finding begins that tells that a command after the rollback failed.
pub(crate) const AFTER_FINDING: &str = "after the rollback: ";

/// How the finding begins that tells that the roll-back scripts did not lead back.
pub(crate) const BY_ARCHIVE: &str = "the database goes back by its archive: ";

impl Run<'_, '_> {
    /// Ends a migration that turned round before its commit point.
    pub(super) fn turn_back(&mut self, trouble: Trouble) -> Result<Outcome, EngineError> {
        match trouble {
            Trouble::Stop(error) => Err(error),
            Trouble::InDoubt(missing) => Ok(self.in_doubt(missing)),
            Trouble::TurnBack(cause) => {
                self.tell(&Event::TurnedBack { cause: cause.clone() });
                self.record(Fact::RollingBack { cause })?;
                self.roll_back()
            }
        }
    }

    /// Ends a migration that turned round after its commit point.
    pub(super) fn turn_back_committed(&mut self, trouble: Trouble) -> Result<Outcome, EngineError> {
        match trouble {
            Trouble::Stop(error) => Err(error),
            Trouble::InDoubt(missing) => Ok(self.in_doubt(missing)),
            Trouble::TurnBack(cause) => {
                self.tell(&Event::TurnedBack { cause: cause.clone() });
                self.record(Fact::Compensating { cause })?;
                self.compensate()
            }
        }
    }

    /// Undoes the atomic part. May be called again after a crash.
    pub(super) fn roll_back(&mut self) -> Result<Outcome, EngineError> {
        let result = self.undo_atomic_part();
        self.ended(result)
    }

    /// Undoes everything after the commit point, then the modules. May be called again after a crash.
    pub(super) fn compensate(&mut self) -> Result<Outcome, EngineError> {
        let result = self.undo_checked_part();
        self.ended(result)
    }

    fn ended(&mut self, result: Result<Outcome, Stuck>) -> Result<Outcome, EngineError> {
        match result {
            Ok(outcome) => Ok(outcome),
            Err(Stuck::Stop(error)) => Err(error),
            Err(Stuck::InDoubt(missing)) => Ok(self.in_doubt(missing)),
            Err(Stuck::Failed { failure: undo_failure, intact }) => {
                self.record(Fact::RollbackFailed { undo_failure, intact })?;
                Ok(self.failed())
            }
        }
    }

    fn undo_atomic_part(&mut self) -> Result<Outcome, Stuck> {
        if let Some(prepared) = self.moved().filter(|_| self.memory.switching) {
            self.switch_back(&prepared)?;
        }
        // The files are the old ones: only now may others see the database again.
        if let Some(database) = self.database().map_err(Stuck::InDoubt)? {
            if let Err(error) = database.abandon() {
                // Closing the connection rolls back as well.
                let text = crate::text(&error);
                database.release();
                self.finding(format!(
                    "the database's transaction was ended by closing the connection: {text}"
                ));
            } else {
                database.release();
            }
        }
        let never = self.plan.database.as_ref().map(|_| DatabaseComparison::NeverCommitted);
        self.prove(never)
    }

    /// What was prepared, where there are modules to switch: without one nothing was staged.
    fn moved(&self) -> Option<PreparedSite> {
        self.memory.prepared.clone().filter(|_| self.has_modules())
    }

    fn undo_checked_part(&mut self) -> Result<Outcome, Stuck> {
        // Modules and database go back as a pair, so everything that either needs is looked at before
        // anything is undone.
        if let Some(prepared) = self.moved() {
            self.proven(&prepared)?;
        }
        let scripts = self.rollback_scripts()?;
        let failures = self.undo_steps()?;
        let database = self
            .with_all_room(|run| run.undo_database(scripts.as_deref()))
            .map_err(|stuck| stuck.after(&failures))?;
        self.taken_back.extend(database.is_some().then_some("the database"));
        if let Some(prepared) = self.moved() {
            self.switch_back(&prepared)?;
        }
        if let Some(database) = self.database().map_err(Stuck::InDoubt)? {
            database.release();
        }
        if !failures.is_empty() {
            self.restore_times()?;
            self.after_rollback();
            let old = match &self.plan.database {
                Some(_) => "modules and database are the old ones again",
                None => "the modules are the old ones again",
            };
            return Err(Stuck::Failed { failure: failures.join("; "), intact: old.to_owned() });
        }
        self.prove(database)
    }

    /// Runs what is to run once the old modules are back: again, where a crash kept it from being
    /// recorded. Its failures are findings.
    fn after_rollback(&mut self) {
        let Ok(name) = AFTER_ROLLBACK.parse() else { return };
        for command in &self.plan.enhancement.after_rollback {
            if let Err(failure) = self.command(&name, command) {
                self.finding(format!("{AFTER_FINDING}{}", String::from(failure)));
            }
        }
    }

    /// Restores times, compares, starts what is to run again, records.
    fn prove(&mut self, database: Option<DatabaseComparison>) -> Result<Outcome, Stuck> {
        self.restore_times()?;
        let comparison = self.compare(database)?;
        if !self.memory.started.is_empty() {
            self.after_rollback();
        }
        let findings = self.findings.clone();
        self.record(Fact::RolledBack { comparison: comparison.clone(), findings })?;
        self.clean_up_after_rollback();
        let cause = self.memory.cause.clone().unwrap_or_default();
        Ok(Outcome::RolledBack { cause, comparison, report: self.report() })
    }

    /// Takes the database back to what it was before the migration committed there: by the roll-back
    /// scripts; else, while nobody else wrote, by the archive.
    fn undo_database(
        &mut self,
        scripts: Option<&[(String, String)]>,
    ) -> Result<Option<DatabaseComparison>, Stuck> {
        let Some(marker) = self.memory.prepared.as_ref().and_then(|prepared| prepared.marker.clone()) else {
            return Ok(None);
        };
        let (Some(before), Some(committed)) =
            (self.memory.before.clone(), self.memory.after.as_deref().cloned())
        else {
            return Err(Stuck::InDoubt("the journal has no fingerprint of the database".into()));
        };
        let scripts_failed = match scripts {
            None => "a change of the enhancement goes back by the archive only".to_owned(),
            Some(scripts) => {
                let texts: Vec<SqlText<'_>> =
                    scripts.iter().map(|(name, text)| SqlText { name, text }).collect();
                let undo = Undo { marker: &marker, scripts: &texts, before: &before, committed: &committed };
                let Some(database) = self.database().map_err(Stuck::InDoubt)? else { return Ok(None) };
                match database.undo(&undo) {
                    Ok(undone) => return Ok(Some(undone.into())),
                    Err(error) => match of_environment(error) {
                        Ok(stuck) => return Err(stuck),
                        Err(error) => crate::text(&error),
                    },
                }
            }
        };
        self.finding(format!("{BY_ARCHIVE}{scripts_failed}"));
        self.restore_database(&marker, &committed, &scripts_failed).map(|undone| Some(undone.into()))
    }

    fn restore_database(
        &mut self,
        marker: &tmp_core::database::Marker,
        committed: &tmp_core::database::Fingerprint,
        scripts_failed: &str,
    ) -> Result<Undone, Stuck> {
        let Some(snapshot) = self.memory.snapshot else {
            return Err(Stuck::InDoubt("the journal names no archive".into()));
        };
        let at = At::new(&self.folder.dir, COPY);
        remove_tree(self.disk(), at)?;
        // The copy needs room in the state directory: that is what its ballast is for.
        ballast::release(self.disk(), &self.site.state).map_err(DiskError::at("release", ballast::NAME))?;
        let name = self.plan.database.as_ref().map(|planned| planned.name.clone());
        if let Some(name) = name {
            self.site.archive.extract_database(&snapshot, &name, at, self.disk())?;
        }
        let copy = self.folder.path.join(COPY);
        let Some(database) = self.database().map_err(Stuck::InDoubt)? else { return Ok(Undone::Before) };
        let restored = database.restore_from(Path::new(&copy), marker, committed);
        remove_tree(self.disk(), at)?;
        restored.map_err(|error| {
            of_environment(error).unwrap_or_else(|error| Stuck::Failed {
                failure: format!("the database cannot go back: {scripts_failed}; {}", crate::text(&error)),
                intact: "the database keeps the new schema and the modules stay the new ones".to_owned(),
            })
        })
    }

    /// The roll-back scripts of the transactional changes, newest first; `None` where one of all the
    /// changes has none.
    fn rollback_scripts(&self) -> Result<Option<Vec<(String, String)>>, Stuck> {
        let mut scripts = Vec::new();
        for change in self.plan.enhancement.sql.iter().rev() {
            match &change.rollback {
                SqlRollback::Script(_) if change.transaction == TransactionMode::None => {}
                SqlRollback::Script(script) => {
                    let text = self.folder.script(self.disk(), script);
                    let text = text.map_err(|error| Stuck::InDoubt(crate::text(&error)))?;
                    scripts.push((script.name.clone(), text));
                }
                SqlRollback::Archive | SqlRollback::Irreversible { .. } => return Ok(None),
            }
        }
        Ok(Some(scripts))
    }

    /// Gives directories the modification times they had: those of the tree, and those that hold the
    /// database's files.
    fn restore_times(&mut self) -> Result<(), Stuck> {
        let Some(PreparedSite { directories, database_directories, tree, .. }) = self.memory.prepared.clone()
        else {
            return Ok(());
        };
        let disk = self.disk();
        // Whoever changed a directory before the switch was not TMP.
        let directories = if self.memory.switching { directories } else { Vec::new() };
        let set = |at: At<'_>, mtime, shown: &str| -> Result<(), DiskError> {
            let stat = disk.stat(at).map_err(DiskError::at("look at", shown))?;
            // What somebody put in the place of a directory is theirs.
            let differs = |stat: Stat| stat.kind == Kind::Directory && stat.mtime != mtime;
            if stat.is_some_and(differs) && !mutant::is("times") {
                disk.set_mtime(at, mtime).map_err(DiskError::at("set the time of", shown))?;
            }
            Ok(())
        };
        for (path, mtime) in &directories {
            match path {
                None => set(At::itself(self.tree.root()), *mtime, "the root")?,
                Some(path) => {
                    if let Some(place) = self.tree.locate(path)? {
                        set(place.at(), *mtime, path.as_str())?;
                    }
                }
            }
        }
        if let (Some(home), Some(tree)) = (&self.home, tree.filter(|_| self.memory.switching)) {
            set(At::itself(&home.place.dir), tree.parent, "the directory of the root")?;
        }
        for (path, mtime) in &database_directories {
            let dir = disk.open_root(Path::new(path)).map_err(DiskError::at("open", path))?;
            set(At::itself(&dir), *mtime, path)?;
            disk.sync_dir(&dir)
                .map_err(|source| EngineError::Sync { source: DiskError::at("sync", path)(source) })?;
        }
        if !mutant::is("undo-barrier") {
            disk.sync_all(self.tree.root())
                .map_err(|source| EngineError::Sync { source: DiskError::at("sync", "the root")(source) })?;
        }
        Ok(())
    }

    /// Asks whether the database committed and keeps the answer true until it is released. Without a
    /// database nothing committed before the record APPLIED.
    pub(super) fn settle(&mut self) -> Result<Settled, Stuck> {
        let Some(marker) = self.memory.prepared.as_ref().and_then(|prepared| prepared.marker.clone()) else {
            return Ok(Settled::NotCommitted);
        };
        let Some(database) = self.database().map_err(Stuck::InDoubt)? else {
            return Err(Stuck::InDoubt("the plan names no database".into()));
        };
        database.settle(&marker).map_err(|error| {
            of_environment(error).unwrap_or_else(|error| Stuck::InDoubt(crate::text(&error)))
        })
    }
}

/// What an error that says nothing of the way back itself means for it: the database cannot be asked now, or
/// its disk fails. Any other is handed back.
pub(super) fn of_environment(error: DatabaseError) -> Result<Stuck, DatabaseError> {
    match error {
        DatabaseError::Unreachable { .. } | DatabaseError::Busy { .. } => {
            Ok(Stuck::InDoubt(crate::text(&error)))
        }
        source @ (DatabaseError::NoRoom { .. } | DatabaseError::Disk { .. }) => {
            Ok(Stuck::Stop(EngineError::DatabaseDisk { source }))
        }
        other => Err(other),
    }
}
