//! The proof of a rollback: everything the plan touches, compared with the archive.

use tmp_archive::{ArchiveError, Difference, Facet, SnapshotId};
use tmp_core::{
    event::Work,
    outcome::{Comparison, DatabaseComparison},
    plan::{Plan, StepWork},
};
use tmp_disk::{At, DiskError};

use super::{error::Stuck, run::Run};

impl Run<'_, '_> {
    /// Compares the target with the archive. What differs at a module whose old inode is back was
    /// changed by somebody else and is reported as foreign, and so is everything where no batch step
    /// was begun; what differs elsewhere is a failure.
    pub(super) fn compare(&mut self, database: Option<DatabaseComparison>) -> Result<Comparison, Stuck> {
        let since = self.site.clock().elapsed();
        let mut comparison = Comparison { database, ..Comparison::default() };
        let Some(snapshot) = self.memory.snapshot else { return Ok(comparison) };
        comparison.modules = self.site.archive.read(&snapshot)?.entries.len() as u64;
        let differences = self.differences(&snapshot)?;
        let wrote = self.batch_began();
        let (foreign, wrong): (Vec<&Difference>, Vec<&Difference>) = differences
            .iter()
            .partition(|difference| !wrote || is_switched(self.plan, &difference.path.to_string()));
        comparison.foreign = foreign.iter().map(ToString::to_string).collect();
        if !wrong.is_empty() {
            let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            return Err(Stuck::Failed {
                failure: format!("the target is not what was archived: {}", wrong.join("; ")),
                intact: "everything else that was compared is as it was archived".to_owned(),
            });
        }
        comparison.directories = self.directories_match()?;
        for foreign in comparison.foreign.clone() {
            self.finding(format!("changed by somebody else meanwhile, and left so: {foreign}"));
        }
        self.done(Work::Compare, comparison.modules, 0, since);
        Ok(comparison)
    }

    /// In what the target differs from the archive. While the next tree stands in the work directory, it has a
    /// name of every file that does not change: those are TMP's.
    pub(super) fn differences(&self, snapshot: &SnapshotId) -> Result<Vec<Difference>, ArchiveError> {
        let mut differences = self.site.archive.compare(snapshot, &self.tree)?;
        if self.home.is_some() {
            differences.retain(|difference| difference.facet != Facet::OutsideLinks);
        }
        Ok(differences)
    }

    fn batch_began(&self) -> bool {
        let mut steps = self.memory.started.iter().filter_map(|step| self.plan.steps.get(*step));
        steps.any(|step| matches!(step.work, StepWork::Batch { .. }))
    }

    /// Compares the modification times of the directories around the modules.
    fn directories_match(&mut self) -> Result<u64, Stuck> {
        let Some(prepared) = self.memory.prepared.clone() else { return Ok(0) };
        let mut compared = 0;
        for (path, mtime) in &prepared.directories {
            let (stat, shown) = match path {
                None => {
                    let at = At::itself(self.tree.root());
                    (
                        self.disk().stat(at).map_err(DiskError::at("look at", "the root"))?,
                        "the root".to_owned(),
                    )
                }
                Some(path) => (self.tree.stat(path)?, path.to_string()),
            };
            compared += 1;
            if stat.is_none_or(|stat| stat.mtime != *mtime) {
                self.finding(format!(
                    "the modification time of directory {shown} was changed by somebody else"
                ));
            }
        }
        Ok(compared)
    }
}

/// Whether a path belongs to what an operation switches.
fn is_switched(plan: &Plan, path: &str) -> bool {
    plan.operations.iter().any(|operation| {
        let top = operation.path.as_str();
        path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
    })
}
