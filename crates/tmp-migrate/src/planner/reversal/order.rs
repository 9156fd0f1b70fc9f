//! Which migrations build on one, and so have to be reversed before it.

use tmp_core::{MigrationId, plan::Plan};

use super::super::PlanFault;
use crate::{history::HistoryError, past::Past, trace::Standing, workplace::Workplace};

/// The migrations that have to be reversed so that `migration` can be: those that are there still and
/// build on it or on one another, newest first, and itself last.
///
/// # Errors
/// There is no such migration at this target, or a journal cannot be read.
pub fn reversal_order(workplace: &Workplace, migration: &MigrationId) -> Result<Vec<Standing>, HistoryError> {
    Past::of(workplace).reversal_order(&workplace.target.root, std::slice::from_ref(migration))
}

/// A fault for each migration that is there still and builds on this one.
pub(super) fn built_on(past: &mut Past, plan: &Plan) -> Result<Vec<PlanFault>, PlanFault> {
    let itself = std::slice::from_ref(&plan.migration);
    let order = past.reversal_order(&plan.target.root, itself).map_err(|error| match error {
        HistoryError::NoSuchMigration { .. } => {
            PlanFault::new("reversal", &plan.migration, "it was reversed already", "see `tmp history`")
        }
        error => super::unreadable(&plan.migration, &crate::text(&error)),
    })?;
    let later = order.iter().filter(|later| later.migration != plan.migration);
    let fault = |later: &Standing| {
        let why = format!("migration {} builds on it", later.migration);
        PlanFault::new("built-on", &later.enhancement, why, "reverse that one first")
    };
    Ok(later.map(fault).collect())
}
