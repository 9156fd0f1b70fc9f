//! The validated, ordered steps of one migration. A plan is made before anything changes, shown to
//! people, copied into the journal's folder and executed from there. Format: `docs/format/plan.md`.

use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::{
    DatabaseName, Digest, EnvironmentName, MigrationId, Mode, ModulePath, SiteName, SystemName,
    database::{Fingerprint, FingerprintDifferences},
    enhancement::{Command, DatabaseEngine, Enhancement},
    id::StepName,
    module::{Attributes, Content, Kind},
};

mod confinement;

pub use confinement::{Confinement, Network};

/// The version of the plan this release writes.
pub const SCHEMA: &str = "tmp/plan/v1";

/// What one migration does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: String,
    /// The migration.
    pub migration: MigrationId,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Where it runs.
    pub target: Target,
    /// The committed migration that this one takes out again, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverses: Option<Reversal>,
    /// What is to change, as packaged; for a reversal, what changes back.
    pub enhancement: Enhancement,
    /// The modules to switch: no path is the prefix of another's, so any order will do.
    pub operations: Vec<Operation>,
    /// Modules that already are what they are to become.
    pub unchanged: Vec<ModulePath>,
    /// The database whose COMMIT is the commit point.
    pub database: Option<PlannedDatabase>,
    /// The checked part, in order.
    pub steps: Vec<PlannedStep>,
    /// What its commands are confined to; they have all rights of the caller where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<Confinement>,
    /// What the archive holds beside the operations' paths: paths that batch steps write.
    pub also_archived: Vec<ModulePath>,
    /// The next tree, where the whole tree is exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<PlannedTree>,
    /// What it takes.
    pub needs: Needs,
    /// What a person should know before it runs.
    pub warnings: Vec<String>,
}

/// Where a plan comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Digest of the trigger file's `trigger.yaml`.
    pub trigger: Digest,
    /// The payload digest.
    pub payload: Digest,
    /// Why it runs outside a window, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a reversal takes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reversal {
    /// The migration.
    pub migration: MigrationId,
    /// What it did to its database, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<ReversedDatabase>,
}

/// A database before and after a migration that is reversed: what has to come back, and what tells what
/// was written since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReversedDatabase {
    /// Before it.
    pub before: Fingerprint,
    /// As it left it.
    pub left: Fingerprint,
    /// Tables of which rows written since may be changed or lost, because a person said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lose: Vec<String>,
}

impl ReversedDatabase {
    /// Judges what a reversal's scripts made of the database, before its COMMIT: `found` is what they found,
    /// `becomes` what they leave. The schema must be the one before; so must the rows, but in tables that
    /// were written to since, and those must not have been changed at all unless a person said so.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn judge(&self, found: &Fingerprint, becomes: &Fingerprint) -> Result<(), String> {
        let since = self.left.differences(found).data;
        let moved = found.differences(becomes).data;
        if let Some(table) = since.iter().find(|table| moved.contains(table) && !self.lose.contains(table)) {
            return Err(format!("rows of table {table} that were written since would be changed or lost"));
        }
        let FingerprintDifferences { schema, mut data } = self.before.differences(becomes);
        data.retain(|table| !since.contains(table));
        let wrong = FingerprintDifferences { schema, data };
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("the roll-back scripts do not restore it: {wrong}"))
        }
    }
}

/// Where a migration runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The system.
    pub system: SystemName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The site.
    pub site: SiteName,
    /// The tree of modules, absolute.
    pub root: Utf8PathBuf,
    /// TMP's work directory on the root's own mount, absolute.
    pub work: Utf8PathBuf,
    /// The site's URL, for checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Globs of live data below the root: never archived whole, never switched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Whether the root may lie on a file system that does not survive a power loss.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    /// How modules are switched.
    #[serde(default, skip_serializing_if = "Switch::is_files")]
    pub switch: Switch,
}

/// How the modules of a site are switched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// One by one.
    #[default]
    Files,
    /// All at once: the whole tree is exchanged with its next state by one rename.
    Atomic,
}

impl Switch {
    /// Whether it is the one that formats leave out.
    pub const fn is_files(&self) -> bool {
        matches!(self, Self::Files)
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Atomic => "atomic",
        })
    }
}

