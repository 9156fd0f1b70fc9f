//! The phases of one migration and the one function that leads from phase to phase.
//!
//! The engine calls [`Phase::next`] before it writes a record, and again for every record it reads
//! back: a journal that could not have been written is refused on replay. The diagram in
//! `docs/format/journal.md` is generated from [`TRANSITIONS`].

use std::{fmt, iter};

use serde::{Deserialize, Serialize};

/// How far a migration has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The plan is durable; nothing was done.
    Planned,
    /// What will change is archived and the archive was read back.
    Archived,
    /// All new content is staged; the journal names every inode.
    Prepared,
    /// Modules are being switched; the databases' transaction is open.
    Applying,
    /// The commit point has passed: files and SQL are the new ones.
    Applied,
    /// The checked part runs.
    Checking,
    /// Approved. Nothing rolls back by itself any more.
    Committed,
    /// Parked inodes are gone.
    CleanedUp,
    /// The atomic part is being undone.
    RollingBack,
    /// Everything after the commit point is being undone.
    Compensating,
    /// Undone and compared.
    RolledBack,
    /// An undo failed; neither state is proven.
    RollbackFailed,
    /// A person corrected a failed rollback.
    Resolved,
}

/// The kinds of fact a journal records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// The archive is durable and was verified.
    Archived,
    /// Everything is staged.
    Prepared,
    /// The switch of modules begins.
    Switch,
    /// Every module is switched, durably.
    Switched,
    /// The commit point has passed.
    Applied,
    /// The checked part begins.
    Checking,
    /// A step of the checked part is about to run.
    StepIntent,
    /// It ran.
    StepDone,
    /// The migration is approved.
    Committed,
    /// Parked inodes were removed.
    CleanedUp,
    /// The atomic part will be undone; this decision never flips.
    RollingBack,
    /// The checked part and everything before it will be undone; this decision never flips.
    Compensating,
    /// A step of the checked part is about to be undone.
    UndoIntent,
    /// It was undone.
    UndoDone,
    /// Everything was undone and compared.
    RolledBack,
    /// An undo failed.
    RollbackFailed,
    /// A person settled a failed rollback.
    Resolved,
}

/// Every transition there is: in the first phase, this fact leads to the second.
pub const TRANSITIONS: &[(Phase, FactKind, Phase)] = {
    use FactKind as F;
    use Phase as P;
    &[
        (P::Planned, F::Archived, P::Archived),
        (P::Archived, F::Prepared, P::Prepared),
        (P::Prepared, F::Archived, P::Prepared),
        (P::Prepared, F::Switch, P::Applying),
        (P::Applying, F::Switched, P::Applying),
        (P::Applying, F::Applied, P::Applied),
        (P::Applied, F::Checking, P::Checking),
        (P::Checking, F::StepIntent, P::Checking),
        (P::Checking, F::StepDone, P::Checking),
        (P::Checking, F::Committed, P::Committed),
        (P::Committed, F::CleanedUp, P::CleanedUp),
        (P::Planned, F::RollingBack, P::RollingBack),
        (P::Archived, F::RollingBack, P::RollingBack),
        (P::Prepared, F::RollingBack, P::RollingBack),
        (P::Applying, F::RollingBack, P::RollingBack),
        (P::RollingBack, F::RolledBack, P::RolledBack),
        (P::RollingBack, F::RollbackFailed, P::RollbackFailed),
        (P::Applied, F::Compensating, P::Compensating),
        (P::Checking, F::Compensating, P::Compensating),
        (P::Compensating, F::UndoIntent, P::Compensating),
        (P::Compensating, F::UndoDone, P::Compensating),
        (P::Compensating, F::RolledBack, P::RolledBack),
        (P::Compensating, F::RollbackFailed, P::RollbackFailed),
        (P::RollbackFailed, F::Resolved, P::Resolved),
    ]
};

/// A fact does not fit the phase it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a migration that is {phase} cannot record {fact}")]
pub struct IllegalTransition {
    /// The phase.
    pub phase: Phase,
    /// The fact.
    pub fact: FactKind,
}

impl Phase {
    /// The phase after `fact`.
    ///
    /// # Errors
    /// [`TRANSITIONS`] has no such row.
    pub fn next(self, fact: FactKind) -> Result<Self, IllegalTransition> {
        TRANSITIONS
            .iter()
            .find(|(from, by, _)| *from == self && *by == fact)
            .map(|(_, _, to)| *to)
            .ok_or(IllegalTransition { phase: self, fact })
    }

