//! What a rehearsal proves, and how it is kept. Format: `docs/format/rehearsal.md`.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tmp_core::{
    DatabaseName, Digest, EnhancementId, EnvironmentName, Revision, SiteName, SystemName, plan::Provenance,
};
use tmp_disk::{Disk, DiskError, ensure_dirs, write_durably};

/// The version of the proof this release writes.
pub(super) const SCHEMA: &str = "tmp/rehearsal/v1";

/// What came of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// `tmp/rehearsal/v1`.
    pub schema: String,
    /// What was rehearsed: the payload digest and the digest of `trigger.yaml`.
    pub provenance: Provenance,
    /// The enhancement.
    pub enhancement: EnhancementId,
    /// Its revision.
    pub revision: Revision,
    /// The system of the target.
    pub system: SystemName,
    /// Its environment.
    pub environment: EnvironmentName,
    /// Its site.
    pub site: SiteName,
    /// What the target was.
    pub against: Against,
    /// When the rehearsal began.
    #[serde(with = "time::serde::rfc3339")]
    pub began: OffsetDateTime,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Whether everything that was rehearsed is proven.
    pub verdict: Verdict,
    /// Each SQL change alone, all of them together, and the whole migration, in this order.
    pub parts: Vec<Part>,
    /// Steps that were left out, and why.
    pub not_rehearsed: Vec<NotRehearsed>,
    /// What a person should know that decides nothing.
    pub notes: Vec<String>,
}

/// What a rehearsal ran against, in comparable digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Against {
    /// Everything at the paths that the plan switches: type, content, mode and owner.
    pub modules: Digest,
    /// The schema of each database that the plan changes.
    pub databases: BTreeMap<DatabaseName, Digest>,
}

/// What a rehearsal comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Forward, back to exactly what was, and forward again to the same.
    Proven,
    /// It differs somewhere, or fails.
    NotProven,
    /// It was not tried, because something before it failed.
    NotReached,
}

/// One thing that was rehearsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The SQL change's name, or `all-sql`, or `whole-migration`.
    pub name: String,
    /// How much it covers.
    pub scope: Scope,
    /// The way back that was rehearsed.
    pub way_back: WayBack,
    /// What it comes to.
    pub verdict: Verdict,
    /// What is wrong, where it is not proven.
    pub findings: Vec<Finding>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// How much one part of a rehearsal covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One SQL change alone.
    SqlChange,
    /// All SQL changes that share the migration's transaction.
    AllSql,
    /// Files, SQL and steps, by the engine.
    Migration,
}

/// A way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum WayBack {
    /// By the roll-back scripts.
    Scripts,
    /// By the archived database, because the enhancement says so.
    Archive,
    /// By the archived database, because the enhancement says that there is no script.
    Irreversible {
        /// Why.
        why: String,
    },
    /// By the engine's compensation.
    Compensation,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotRehearsed {
    /// The step.
    pub step: String,
    /// Why.
    pub why: String,
}

/// One way in which a roll-back can be wrong, or the way forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The way forward already fails: a statement, a verify script or a check.
    DoesNotApply,
    /// The roll-back ran and changed nothing, though the change changed something.
    RollBackEmpty,
    /// A statement of the roll-back fails.
    FailsAtStatement,
    /// After the roll-back the schema or a module is not what it was.
    RestoresSomethingElse,
    /// After the roll-back the schema is what it was and rows are not.
    RestoresSchemaNotData,
    /// After the roll-back the change fails, or gives another result than the first time.
    CannotBeAppliedAgain,
    /// The engine's way back failed, or a command after it.
    RollBackFails,
}

impl Class {
    /// Its name, which is also that of the rule which explains it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DoesNotApply => "does-not-apply",
            Self::RollBackEmpty => "roll-back-empty",
            Self::FailsAtStatement => "fails-at-statement",
            Self::RestoresSomethingElse => "restores-something-else",
            Self::RestoresSchemaNotData => "restores-schema-not-data",
            Self::CannotBeAppliedAgain => "cannot-be-applied-again",
            Self::RollBackFails => "roll-back-fails",
        }
    }
}

/// What is wrong, object by object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What sort of mistake it is.
    pub class: Class,
    /// One line for people.
    pub message: String,
    /// Where in a script, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
    /// Schema objects that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectDifference>,
    /// Tables whose rows differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableDifference>,
    /// Modules that differ, each with how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
}

impl Finding {
    pub(super) fn new(class: Class, message: impl Into<String>) -> Self {
        let (objects, tables, modules) = (Vec::new(), Vec::new(), Vec::new());
        Self { class, message: message.into(), at: None, objects, tables, modules }
    }
}

/// A place in a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The script, as it lay beside `enhancement.yaml`.
    pub script: String,
    /// The line, from 1.
    pub line: u64,
    /// The statement, from 1; `None` where the whole script is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<usize>,
}

/// A schema object that is not what it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectDifference {
    /// `kind name`.
    pub name: String,
    /// How it differs.
    pub how: How,
}

/// How something differs from what it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It is not there.
    Missing,
    /// It is there and is not to be.
    LeftOver,
    /// It is there with another definition.
    Different,
}

impl How {
    /// A few words for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::LeftOver => "left over",
            Self::Different => "different",
        }
    }
}

/// A table whose rows are not what they are to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableDifference {
    /// The table.
    pub name: String,
    /// How many rows there are to be; `None` where the table is not to be there.
    pub rows_expected: Option<u64>,
    /// How many there are; `None` where the table is not there.
    pub rows_found: Option<u64>,
}

impl Proof {
    /// Whether everything that was rehearsed is proven.
    pub const fn is_proven(&self) -> bool {
        matches!(self.verdict, Verdict::Proven)
    }

    /// The name of its file, where nothing else is said: one for each payload, environment and site, the
    /// last rehearsal in it.
    pub fn file_name(&self) -> String {
        let environment = self.environment;
        format!("{}-{environment}-{}.json", self.provenance.payload.hex(), self.site)
    }

    /// Writes it as JSON to an absolute path, replacing what is there; the directories above are made where
    /// they are missing. Durable on return.
    ///
    /// # Errors
    /// It cannot be written; what was there is there still.
    pub fn write(&self, disk: &dyn Disk, path: &Utf8Path) -> Result<(), DiskError> {
        let invalid = || DiskError::at("write", path)(std::io::ErrorKind::InvalidInput.into());
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(invalid()) };
        let mut json = serde_json::to_vec_pretty(self).map_err(|_| invalid())?;
        json.push(b'\n');
        let dir = ensure_dirs(disk, folder.as_std_path())?;
        write_durably(disk, &dir, name, &json)
    }
}
