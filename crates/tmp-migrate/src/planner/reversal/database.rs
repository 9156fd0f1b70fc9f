//! The database of a reversal: roll-back scripts, newest first, and what they may not lose.

use tmp_core::{
    database::{Database, Fingerprint, FingerprintDifferences},
    enhancement::{SqlChange, SqlRollback, TransactionMode},
    plan::{ReversedDatabase, StepWork},
};

use super::{super::PlanFault, Reversed, unreadable};

/// The SQL changes of the reversal, and what tells whether it did right.
pub(super) fn back(
    reversed: &Reversed,
    lose: &[String],
    databases: &mut [Box<dyn Database>],
    faults: &mut Vec<PlanFault>,
) -> (Vec<SqlChange>, Option<ReversedDatabase>) {
    let Some(planned) = &reversed.plan.database else { return (Vec::new(), None) };
    let memory = &reversed.memory;
    let (Some(before), Some(left)) = (&memory.before, memory.after.as_deref()) else {
        faults.push(unreadable(&reversed.plan.migration, "its journal has no fingerprint of the database"));
        return (Vec::new(), None);
    };
    let mut changes = Vec::new();
    for (index, change) in reversed.plan.enhancement.sql.iter().enumerate().rev() {
        match &change.rollback {
            SqlRollback::Script(script) if had_effect(reversed, index) => changes.push(SqlChange {
                name: format!("undo-{}", change.name).parse().unwrap_or_else(|_| change.name.clone()),
                database: change.database.clone(),
                transaction: TransactionMode::Shared,
                apply: script.clone(),
                rollback: SqlRollback::Archive,
                verify: None,
            }),
            SqlRollback::Script(_) => {}
            SqlRollback::Archive | SqlRollback::Irreversible { .. } => {
                let why = "it goes back by the archive of the database only";
                let help =
                    "restore the database by `tmp archive restore`, which loses what was written since";
                faults.push(PlanFault::new("no-way-back", &change.name, why, help));
            }
        }
    }
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
    }
    let database = ReversedDatabase { before: before.clone(), left: left.clone(), lose: lose.to_vec() };
    (changes, Some(database))
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
