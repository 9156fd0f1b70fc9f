//! Undoing the steps of the checked part.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use tmp_archive::{ArchiveError, EntryPath, Selection};
use tmp_core::{
    Mode, ModulePath,
    database::{DatabaseError, Fingerprint, SqlText},
    enhancement::{BatchStep, Command, Script, SqlRollback},
    event::{Direction, Event},
    id::StepName,
    plan::{PlannedStep, StepWork, UtilityCommands},
};
use tmp_disk::{At, Disk, DiskError, Rename, create_dir_durably, read_whole, remove_tree};

use super::{
    back::of_environment,
    error::{EngineError, Stuck},
    run::Run,
};
use crate::{
    folder::{Folder, FolderError},
    journal::Fact,
    planner::{globs, matches_below},
    survivors::{self, Survivor},
};

/// The largest control object that is read back, in bytes.
const LARGEST_OBJECT: u64 = 64 << 20;

impl Run<'_, '_> {
    /// Undoes every step that was begun, newest first. One that cannot be undone does not keep the
    /// others from it; the failures are answered.
    pub(super) fn undo_steps(&mut self) -> Result<Vec<String>, Stuck> {
        let mut failures = Vec::new();
        for index in self.memory.to_undo() {
            let Some(step) = self.plan.steps.get(index) else { continue };
            let since = self.site.clock().elapsed();
            let interrupted = !self.memory.done.contains(&index) || self.memory.undoing == Some(index);
            self.record(Fact::UndoIntent { step: index })?;
            if has_effect(&step.work) {
                self.tell(&Event::StepBegan { step: step.name.clone(), direction: Direction::Undo });
            }
            let undone = match self.stop(step, interrupted) {
                Ok(()) => self.with_all_room(|run| run.undo_step(index, step, interrupted)),
                Err(survivor) => Err(survivor.into()),
            };
            let failure = match undone {
                Ok(database) => {
                    self.record(Fact::UndoDone { step: index, database })?;
                    None
                }
                Err(Stuck::Failed { failure, .. }) => Some(failure),
                // The disk or the database did not answer: nothing is known against the step's way back.
                Err(stuck) => return Err(stuck.after(&failures)),
            };
            if has_effect(&step.work) {
                self.step_ended(&step.name, Direction::Undo, failure.clone(), since);
            }
            failures.extend(failure.map(|failure| format!("step {} cannot be undone: {failure}", step.name)));
        }
        Ok(failures)
    }

    /// Stops what an interrupted step started and left running: it could write after the comparison. What
    /// a step that ended well started, such as a service, is left to the step's own way back.
    fn stop(&self, step: &PlannedStep, interrupted: bool) -> Result<(), Survivor> {
        if interrupted { survivors::end(self.migration(), &step.name, self.site.clock()) } else { Ok(()) }
    }

    fn undo_step(
        &mut self,
        number: usize,
        step: &PlannedStep,
        interrupted: bool,
    ) -> Result<Option<Fingerprint>, Stuck> {
        let enhancement = &self.plan.enhancement;
        match &step.work {
            StepWork::PostImage | StepWork::Check { .. } => {}
            StepWork::Own { .. } => self.own(step, Direction::Undo)?,
            StepWork::Batch { index } => {
                let batch = enhancement.batch.get(*index).ok_or("no such batch step".to_owned())?;
                if let Some(rollback) = &batch.rollback {
                    self.command(&step.name, rollback)?;
                }
                self.restore_written(batch)?;
            }
            StepWork::ControlObject { index, commands } => {
                ExportedObject::new(self.folder, *index).put_back(self, &step.name, commands)?;
            }
            StepWork::Sql { index } => {
                let change = enhancement.sql.get(*index).ok_or("no such SQL change".to_owned())?;
                match &change.rollback {
                    SqlRollback::Script(script) => {
                        // Whether an interrupted statement, forth or back, had its effect is decided by
                        // the fingerprint.
                        let before = if interrupted { self.database_before(number)? } else { None };
                        return if before.is_some() { Ok(before) } else { self.run_alone(script) };
                    }
                    // The archived database comes back as a whole, after the steps.
                    SqlRollback::Archive | SqlRollback::Irreversible { .. } => {}
                }
            }
        }
        Ok(None)
    }

    /// The database, where it is what it was before this step.
    fn database_before(&mut self, step: usize) -> Result<Option<Fingerprint>, Stuck> {
        let before = self.memory.found_by(step).cloned();
        let Some(database) = self.database()? else {
            return Err("the plan has no database".to_owned().into());
        };
        let found = database.fingerprint();
        database.release();
        found.map(|found| before.filter(|before| *before == found)).map_err(not_undone)
    }

    /// Runs one script outside of any transaction. Answers the database as it left it, so that this is
    /// not taken for somebody else's writing; nothing where somebody had written since COMMIT.
    pub(super) fn run_alone(&mut self, script: &Script) -> Result<Option<Fingerprint>, Stuck> {
        let text = self.folder.script(self.disk(), script).map_err(|error| match error {
            FolderError::Disk(source) => Stuck::from(source),
            error => crate::text(&error).into(),
        })?;
        let known = self.memory.after.clone();
        let Some(database) = self.database()? else {
            return Err("the plan has no database".to_owned().into());
        };
        let mut run = || {
            let quiet = database.fingerprint().map(|found| known.as_deref() == Some(&found))?;
            database.run_alone(&SqlText { name: &script.name, text: &text })?;
            quiet.then(|| database.fingerprint()).transpose()
        };
        let result = run().map_err(not_undone);
        database.release();
        result
    }

