//! The little that later migrations, and people, need to know of one migration.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use tmp_core::{
    DatabaseName, Digest, EnhancementId, MigrationId, ModulePath, Phase, Revision,
    module::{Change, Content},
    plan::{Action, Operation, Plan},
};

use crate::{
    engine::Memory,
    history::{MigrationSummary, summary},
    journal::Record,
};

/// What one migration has left behind, from its plan and its journal. Fingerprints of rows, scripts and
/// identities of inodes are no part of it.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) summary: MigrationSummary,
    pub(crate) root: Utf8PathBuf,
    title: String,
    requires: Vec<EnhancementId>,
    pub(crate) database: Option<DatabaseName>,
    /// The schema of the database as it was left, where that is known.
    pub(crate) schema: Option<BTreeMap<String, Digest>>,
    operations: Vec<Switched>,
    unchanged: Vec<ModulePath>,
    /// Each module that was put, or removed.
    pub(crate) modules: Vec<(ModulePath, Option<Content>)>,
}

/// One operation: where, and whether a mode alone was changed.
#[derive(Debug, Clone)]
struct Switched {
    path: ModulePath,
    mode_only: bool,
}

impl Switched {
    fn holds(&self, path: &ModulePath) -> bool {
        !self.mode_only && path.is_below(&self.path)
    }
}

/// A committed migration that no later one reversed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub migration: MigrationId,
    /// The enhancement.
    pub enhancement: EnhancementId,
    /// Its revision.
    pub revision: Revision,
    /// What it is called.
    pub title: String,
}

impl Trace {
    pub(crate) fn new(plan: &Plan, phase: Phase, records: &[Record]) -> Self {
        let switched = |operation: &Operation| Switched {
            path: operation.path.clone(),
            mode_only: matches!(operation.action, Action::SetMode { .. }),
        };
        // Directories that appeared with what they hold are listed nowhere else.
        let staged = plan.operations.iter().flat_map(|operation| match &operation.action {
            Action::Put { staged } => staged.as_slice(),
            Action::Remove | Action::SetMode { .. } => &[],
        });
        let staged = staged.map(|module| (module.path.clone(), Some(module.content.clone())));
        let listed = plan.enhancement.modules.iter().map(|change| match &change.change {
            Change::Put(content) => (change.path.clone(), Some(content.clone())),
            Change::Remove => (change.path.clone(), None),
        });
        let schema = plan.database.as_ref().and_then(|_| Memory::of(records).after);
        Self {
            summary: summary(plan, phase, records),
            root: plan.target.root.clone(),
            title: plan.enhancement.title.clone(),
            requires: plan.enhancement.requires.clone(),
            database: plan.database.as_ref().map(|planned| planned.name.clone()),
            schema: schema.map(|after| after.schema.clone()),
            operations: plan.operations.iter().map(switched).collect(),
            unchanged: plan.unchanged.clone(),
            modules: staged.chain(listed).collect(),
        }
    }

    pub(crate) fn id(&self) -> &MigrationId {
        &self.summary.id
    }

    /// Whether nothing is going to change about it any more.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.summary.phase, Phase::CleanedUp | Phase::RolledBack | Phase::Resolved)
    }

    pub(crate) fn is_committed(&self) -> bool {
        matches!(self.summary.phase, Phase::Committed | Phase::CleanedUp)
    }

    pub(crate) fn standing(&self) -> Standing {
        Standing {
            migration: self.summary.id.clone(),
            enhancement: self.summary.enhancement.clone(),
            revision: self.summary.revision,
            title: self.title.clone(),
        }
    }

    /// Whether this later migration has to go before an earlier one can: it names a module that the earlier
    /// one changed, or one around it or in it, even where it found that one right already; it changed the
    /// same database; or it says so.
    pub(crate) fn builds_on(&self, earlier: &Self) -> bool {
        let same_database = self.database.is_some() && self.database == earlier.database;
        let overlap = || {
            earlier.operations.iter().any(|old| {
                let relies_on = |path: &ModulePath| *path == old.path || old.holds(path);
                self.operations.iter().any(|new| relies_on(&new.path) || new.holds(&old.path))
                    || self.unchanged.iter().any(relies_on)
            })
        };
        same_database || self.requires.contains(&earlier.summary.enhancement) || overlap()
    }
}
