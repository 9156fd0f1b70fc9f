//! Plans the reversal of a committed migration: a migration of its own that puts back what the archive
//! of the other one holds and runs its roll-back scripts.
//!
//! Nothing is put over what was changed since, and no row that was written since is lost without an
//! order that names its table.

mod contents;
mod database;
mod modules;
mod order;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tmp_archive::{Archive, DirectoryStore, Snapshot};
use tmp_core::{
    MigrationId, Phase,
    database::Database,
    enhancement::{BatchStep, Command, ControlObject, Enhancement, Script},
    plan::{Plan, Provenance, Reversal},
};
use tmp_disk::Disk;

use super::{PlanError, PlanFault, PlanRequest, Restored, Utility, planned};
use crate::{
    command::CommandPolicy,
    engine::{ExportedObject, Memory},
    folder::Folder,
    history::{self, HistoryError},
    past::Past,
    workplace::Workplace,
};

pub use contents::ReversalContents;
pub use order::reversal_order;

/// What is to be reversed.
#[derive(Clone, Copy)]
pub struct ReversalRequest<'a> {
    /// The committed migration.
    pub migration: &'a MigrationId,
    /// Why.
    pub reason: &'a str,
    /// Tables of which rows written since may be changed or lost.
    pub lose: &'a [String],
    /// Whether commands may run.
    pub commands: &'a CommandPolicy,
    /// How control objects are moved, by the utility's name.
    pub utilities: &'a BTreeMap<String, Utility>,
}

/// The migration that is reversed, from its journal and its archive.
struct Reversed {
    plan: Plan,
    memory: Memory,
    archive: Archive,
    snapshot: Snapshot,
    folder: Folder,
    disk: Arc<dyn Disk>,
}

impl Reversed {
    /// The text of one of its scripts.
    fn text(&self, script: &Script) -> Result<String, String> {
        self.folder.script(self.disk.as_ref(), script).map_err(|error| crate::text(&error))
    }
}

/// Plans a reversal. Changes nothing; a copy of the database from the archive may lie in the state directory
/// meanwhile. The contents that the plan needs come with it.
///
/// # Errors
/// Everything that stands in the way: the migration is not one that can be reversed, another that is
/// still there builds on it, something was changed or written since.
pub fn plan_reversal(
    workplace: &Workplace,
    request: &ReversalRequest<'_>,
    databases: &mut [Box<dyn Database>],
) -> Result<(Plan, ReversalContents), PlanError> {
    backward(workplace, &mut Past::of(workplace), request, databases)
}

/// The same with a past that may have been asked before.
pub(crate) fn backward(
    workplace: &Workplace,
    past: &mut Past,
    request: &ReversalRequest<'_>,
    databases: &mut [Box<dyn Database>],
) -> Result<(Plan, ReversalContents), PlanError> {
    let one = |fault| PlanError { faults: vec![fault] };
    let reversed = read(workplace, request.migration).map_err(one)?;
    let mut faults = order::built_on(past, &reversed.plan).map_err(one)?;
    let mut contents = ReversalContents::new(&reversed.archive, &reversed.snapshot);
    let back = modules::back(&reversed.plan, &reversed.snapshot, &mut faults);
    let found = (&mut contents, &mut faults);
    let (sql, database) = database::back(workplace, &reversed, request.lose, databases, found);
    let control_objects = control_objects(&reversed, &mut contents, &mut faults);
    let enhancement = Enhancement {
        title: format!("Reversal of: {}", reversed.plan.enhancement.title),
        modules: back.changes,
        sql,
        control_objects,
        batch: batch(&reversed, &mut faults),
        after_rollback: Vec::new(),
        verify: Vec::new(),
        requires: Vec::new(),
        together_with: Vec::new(),
        conflicts_with: Vec::new(),
        ..reversed.plan.enhancement.clone()
    };
    let restored = Restored {
        attributes: back.attributes,
        reverses: Some(Reversal { migration: request.migration.clone(), database }),
        warnings: back.warnings,
    };
    let provenance =
        Provenance { reason: Some(request.reason.to_owned()), ..reversed.plan.provenance.clone() };
    let wanted = PlanRequest {
        enhancement: &enhancement,
        provenance: &provenance,
        commands: request.commands,
        // What was there before comes back as it was.
        privileged_modules: true,
        utilities: request.utilities,
        steps: &[],
    };
    let plan = planned((workplace, past), &wanted, &restored, databases, faults)?;
    Ok((plan, contents))
}