    /// Puts back what a batch step writes: what was archived is restored, what is new is removed.
    fn restore_written(&self, batch: &BatchStep) -> Result<(), Stuck> {
        if batch.writes.is_empty() {
            return Ok(());
        }
        let disk = self.disk();
        let set = globs(&batch.writes).map_err(|fault| fault.to_string())?;
        let archived: BTreeSet<&ModulePath> = self.plan.also_archived.iter().collect();
        let now = matches_below(&self.tree, &batch.writes, &set)?;
        for (path, _) in now.iter().filter(|(path, _)| !archived.contains(path)) {
            if let Some(place) = self.tree.locate(path)? {
                remove_tree(disk, place.at())?;
                let sync =
                    disk.sync_dir(&place.dir).map_err(DiskError::at("sync the directory of", path.as_str()));
                sync.map_err(|source| EngineError::Sync { source })?;
            }
        }
        let Some(snapshot) = self.memory.snapshot else {
            return Err("there is no archive".to_owned().into());
        };
        let paths = self.plan.also_archived.iter().map(EntryPath::from).collect();
        let selection = Selection::Paths(paths);
        let restored = self.site.archive.restore(
            &snapshot,
            &selection,
            &self.tree,
            Some(&self.site.work),
            &mut |_, _| {},
        );
        match restored.map_err(ArchiveError::into_disk) {
            Ok(_) => Ok(()),
            Err(Ok(source)) => Err(source.into()),
            Err(Err(error)) => Err(crate::text(&error).into()),
        }
    }
}

/// What an error of the database means for the way back of a step.
fn not_undone(error: DatabaseError) -> Stuck {
    of_environment(error).unwrap_or_else(|error| crate::text(&error).into())
}

/// Whether there is anything to undo of a step.
pub(super) const fn has_effect(work: &StepWork) -> bool {
    !matches!(work, StepWork::PostImage | StepWork::Check { .. })
}

/// The name under which a control object is exported, before it is there whole.
const EXPORT: &str = "object";

/// A control object as it was before it was imported: the way back, exported into the migration's
/// folder.
pub(crate) struct ExportedObject {
    file: PathBuf,
}

impl ExportedObject {
    pub(crate) fn new(folder: &Folder, index: usize) -> Self {
        Self { file: folder.path.join(format!("object-{index}")).into() }
    }

    /// A command with its `{file}` filled in.
    pub(super) fn fill(command: &Command, file: &Path) -> Command {
        let file = file.to_string_lossy();
        let run = command.run.iter().map(|argument| argument.replace("{file}", &file)).collect();
        Command { run, timeout_s: command.timeout_s }
    }

    /// Exports it, into a directory that holds nothing else. It is there whole and durably on return, and not
    /// at all before: what an export that failed leaves is never imported.
    pub(super) fn export(
        &self,
        run: &Run<'_, '_>,
        step: &StepName,
        commands: &UtilityCommands,
    ) -> Result<(), String> {
        let (disk, folder) = (run.disk(), &run.folder.dir);
        let text = |error: DiskError| crate::text(&error);
        let partial = self.file.with_extension("partial");
        let (name, to) = (partial.file_name().unwrap_or_default(), self.file.file_name().unwrap_or_default());
        remove_tree(disk, At::new(folder, name)).map_err(text)?;
        let made = create_dir_durably(disk, folder, name, Mode::from_bits(0o700));
        let dir = made.map_err(text)?;
        let file = partial.join(EXPORT);
        run.command_with(step, &Self::fill(&commands.export, &file), &[(partial.clone(), true)])?;
        let (from, to) = (At::new(&dir, EXPORT), At::new(folder, to));
        let durable = disk
            .open_file_to_write(from)
            .and_then(|file| disk.sync_file(&file))
            .and_then(|()| disk.rename(from, to, Rename::Replace))
            .and_then(|()| disk.sync_dir(folder));
        durable.map_err(|error| format!("the export was not written: {error}"))?;
        remove_tree(disk, At::new(folder, name)).map_err(text)
    }

    /// What was exported, to be imported by another migration.
    pub(crate) fn read(&self, disk: &dyn Disk, folder: &Folder) -> Result<Vec<u8>, String> {
        let name = self.file.file_name().unwrap_or_default();
        read_whole(disk, At::new(&folder.dir, name), LARGEST_OBJECT).map_err(|error| crate::text(&error))
    }

    /// Imports what was exported. An object that was never exported was never imported either.
    fn put_back(&self, run: &Run<'_, '_>, step: &StepName, commands: &UtilityCommands) -> Result<(), Stuck> {
        let name = self.file.file_name().unwrap_or_default();
        let there =
            run.disk().stat(At::new(&run.folder.dir, name)).map_err(DiskError::at("look at", name))?;
        if there.is_none() {
            return Ok(());
        }
        let own = [(self.file.clone(), false)];
        Ok(run.command_with(step, &Self::fill(&commands.import, &self.file), &own)?)
    }
}
