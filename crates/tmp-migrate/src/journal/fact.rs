//! What a journal records.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tmp_archive::SnapshotId;
use tmp_core::{
    Digest, ModulePath,
    database::{Fingerprint, Marker},
    id::StepName,
    module::Timestamp,
    outcome::Comparison,
    phase::FactKind,
};
use tmp_disk::Identity;

/// A fact and when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// When, in UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What.
    pub fact: Fact,
}

/// One fact of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fact {
    /// The migration's folder is durable. Always and only the first record.
    Begin {
        /// Digest of `plan.json` in the folder.
        plan: Digest,
        /// The root it works on, absolute.
        root: String,
        /// The kernel's boot id.
        boot: String,
        /// The process.
        pid: u32,
    },
    /// The archive is durable and was read back.
    Archived {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Everything is staged; recovery needs nothing that is not named here.
    Prepared(Box<PreparedSite>),
    /// The switch begins; the database's transaction is open and marked.
    Switch {
        /// The database before the migration.
        before: Option<Fingerprint>,
        /// The database as it will be committed.
        after: Option<Fingerprint>,
    },
    /// Every module is switched, durably.
    Switched,
    /// The commit point has passed.
    Applied,
    /// The checked part begins.
    Checking,
    /// A step is about to run.
    StepIntent {
        /// Index into the plan's steps.
        step: usize,
        /// Its name.
        name: StepName,
    },
    /// It ran.
    StepDone {
        /// Index into the plan's steps.
        step: usize,
        /// The database as a SQL step left it, where nobody else had written since COMMIT.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        database: Option<Fingerprint>,
    },
    /// The migration is approved.
    Committed {
        /// Time from the first visible change to the last, in microseconds, where one process saw both.
        mixture_us: Option<u64>,
        /// Time the database was locked, in microseconds.
        locked_us: Option<u64>,
        /// What a person should know that changed no outcome.
        findings: Vec<String>,
    },
    /// The work directory is empty.
    CleanedUp {
        /// What was kept there because somebody had changed it.
        kept: Vec<String>,
    },
    /// The atomic part will be undone.
    RollingBack {
        /// Why.
        cause: String,
    },
    /// The checked part and everything before it will be undone.
    Compensating {
        /// Why.
        cause: String,
    },
    /// A step is about to be undone.
    UndoIntent {
        /// Index into the plan's steps.
        step: usize,
    },
    /// It was undone.
    UndoDone {
        /// Index into the plan's steps.
        step: usize,
        /// The database as the undo of a SQL step left it, where nobody else had written since COMMIT.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        database: Option<Fingerprint>,
    },
    /// Everything was undone and compared with the archive.
    RolledBack {
        /// The proof.
        comparison: Comparison,
        /// What a person should know that changed no outcome.
        findings: Vec<String>,
    },
    /// An undo failed.
    RollbackFailed {
        /// What went wrong.
        undo_failure: String,
        /// What is right all the same; empty where a journal does not say it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        intact: String,
    },
    /// A person settled it.
    Resolved {
        /// What the person says.
        reason: String,
        /// What TMP found at the target then.
        found: String,
    },
}

impl Fact {
    /// The kind the phase machine knows it by; `None` for [`Fact::Begin`], which makes the journal.
    pub const fn kind(&self) -> Option<FactKind> {
        Some(match self {
            Self::Begin { .. } => return None,
            Self::Archived { .. } => FactKind::Archived,
            Self::Prepared(_) => FactKind::Prepared,
            Self::Switch { .. } => FactKind::Switch,
            Self::Switched => FactKind::Switched,
            Self::Applied => FactKind::Applied,
            Self::Checking => FactKind::Checking,
            Self::StepIntent { .. } => FactKind::StepIntent,
            Self::StepDone { .. } => FactKind::StepDone,
            Self::Committed { .. } => FactKind::Committed,
            Self::CleanedUp { .. } => FactKind::CleanedUp,
            Self::RollingBack { .. } => FactKind::RollingBack,
            Self::Compensating { .. } => FactKind::Compensating,
            Self::UndoIntent { .. } => FactKind::UndoIntent,
            Self::UndoDone { .. } => FactKind::UndoDone,
            Self::RolledBack { .. } => FactKind::RolledBack,
            Self::RollbackFailed { .. } => FactKind::RollbackFailed,
            Self::Resolved { .. } => FactKind::Resolved,
        })
    }

    /// The name in formats and reports.
    pub const fn name(&self) -> &'static str {
        match self.kind() {
            Some(kind) => kind.as_str(),
            None => "BEGIN",
        }
    }
}

/// Everything recovery needs about the files of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedSite {
    /// The plan's operations, in its order.
    pub operations: Vec<PreparedOperation>,
    /// Directories whose modification time the switch disturbs, with that time; `None` is the root.
    pub directories: Vec<(Option<ModulePath>, Timestamp)>,
    /// Directories of the database's files, absolute, with their modification times.
    pub database_directories: Vec<(String, Timestamp)>,
    /// Whether the file system exchanges names; otherwise files are linked aside and replaced.
    pub exchange: bool,
    /// What proves that the database committed.
    pub marker: Option<Marker>,
    /// The trees, where the whole tree is exchanged; there are no `operations` then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<PreparedTree>,
}

/// The two trees of a migration that exchanges the whole tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedTree {
    /// The directory at the root, which will be parked.
    pub parked: Identity,
    /// The directory of the next tree.
    pub staged: Identity,
    /// The modification time of the directory that holds the root.
    pub parent: Timestamp,
}

/// The inodes of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedOperation {
    /// What was staged, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<Identity>,
    /// What stands at the path and will be parked, where something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Identity>,
}