fn unreadable(migration: &MigrationId, why: &str) -> PlanFault {
    let help =
        "what a reversal needs is in the state directory; restore that, or put the system right by hand";
    PlanFault::new("reversal", migration, why, help)
}

/// Reads the migration, its archive, and whether it is one to be reversed.
fn read(workplace: &Workplace, migration: &MigrationId) -> Result<Reversed, PlanFault> {
    let lost = |error: &dyn std::error::Error| unreadable(migration, &crate::text(error));
    let refused = |why: &str, help: &str| PlanFault::new("reversal", migration, why, help);
    let disk = workplace.disk.as_ref();
    let (folder, plan, phase, records) =
        history::whole(disk, &workplace.state, migration).map_err(|error| match error {
            HistoryError::NoSuchMigration { .. } => {
                refused("there is no such migration", "see `tmp history`")
            }
            error => lost(&error),
        })?;
    if !matches!(phase, Phase::Committed | Phase::CleanedUp) {
        let why = format!("it is {phase}: only a committed migration can be reversed");
        return Err(refused(&why, "see `tmp status`"));
    }
    if plan.target.root != workplace.target.root {
        return Err(refused("it ran at another site", "name the site it ran at"));
    }
    if plan.reverses.is_some() {
        return Err(refused("it is a reversal itself", "run the trigger file again instead"));
    }
    let memory = Memory::of(&records);
    let Some(snapshot) = memory.snapshot else {
        return Err(refused("its journal names no archive", "put the system right by hand"));
    };
    let path = workplace.archive();
    let store = DirectoryStore::open(&workplace.disk, Path::new(&path)).map_err(|error| lost(&error))?;
    let archive = Archive::open(Arc::new(store)).map_err(|error| lost(&error))?;
    let snapshot = archive.read(&snapshot).map_err(|error| lost(&error))?;
    Ok(Reversed { plan, memory, archive, snapshot, folder, disk: Arc::clone(&workplace.disk) })
}

/// Each control object goes back to what was exported before it was imported.
fn control_objects(
    reversed: &Reversed,
    contents: &mut ReversalContents,
    faults: &mut Vec<PlanFault>,
) -> Vec<ControlObject> {
    let mut objects = Vec::new();
    for (index, object) in reversed.plan.enhancement.control_objects.iter().enumerate().rev() {
        match ExportedObject::new(&reversed.folder, index).read(reversed.disk.as_ref(), &reversed.folder) {
            Ok(bytes) => {
                let content = contents.script(&format!("{} as it was", object.content.name), bytes);
                objects.push(ControlObject { content, ..object.clone() });
            }
            Err(error) => faults.push(unreadable(&reversed.plan.migration, &error)),
        }
    }
    objects
}

/// Batch steps are taken back by their own commands, newest first; then what starts the old modules
/// again runs.
fn batch(reversed: &Reversed, faults: &mut Vec<PlanFault>) -> Vec<BatchStep> {
    let enhancement = &reversed.plan.enhancement;
    let mut steps = Vec::new();
    for step in enhancement.batch.iter().rev() {
        match &step.rollback {
            Some(rollback) => steps.push(BatchStep {
                name: step.name.clone(),
                run: rollback.clone(),
                rollback: Some(step.run.clone()),
                writes: step.writes.clone(),
            }),
            None if step.writes.is_empty() => {}
            None => {
                let why =
                    format!("what it wrote ({}) has no command that takes it back", step.writes.join(", "));
                let help =
                    "put that right by hand, or by `tmp archive restore`, and take the step out of the way";
                faults.push(PlanFault::new("no-way-back", &step.name, why, help));
            }
        }
    }
    let again = |(index, command): (usize, &Command)| {
        let name = format!("after-reversal-{}", index + 1).parse().ok()?;
        Some(BatchStep { name, run: command.clone(), rollback: None, writes: Vec::new() })
    };
    steps.extend(enhancement.after_rollback.iter().enumerate().filter_map(again));
    steps
}
