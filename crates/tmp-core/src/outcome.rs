//! What came of a migration.

use serde::{Deserialize, Serialize};

use crate::{MigrationId, Phase, database::Undone, plan::Switch};

/// How a migration, or its recovery, ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[must_use = "an outcome other than Committed means that the change is not in place"]
pub enum Outcome {
    /// The change is in place and approved.
    Committed {
        /// The figures.
        report: Report,
    },
    /// The change was taken back; the target is proven to be as it was.
    RolledBack {
        /// Why.
        cause: String,
        /// The proof.
        comparison: Comparison,
        /// The figures.
        report: Report,
    },
    /// It could not be taken back; neither state is proven.
    RollbackFailed {
        /// Why it was to be taken back.
        cause: String,
        /// What went wrong with that.
        undo_failure: String,
        /// What is right all the same, where that is recorded.
        intact: Option<String>,
        /// The figures.
        report: Report,
    },
    /// A fact is missing that decides between forward and back, or that the way back needs. Nothing was
    /// changed after it was found missing; recover again when it can be had.
    InDoubt {
        /// The missing fact.
        missing: String,
        /// What had been undone before, as far as that is known. Empty where the way back had not
        /// begun, or nothing of it is known to have ended.
        undone: Vec<String>,
        /// The figures.
        report: Report,
    },
}

impl Outcome {
    /// The figures of any outcome.
    pub const fn report(&self) -> &Report {
        match self {
            Self::Committed { report }
            | Self::RolledBack { report, .. }
            | Self::RollbackFailed { report, .. }
            | Self::InDoubt { report, .. } => report,
        }
    }
}

/// The figures of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which one.
    pub migration: MigrationId,
    /// Where it ended.
    pub phase: Phase,
    /// Modules that the plan changes.
    pub modules: u64,
    /// Transactional SQL changes that the plan runs.
    pub sql_changes: u64,
    /// How the modules were switched.
    #[serde(default)]
    pub switch: Switch,
    /// Time from the first visible change to the last, in microseconds: around the renames, or the one rename
    /// of a whole tree, and with a database until it has committed. `None` where none became visible, or
    /// another process saw the beginning.
    pub mixture_us: Option<u64>,
    /// Time the database was locked, in microseconds.
    pub locked_us: Option<u64>,
    /// Time from start to end, in milliseconds.
    pub took_ms: u64,
    /// What a person should know that changed no outcome.
    pub findings: Vec<String>,
}

/// The proof of a rollback: everything the plan touches, compared with the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Paths compared: type, content, mode, owner, times, extended attributes, links.
    pub modules: u64,
    /// Directories around them whose modification times were compared.
    pub directories: u64,
    /// What was found of the database; `None` without one.
    pub database: Option<DatabaseComparison>,
    /// Modules that somebody else changed meanwhile; reported, never overwritten.
    pub foreign: Vec<String>,
}

/// What a rollback found of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseComparison {
    /// Its transaction never committed.
    NeverCommitted,
    /// Schema and data are exactly as before.
    Exact,
    /// The schema is exactly as before; others wrote rows since.
    SchemaOnly,
    /// It was taken back, and compared, before the rollback was interrupted.
    Earlier,
}

impl From<Undone> for DatabaseComparison {
    fn from(undone: Undone) -> Self {
        match undone {
            Undone::Exact => Self::Exact,
            Undone::Before => Self::Earlier,
            Undone::SchemaOnly => Self::SchemaOnly,
        }
    }
}
