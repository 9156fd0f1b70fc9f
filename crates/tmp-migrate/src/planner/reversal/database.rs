//! The database of a reversal: roll-back scripts, newest first, and what they may not lose.

use std::path::Path;

use tmp_core::{
    DatabaseName,
    database::{Database, Fingerprint, FingerprintDifferences},
    enhancement::{Script, SqlChange, SqlRollback, TransactionMode},
    plan::{ReversedDatabase, StepWork},
};
use tmp_disk::{At, ensure_dirs, remove_tree};

use super::{super::PlanFault, ReversalContents, Reversed, unreadable};
use crate::workplace::Workplace;

/// The SQL changes of the reversal, and what tells whether it did right. Where one of the changes goes back
/// by the archive only, all of them do: by a script that is written from the archived copy.
pub(super) fn back(
    workplace: &Workplace,
    reversed: &Reversed,
    lose: &[String],
    databases: &mut [Box<dyn Database>],
    (contents, faults): (&mut ReversalContents, &mut Vec<PlanFault>),
) -> (Vec<SqlChange>, Option<ReversedDatabase>) {
    let Some(planned) = &reversed.plan.database else { return (Vec::new(), None) };
    let memory = &reversed.memory;
    let (Some(before), Some(left)) = (&memory.before, memory.after.as_deref()) else {
        faults.push(unreadable(&reversed.plan.migration, "its journal has no fingerprint of the database"));
        return (Vec::new(), None);
    };
    let mut changes = Vec::new();
    if let Some(database) = databases.iter_mut().find(|database| *database.name() == planned.name) {
        let now = database.fingerprint();
        database.release();
        match now {
            Ok(now) => written_since(before, left, &now, lose, faults),
            Err(error) => {
                let help = "the database must answer before a migration is planned";
                faults.push(PlanFault::new("database", &planned.name, crate::text(&error), help));
            }
        }
        let by_script = |change: &SqlChange| matches!(change.rollback, SqlRollback::Script(_));
        if reversed.plan.enhancement.sql.iter().all(by_script) {
            changes = by_scripts(reversed, contents, faults);
        } else {
            match from_archive(workplace, reversed, database.as_mut(), &before.differences(left)) {
                Ok(text) => {
                    let script = contents.script("what the archive holds", text.into_bytes());
                    changes.extend(change("from-the-archive", &planned.name, script));
                }
                Err(why) => {
                    let help = "restore the copy of the database by hand: `tmp archive restore --to`";
                    faults.push(PlanFault::new("no-way-back", &planned.name, why, help));
                }
            }
        }
    }
    let database = ReversedDatabase { before: before.clone(), left: left.clone(), lose: lose.to_vec() };
    (changes, Some(database))
}

fn change(name: &str, database: &DatabaseName, apply: Script) -> Option<SqlChange> {
    Some(SqlChange {
        name: name.parse().ok()?,
        database: database.clone(),
        transaction: TransactionMode::Shared,
        apply,
        rollback: SqlRollback::Archive,
        verify: None,
    })
}

/// The roll-back scripts, newest first.
fn by_scripts(
    reversed: &Reversed,
    contents: &mut ReversalContents,
    faults: &mut Vec<PlanFault>,
) -> Vec<SqlChange> {
    let mut changes = Vec::new();
    for (index, applied) in reversed.plan.enhancement.sql.iter().enumerate().rev() {
        let SqlRollback::Script(script) = &applied.rollback else { continue };
        if !had_effect(reversed, index) {
            continue;
        }
        match reversed.text(script) {
            Ok(text) => {
                contents.add(text.into_bytes());
                let name = format!("undo-{}", applied.name);
                let undo = change(&name, &applied.database, script.clone());
                changes.extend(
                    undo.or_else(|| change(applied.name.as_str(), &applied.database, script.clone())),
                );
            }
            Err(error) => faults.push(unreadable(&reversed.plan.migration, &error)),
        }
    }
    changes
}

/// A script that makes what the migration changed what it is in the archived copy. The copy lies in the
/// state directory meanwhile.
fn from_archive(
    workplace: &Workplace,
    reversed: &Reversed,
    database: &mut dyn Database,
    objects: &FingerprintDifferences,
) -> Result<String, String> {
    let disk = workplace.disk.as_ref();
    let state = ensure_dirs(disk, Path::new(&workplace.state)).map_err(|error| crate::text(&error))?;
    let name = format!("copy-{}", crate::ids::new_id(workplace.clock.now()));
    let at = At::new(&state, &name);
    let script = reversed
        .archive
        .extract_database(&reversed.snapshot.info.id, database.name(), at, disk)
        .map_err(|error| crate::text(&error))
        .and_then(|()| {
            let path = workplace.state.join(&name);
            database.script_from(Path::new(&path), objects).map_err(|error| crate::text(&error))
        });
    let removed = remove_tree(disk, at).map_err(|error| crate::text(&error));
    script.and_then(|script| removed.map(|()| script))
}

/// Whether a statement outside the transaction changed anything: VACUUM does not.
fn had_effect(reversed: &Reversed, index: usize) -> bool {
    let step = reversed
        .plan
        .steps
        .iter()
        .position(|step| matches!(step.work, StepWork::Sql { index: of } if of == index));
    step.is_none_or(|step| reversed.memory.found_by(step) != reversed.memory.left_by(step))
}

/// Refuses where rows were written since to a table that goes back.
fn written_since(
    before: &Fingerprint,
    left: &Fingerprint,
    now: &Fingerprint,
    lose: &[String],
    faults: &mut Vec<PlanFault>,
) {
    let differences = before.differences(left);
    for table in left.differences(now).data.into_iter().filter(|table| touched(&differences, table)) {
        if lose.contains(&table) {
            continue;
        }
        let rows = |of: &Fingerprint| of.data.get(&table).map_or(0, |table| table.rows);
        let why = format!(
            "it was written to since: {} rows then, {} now; the reversal would change or lose that",
            rows(left),
            rows(now)
        );
        let help = "keep the migration, or say that those rows may go: --lose TABLE";
        faults.push(PlanFault::new("rows", &table, why, help));
    }
}

/// Whether a migration changed a table's rows or its definition.
fn touched(differences: &FingerprintDifferences, table: &str) -> bool {
    differences.data.iter().any(|changed| changed == table)
        || differences.schema.iter().any(|object| object.strip_prefix("table ") == Some(table))
}