    /// Whether nothing is left to do or undo at the target; clean-up may be.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Committed | Self::CleanedUp | Self::RolledBack | Self::Resolved)
    }

    /// The name in formats and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Archived => "archived",
            Self::Prepared => "prepared",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Checking => "checking",
            Self::Committed => "committed",
            Self::CleanedUp => "cleaned up",
            Self::RollingBack => "rolling back",
            Self::Compensating => "compensating",
            Self::RolledBack => "rolled back",
            Self::RollbackFailed => "rollback failed",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FactKind {
    /// The name in formats and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "ARCHIVED",
            Self::Prepared => "PREPARED",
            Self::Switch => "SWITCH",
            Self::Switched => "SWITCHED",
            Self::Applied => "APPLIED",
            Self::Checking => "CHECKING",
            Self::StepIntent => "STEP_INTENT",
            Self::StepDone => "STEP_DONE",
            Self::Committed => "COMMITTED",
            Self::CleanedUp => "CLEANED_UP",
            Self::RollingBack => "ROLLING_BACK",
            Self::Compensating => "COMPENSATING",
            Self::UndoIntent => "UNDO_INTENT",
            Self::UndoDone => "UNDO_DONE",
            Self::RolledBack => "ROLLED_BACK",
            Self::RollbackFailed => "ROLLBACK_FAILED",
            Self::Resolved => "RESOLVED",
        }
    }
}

impl fmt::Display for FactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The transitions as a Mermaid state diagram, for the documentation.
pub fn diagram() -> String {
    let state = |phase: Phase| phase.as_str().replace(' ', "_");
    let transitions =
        TRANSITIONS.iter().map(|(from, fact, to)| format!("{} --> {}: {fact}", state(*from), state(*to)));
    let ends =
        [Phase::CleanedUp, Phase::RolledBack, Phase::Resolved].map(|end| format!("{} --> [*]", state(end)));
    let lines = iter::once("[*] --> planned: BEGIN".to_owned()).chain(transitions).chain(ends);
    iter::once("stateDiagram-v2\n".to_owned()).chain(lines.map(|line| format!("    {line}\n"))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHASES: [Phase; 13] = [
        Phase::Planned,
        Phase::Archived,
        Phase::Prepared,
        Phase::Applying,
        Phase::Applied,
        Phase::Checking,
        Phase::Committed,
        Phase::CleanedUp,
        Phase::RollingBack,
        Phase::Compensating,
        Phase::RolledBack,
        Phase::RollbackFailed,
        Phase::Resolved,
    ];

    fn facts() -> Vec<FactKind> {
        let mut facts: Vec<_> = TRANSITIONS.iter().map(|(_, fact, _)| *fact).collect();
        facts.sort_unstable();
        facts.dedup();
        facts
    }

    #[test]
    fn the_table_is_a_function() {
        for (at, (from, fact, _)) in TRANSITIONS.iter().enumerate() {
            let again = TRANSITIONS.iter().skip(at + 1).any(|(f, k, _)| (f, k) == (from, fact));
            assert!(!again, "{from} has two rows for {fact}");
        }
    }

    #[test]
    fn only_what_the_table_says_is_possible() {
        let mut legal = 0;
        for phase in PHASES {
            for fact in facts() {
                let row = TRANSITIONS.iter().find(|(f, k, _)| (*f, *k) == (phase, fact));
                match phase.next(fact) {
                    Ok(to) => {
                        legal += 1;
                        assert_eq!(row.map(|r| r.2), Some(to));
                    }
                    Err(error) => {
                        assert_eq!(row, None);
                        assert_eq!(error, IllegalTransition { phase, fact });
                    }
                }
            }
        }
        assert_eq!(legal, TRANSITIONS.len());
    }

    proptest! {
        /// No sequence of facts that the machine accepts passes the commit point and comes back by
        /// the way meant for before it, or undoes what was committed.
        #[test]
        fn no_accepted_path_crosses_a_decision(choices in prop::collection::vec(0_usize..64, 0..40)) {
            let facts = facts();
            let (mut phase, mut applied, mut decided_back, mut committed) = (Phase::Planned, false, false, false);
            for choice in choices {
                let fact = facts[choice % facts.len()];
                let Ok(next) = phase.next(fact) else { continue };
                prop_assert!(!(applied && next == Phase::RollingBack));
                prop_assert!(!(decided_back && matches!(next, Phase::Applied | Phase::Checking | Phase::Committed)));
                prop_assert!(!(committed && next != Phase::CleanedUp));
                applied |= next == Phase::Applied;
                decided_back |= matches!(next, Phase::RollingBack | Phase::Compensating);
                committed |= next == Phase::Committed;
                phase = next;
            }
        }
    }

    #[test]
    fn every_phase_reaches_an_end() {
        let ends = |phase: Phase| !TRANSITIONS.iter().any(|(from, _, _)| *from == phase);
        for start in PHASES {
            let mut reached = vec![start];
            let mut at = 0;
            while let Some(phase) = reached.get(at).copied() {
                for (_, _, to) in TRANSITIONS.iter().filter(|(from, _, _)| *from == phase) {
                    if !reached.contains(to) {
                        reached.push(*to);
                    }
                }
                at += 1;
            }
            assert!(reached.into_iter().any(ends), "{start}");
        }
    }

    #[test]
    fn the_diagram() {
        insta::assert_snapshot!(diagram());
    }
}
