//! What a journal says so far: folded fact by fact, live and on replay alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use time::OffsetDateTime;
use tmp_archive::SnapshotId;
use tmp_core::{database::Fingerprint, outcome::Comparison};

use crate::journal::{Fact, PreparedSite, Record};

/// The facts of one migration, at hand.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Memory {
    pub(crate) began: Option<OffsetDateTime>,
    pub(crate) last: Option<OffsetDateTime>,
    pub(crate) snapshot: Option<SnapshotId>,
    pub(crate) prepared: Option<PreparedSite>,
    /// Whether the switch began: before that no module was touched.
    pub(crate) switching: bool,
    pub(crate) before: Option<Fingerprint>,
    pub(crate) after: Option<Arc<Fingerprint>>,
    /// Steps that were begun, in order.
    pub(crate) started: Vec<usize>,
    /// What the database was when a step was begun, as far as TMP had left it.
    found_by: BTreeMap<usize, Arc<Fingerprint>>,
    /// What it was when a SQL step was done.
    left_by: BTreeMap<usize, Arc<Fingerprint>>,
    pub(crate) done: BTreeSet<usize>,
    /// The step whose undo was begun and did not end.
    pub(crate) undoing: Option<usize>,
    pub(crate) undone: BTreeSet<usize>,
    pub(crate) cause: Option<String>,
    pub(crate) undo_failure: Option<String>,
    pub(crate) intact: Option<String>,
    pub(crate) comparison: Option<Comparison>,
    pub(crate) findings: Vec<String>,
    pub(crate) mixture_us: Option<u64>,
    pub(crate) locked_us: Option<u64>,
}

impl Memory {
    /// What these records say.
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut memory = Self::default();
        for record in records {
            memory.absorb(record);
        }
        memory
    }

    /// Takes in the next record.
    pub(crate) fn absorb(&mut self, record: &Record) {
        self.began.get_or_insert(record.at);
        self.last = Some(record.at);
        match &record.fact {
            Fact::Archived { snapshot } => self.snapshot = Some(*snapshot),
            Fact::Prepared(site) => self.prepared = Some((**site).clone()),
            Fact::Switch { before, after } => {
                self.switching = true;
                self.before.clone_from(before);
                self.after = after.clone().map(Arc::new);
            }
            Fact::StepIntent { step, .. } => {
                self.started.push(*step);
                self.found_by.extend(self.after.clone().map(|after| (*step, after)));
            }
            Fact::StepDone { step, database } => {
                self.done.insert(*step);
                self.left(database.as_ref());
                self.left_by.extend(database.as_ref().and(self.after.clone()).map(|left| (*step, left)));
            }
            Fact::UndoIntent { step } => self.undoing = Some(*step),
            Fact::UndoDone { step, database } => {
                self.left(database.as_ref());
                self.undoing = None;
                self.undone.insert(*step);
            }
            Fact::RollingBack { cause } | Fact::Compensating { cause } => self.cause = Some(cause.clone()),
            Fact::RollbackFailed { undo_failure, intact } => {
                self.undo_failure = Some(undo_failure.clone());
                self.intact = (!intact.is_empty()).then(|| intact.clone());
            }
            Fact::RolledBack { comparison, findings } => {
                self.comparison = Some(comparison.clone());
                self.findings.clone_from(findings);
            }
            Fact::Committed { mixture_us, locked_us, findings } => {
                (self.mixture_us, self.locked_us) = (*mixture_us, *locked_us);
                self.findings.clone_from(findings);
            }
            Fact::CleanedUp { kept } => {
                self.findings.extend(kept.iter().map(|path| kept_finding(path)));
            }
            Fact::Begin { .. } | Fact::Switched | Fact::Applied | Fact::Checking | Fact::Resolved { .. } => {}
        }
    }

    /// What TMP itself wrote after COMMIT is nobody else's writing.
    fn left(&mut self, database: Option<&Fingerprint>) {
        if let Some(database) = database {
            self.after = Some(Arc::new(database.clone()));
        }
    }

    /// What the database was before a step, where nobody else wrote.
    pub(crate) fn found_by(&self, step: usize) -> Option<&Fingerprint> {
        self.found_by.get(&step).map(Arc::as_ref)
    }

    /// What the database was after a SQL step, where nobody else wrote.
    pub(crate) fn left_by(&self, step: usize) -> Option<&Fingerprint> {
        self.left_by.get(&step).map(Arc::as_ref)
    }

    /// A step that was begun and did not end: whether it had an effect is unknown.
    pub(crate) fn unfinished_step(&self) -> Option<usize> {
        self.started.iter().copied().find(|step| !self.done.contains(step))
    }

    /// Steps to undo, newest first.
    pub(crate) fn to_undo(&self) -> Vec<usize> {
        self.started.iter().rev().copied().filter(|step| !self.undone.contains(step)).collect()
    }
}

/// What a person is told of something that was kept.
pub(super) fn kept_finding(path: &str) -> String {
    format!(
        "what was at {path} was kept in the work directory: somebody changed it while TMP had it, or the archive cannot tell"
    )
}
