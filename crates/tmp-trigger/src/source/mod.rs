//! `enhancement.yaml` as its developer writes it. Format: `docs/format/enhancement.md`.

mod about;
mod replaces;
mod steps;
pub(crate) mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tmp_core::{DatabaseName, EnhancementId, Revision, SystemName};

pub(crate) use self::steps::DigestText;
pub use self::{
    about::{
        Activation, ChangeDocument, Developer, Distribution, Instructions, Label, LabelState, Output,
        Requirement, Rfs, Schedule, Testing,
    },
    replaces::{Replaces, ReplacesError},
    steps::{
        BatchEntry, CheckEntry, CommandEntry, ControlObjectEntry, DatabaseEntry, DigestEntry, ModuleEntry,
        RollbackEntry, SqlEntry,
    },
    text::{Day, Moment, Span, TextError},
};
use crate::document::TextCheck;

/// The name of the file.
pub const FILE: &str = "enhancement.yaml";

/// The version of the format this release reads.
pub const SCHEMA: &str = "tmp/enhancement/v1";

/// An enhancement: what is changed in a system, how it is taken back, and everything people need to
/// know about it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "enhancement.yaml")]
pub struct EnhancementFile {
    /// The version of this format.
    pub schema: SchemaVersion,
    /// Stable through all corrected revisions.
    pub id: EnhancementId,
    /// The corrected versions: 1, 2, …
    pub revision: Revision,
    /// One line for people.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// The system it changes.
    pub system: SystemName,
    /// Who wrote it.
    #[serde(default)]
    pub developer: Option<Developer>,
    /// The source-control label.
    #[serde(default)]
    pub label: Option<Label>,
    /// The request for service it answers.
    #[serde(default)]
    pub rfs: Option<Rfs>,
    /// The change document.
    #[serde(default)]
    pub change_document: Option<ChangeDocument>,
    /// Instructions to people.
    #[serde(default)]
    pub instructions: Option<Instructions>,
    /// When it is proposed to run.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// Where it is proposed to run.
    #[serde(default)]
    pub distribution: Option<Distribution>,
    /// What became of the developer's tests.
    #[serde(default)]
    pub testing: Option<Testing>,
    /// When and how often the application runs.
    #[serde(default)]
    pub activation: Option<Activation>,
    /// Where its outputs go.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// Enhancements that must be there before.
    #[serde(default)]
    pub requires: Vec<EnhancementId>,
    /// Enhancements that move as one unit with this one, or not at all.
    #[serde(default)]
    pub together_with: Vec<EnhancementId>,
    /// Enhancements that must not be there.
    #[serde(default)]
    pub conflicts_with: Vec<EnhancementId>,
    /// Functions whose users are told.
    #[serde(default)]
    pub affects: Vec<String>,
    /// The longest the migration may take.
    #[serde(default)]
    pub max_duration: Option<Span>,
    /// The databases it changes, by name.
    #[serde(default)]
    pub databases: BTreeMap<DatabaseName, DatabaseEntry>,
    /// The modules it puts and removes.
    #[serde(default)]
    pub modules: Vec<ModuleEntry>,
    /// The SQL changes, in the order they run.
    #[serde(default)]
    pub sql: Vec<SqlEntry>,
    /// The control objects, in the order they are imported.
    #[serde(default)]
    pub control_objects: Vec<ControlObjectEntry>,
    /// The batch steps, in the order they run.
    #[serde(default)]
    pub batch: Vec<BatchEntry>,
    /// Commands that run once the old modules are back.
    #[serde(default)]
    pub after_rollback: Vec<CommandEntry>,
    /// Checks that decide whether the migration is approved.
    #[serde(default)]
    pub verify: Vec<CheckEntry>,
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SchemaVersion {
    /// The first.
    #[serde(rename = "tmp/enhancement/v1")]
    V1,
}

fn check<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop).map_err(|error| error.to_string())
}

/// The types of this crate and of tmp-core whose texts have a grammar of their own.
pub const TEXTS: &[TextCheck] = &[
    TextCheck { schema: "EnhancementId", check: check::<EnhancementId>, help: "" },
    TextCheck { schema: "SystemName", check: check::<SystemName>, help: "" },
    TextCheck { schema: "SiteName", check: check::<tmp_core::SiteName>, help: "" },
    TextCheck { schema: "DatabaseName", check: check::<DatabaseName>, help: "" },
    TextCheck { schema: "StepName", check: check::<tmp_core::id::StepName>, help: "" },
    TextCheck { schema: "ModulePath", check: check::<tmp_core::ModulePath>, help: "" },
    TextCheck { schema: "Mode", check: check::<tmp_core::Mode>, help: "" },
    TextCheck { schema: "Digest", check: check::<tmp_core::Digest>, help: "sha256sum prints the digits" },
    TextCheck { schema: "Replaces", check: check::<Replaces>, help: "sha256sum prints the digits of a file" },
    TextCheck { schema: "Duration", check: check::<Span>, help: "" },
    TextCheck { schema: "Date", check: check::<Day>, help: "" },
    TextCheck { schema: "Moment", check: check::<Moment>, help: "" },
];
