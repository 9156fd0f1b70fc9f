//! What an enhancement changes: the content of `manifest.json`, the first member of a payload.
//!
//! Everything here is part of the payload digest, so everything here is approved by whoever approves
//! that digest. Format: `docs/format/trigger.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    DatabaseName, Digest, EnhancementId, ModulePath, Revision, SystemName, id::StepName, module::ModuleChange,
};

/// The version of the manifest this release writes.
pub const SCHEMA: &str = "tmp/payload/v1";

/// One enhancement in one revision, as it is migrated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enhancement {
    /// [`SCHEMA`].
    pub schema: String,
    /// Stable through all revisions.
    pub id: EnhancementId,
    /// Which corrected version.
    pub revision: Revision,
    /// One line for people.
    pub title: String,
    /// The system it changes.
    pub system: SystemName,
    /// The databases it changes and the engine each was written for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub databases: BTreeMap<DatabaseName, DatabaseEngine>,
    /// Modules, ordered by path, each path once.
    pub modules: Vec<ModuleChange>,
    /// SQL changes in the order they run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<SqlChange>,
    /// Control objects in the order they are imported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub control_objects: Vec<ControlObject>,
    /// Batch steps in the order they run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batch: Vec<BatchStep>,
    /// Commands run once the old modules are back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_rollback: Vec<Command>,
    /// Checks that decide whether the migration is approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<Check>,
    /// Enhancements that must be there before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<EnhancementId>,
    /// Enhancements that move as one unit with this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together_with: Vec<EnhancementId>,
    /// Enhancements that must not be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts_with: Vec<EnhancementId>,
    /// The longest the migration may take, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration_s: Option<u64>,
}

impl Enhancement {
    /// The first revision of an enhancement that changes nothing yet.
    pub fn new(id: EnhancementId, system: SystemName, title: impl Into<String>) -> Self {
        Self {
            schema: SCHEMA.into(),
            id,
            revision: Revision::FIRST,
            title: title.into(),
            system,
            databases: BTreeMap::new(),
            modules: Vec::new(),
            sql: Vec::new(),
            control_objects: Vec::new(),
            batch: Vec::new(),
            after_rollback: Vec::new(),
            verify: Vec::new(),
            requires: Vec::new(),
            together_with: Vec::new(),
            conflicts_with: Vec::new(),
            max_duration_s: None,
        }
    }
}

/// A database engine.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseEngine {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL.
    Postgresql,
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

impl std::fmt::Display for DatabaseEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgresql => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Mariadb => "MariaDB",
        })
    }
}

/// A script that came with the enhancement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Where it lay beside `enhancement.yaml`: for people and error messages.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

/// One SQL change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlChange {
    /// Its name.
    pub name: StepName,
    /// The database it changes.
    pub database: DatabaseName,
    /// Whether it shares the migration's transaction.
    pub transaction: TransactionMode,
    /// Makes the change.
    pub apply: Script,
    /// How it is taken back once it was committed.
    pub rollback: SqlRollback,
    /// Decides whether the change is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<SqlVerify>,
}

/// Whether a SQL change shares the migration's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
pub enum TransactionMode {
    /// It does.
    #[default]
    Shared,
    /// Its single statement cannot run in a transaction; it runs after COMMIT.
    None,
}

/// How a SQL change is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SqlRollback {
    /// By a script.
    Script(Script),
    /// By putting the archived database back.
    Archive,
    /// Not at all once it is committed.
    Irreversible {
        /// Why.
        why: String,
    },
}

/// A SQL change's verify script. It runs in a savepoint that is rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlVerify {
    /// The script: it passes when it ends without error.
    pub script: Script,
    /// And, with this, when every value it returns is true.
    pub assert: bool,
}

/// An object that is moved by a utility of the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlObject {
    /// The utility, configured by the operator.
    pub utility: String,
    /// What the utility calls the object.
    pub object: String,
    /// The object's exported form.
    pub content: Script,
}

/// A program and its arguments; no shell reads them. The working directory is the root of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program first. A program with a `/` is found below the root; one without is looked up in `PATH`.
    pub run: Vec<String>,
    /// The longest it may take, in whole seconds.
    pub timeout_s: u64,
}

/// One batch step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchStep {
    /// Its name.
    pub name: StepName,
    /// Does it.
    pub run: Command,
    /// Takes it back, before what it `writes` is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Command>,
    /// Globs of what it changes below the root outside the modules: archived before, restored after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<String>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name.
    pub name: StepName,
    /// What is checked.
    pub probe: Probe,
    /// It is asked again until it passes or this many whole seconds are over; 0 asks once.
    pub within_s: u64,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Probe {
    /// A command passes when it exits with 0.
    Command(Command),
    /// A GET passes with this status.
    Http {
        /// The address; `{site.url}` stands for the URL of the site.
        url: String,
        /// The status that passes.
        status: u16,
    },
    /// A module passes when its bytes have this digest.
    Digest {
        /// Which module.
        path: ModulePath,
        /// The digest.
        digest: Digest,
    },
}

impl Enhancement {
    /// The digests of every script, in the order in which a payload holds them.
    pub fn scripts(&self) -> impl Iterator<Item = &Script> {
        let sql = self.sql.iter().flat_map(|change| {
            let rollback = match &change.rollback {
                SqlRollback::Script(script) => Some(script),
                SqlRollback::Archive | SqlRollback::Irreversible { .. } => None,
            };
            let verify = change.verify.as_ref().map(|verify| &verify.script);
            [Some(&change.apply), rollback, verify].into_iter().flatten()
        });
        sql.chain(self.control_objects.iter().map(|object| &object.content))
    }

    /// Whether it runs any command of its own.
    pub fn runs_commands(&self) -> bool {
        !self.batch.is_empty()
            || !self.after_rollback.is_empty()
            || self.verify.iter().any(|check| matches!(check.probe, Probe::Command(_)))
    }
}
