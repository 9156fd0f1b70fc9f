//! Which migrations build on one, and so have to be reversed before it.

use tmp_core::{
    MigrationId, ModulePath, Phase,
    plan::{Action, Operation, Plan},
};

use super::super::PlanFault;
use crate::{
    history::{self, HistoryError},
    workplace::Workplace,
};

/// The migrations that have to be reversed so that `migration` can be: those that are there still and
/// build on it or on one another, newest first, and itself last.
///
/// # Errors
/// There is no such migration at this target, or a journal cannot be read.
pub fn reversal_order(workplace: &Workplace, migration: &MigrationId) -> Result<Vec<Plan>, HistoryError> {
    let mut standing = standing(workplace)?.into_iter().skip_while(|plan| plan.migration != *migration);
    let missing = || HistoryError::NoSuchMigration { id: migration.clone() };
    let mut set = vec![standing.next().ok_or_else(missing)?];
    for later in standing {
        if set.iter().any(|earlier| builds_on(&later, earlier)) {
            set.push(later);
        }
    }
    set.reverse();
    Ok(set)
}

/// A fault for each migration that is there still and builds on this one.
pub(super) fn built_on(workplace: &Workplace, plan: &Plan) -> Result<Vec<PlanFault>, PlanFault> {
    let order = reversal_order(workplace, &plan.migration).map_err(|error| match error {
        HistoryError::NoSuchMigration { .. } => {
            PlanFault::new("reversal", &plan.migration, "it was reversed already", "see `tmp history`")
        }
        error => super::unreadable(&plan.migration, &crate::text(&error)),
    })?;
    let later = order.iter().filter(|later| later.migration != plan.migration);
    let fault = |later: &Plan| {
        let why = format!("migration {} builds on it", later.migration);
        PlanFault::new("built-on", &later.enhancement.id, why, "reverse that one first")
    };
    Ok(later.map(fault).collect())
}

/// The committed migrations of this target that no later one reversed, oldest first.
fn standing(workplace: &Workplace) -> Result<Vec<Plan>, HistoryError> {
    let mut plans: Vec<Plan> = Vec::new();
    for (plan, phase, _) in history::all(workplace.disk.as_ref(), &workplace.state)? {
        if plan.target.root != workplace.target.root || !matches!(phase, Phase::Committed | Phase::CleanedUp)
        {
            continue;
        }
        match &plan.reverses {
            Some(reversal) => plans.retain(|earlier| earlier.migration != reversal.migration),
            None => plans.push(plan),
        }
    }
    Ok(plans)
}

/// Whether a later migration has to go before an earlier one can: it names a module that the earlier one
/// changed, or one around it or in it, even where it found that one right already; it changed the same
/// database; or it says so.
fn builds_on(later: &Plan, earlier: &Plan) -> bool {
    let database = |plan: &Plan| plan.database.as_ref().map(|planned| planned.name.clone());
    let same_database = database(later).is_some() && database(later) == database(earlier);
    let holds = |operation: &Operation, path: &ModulePath| {
        !matches!(operation.action, Action::SetMode { .. }) && path.is_below(&operation.path)
    };
    let overlap = earlier.operations.iter().any(|old| {
        let relies_on = |path: &ModulePath| *path == old.path || holds(old, path);
        later.operations.iter().any(|new| relies_on(&new.path) || holds(new, &old.path))
            || later.unchanged.iter().any(relies_on)
    });
    same_database || overlap || later.enhancement.requires.contains(&earlier.enhancement.id)
}