/// What the next state of a tree that is exchanged as a whole is made of, besides what the operations
/// stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedTree {
    /// Directories that are made anew.
    pub directories: u64,
    /// Names of files and symlinks that do not change and get a second name.
    pub linked: u64,
    /// The bytes of those, which are copied only where a second name cannot be given.
    pub linked_bytes: u64,
    /// Files that get an inode of their own, because their mode changes or a batch step writes them.
    pub copied: u64,
    /// The bytes of those.
    pub copied_bytes: u64,
}

/// One switch of one path, and everything below it. Where the whole tree is exchanged, what its next state
/// differs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Where.
    pub path: ModulePath,
    /// What stands there now.
    pub replaces: Kind,
    /// What is done.
    pub action: Action,
}

/// What an operation does to its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Staged content takes the path: added where nothing stands, exchanged otherwise.
    Put {
        /// The module at the path first, then what it holds, parents before children.
        staged: Vec<StagedModule>,
    },
    /// What stands there is parked.
    Remove,
    /// The permission bits change in place; the content is right already.
    SetMode {
        /// The old bits.
        from: Mode,
        /// The new bits.
        to: Mode,
    },
}

/// One module made in the work directory before the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagedModule {
    /// Where it will stand.
    pub path: ModulePath,
    /// What it is.
    pub content: Content,
    /// The owner the enhancement asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The attributes it gets where they are known from an archive; otherwise those of what it replaces, or
    /// what the parent's rules give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
}

/// The database whose COMMIT is the commit point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedDatabase {
    /// Its name.
    pub name: DatabaseName,
    /// Its engine.
    pub engine: DatabaseEngine,
    /// What is worth knowing of it: version, journal mode.
    pub notes: Vec<String>,
    /// The directories that hold its files, absolute: their modification times are put back.
    pub directories: Vec<Utf8PathBuf>,
}

/// The step that compares every switched module.
pub const POST_IMAGE: &str = "post-image";

/// The step as which the commands after a rollback run.
pub const AFTER_ROLLBACK: &str = "after-rollback";

/// How the steps of control objects begin; their number follows, from 1.
pub const CONTROL_OBJECT: &str = "control-object-";

/// Whether a step of the engine's own has this name, or may have.
pub fn is_engines_own(name: &StepName) -> bool {
    let name = name.as_str();
    name == POST_IMAGE || name == AFTER_ROLLBACK || name.starts_with(CONTROL_OBJECT)
}

/// One step of the checked part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// Its name; unique in the plan.
    pub name: StepName,
    /// What it does.
    pub work: StepWork,
}

/// What a step of the checked part does. Indices point into the enhancement's lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StepWork {
    /// Compares every switched module with what was planned.
    PostImage,
    /// Runs `sql[index]` outside a transaction.
    Sql {
        /// Index into `sql`.
        index: usize,
    },
    /// Exports, then imports `control_objects[index]`.
    ControlObject {
        /// Index into `control_objects`.
        index: usize,
        /// The utility's commands with this object filled in.
        commands: UtilityCommands,
    },
    /// Runs `batch[index]`.
    Batch {
        /// Index into `batch`.
        index: usize,
    },
    /// Runs a step of the embedder's own.
    Own {
        /// What it does.
        describe: String,
        /// What its undo does.
        describe_undo: String,
    },
    /// Asks `verify[index]`.
    Check {
        /// Index into `verify`.
        index: usize,
    },
}

/// How one control object is moved by its utility. `{file}` stands for the file to write or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UtilityCommands {
    /// Writes the object as it is now to `{file}`: the way back.
    pub export: Command,
    /// Puts `{file}` in place.
    pub import: Command,
    /// Says whether what is there is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Command>,
}

/// What a migration takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// On the root's file system, for staged content.
    pub staged: u64,
    /// Inodes there.
    pub inodes: u64,
    /// On the state directory's file system: the archive before compression and deduplication.
    pub archive: u64,
    /// There, for the journal.
    pub journal: u64,
}

impl Plan {
    /// How many modules it changes.
    pub fn modules(&self) -> u64 {
        let count = |operation: &Operation| match &operation.action {
            Action::Put { staged } => staged.len(),
            Action::Remove | Action::SetMode { .. } => 1,
        };
        self.operations.iter().map(count).map(|n| n as u64).sum()
    }
}
