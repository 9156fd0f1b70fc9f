//! `trigger.yaml`: everything a person wants to read of a trigger file, and which payload it carries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tmp_core::{Digest, EnhancementId, EnvironmentName, Revision, SystemName, enhancement::Enhancement};

use crate::{
    document::{self, Document},
    mistake::Mistakes,
    source::{
        Activation, ChangeDocument, Developer, DigestText, Distribution, Instructions, Label, Output, Rfs,
        Schedule, Span, TEXTS, Testing,
    },
};

/// The content of `trigger.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "trigger.yaml")]
pub struct TriggerHeader {
    /// The version of this format.
    pub schema: TriggerVersion,
    /// The enhancement.
    pub enhancement: EnhancementId,
    /// Its revision.
    pub revision: Revision,
    /// One line for people.
    pub title: String,
    /// The system it changes.
    pub system: SystemName,
    /// The environment it is meant for.
    pub environment: EnvironmentName,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub developer: Option<Developer>,
    /// The source-control label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// The request for service it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfs: Option<Rfs>,
    /// The change document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_document: Option<ChangeDocument>,
    /// Instructions to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<Instructions>,
    /// When it is proposed to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Where it is proposed to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// What became of the developer's tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub testing: Option<Testing>,
    /// When and how often the application runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Where its outputs go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// Enhancements that must be there before; the same as in the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<EnhancementId>,
    /// Enhancements that move as one unit with this one; the same as in the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together_with: Vec<EnhancementId>,
    /// Enhancements that must not be there; the same as in the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts_with: Vec<EnhancementId>,
    /// Functions whose users are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
    /// The longest the migration may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Span>,
    /// The files that the change document and the tests name, as they were when it was packaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// How much of what it changes.
    pub contents: Counts,
    /// What it carries: one in this version.
    pub payloads: Vec<PayloadEntry>,
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TriggerVersion {
    /// The first.
    #[serde(rename = "tmp/trigger/v1")]
    V1,
}

/// A file that people are referred to. Its bytes are not carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its name beside `enhancement.yaml`.
    pub name: String,
    /// Digest of its bytes.
    #[schemars(with = "DigestText")]
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

/// How much of what an enhancement changes. The items are in the payload's manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Modules.
    pub modules: u64,
    /// SQL changes.
    pub sql: u64,
    /// Control objects.
    pub control_objects: u64,
    /// Batch steps.
    pub batch: u64,
    /// Commands after a roll-back.
    pub after_rollback: u64,
    /// Checks.
    pub verify: u64,
}

/// One payload of a trigger file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PayloadEntry {
    /// The member that holds it.
    pub file: String,
    /// Digest of that member's bytes, as they are compressed.
    #[schemars(with = "DigestText")]
    pub digest: Digest,
    /// The payload digest: of the uncompressed bytes, whatever compressed them.
    #[schemars(with = "DigestText")]
    pub payload: Digest,
    /// How many uncompressed bytes.
    pub size: u64,
}

impl Counts {
    pub(crate) fn of(enhancement: &Enhancement) -> Self {
        Self {
            modules: enhancement.modules.len() as u64,
            sql: enhancement.sql.len() as u64,
            control_objects: enhancement.control_objects.len() as u64,
            batch: enhancement.batch.len() as u64,
            after_rollback: enhancement.after_rollback.len() as u64,
            verify: enhancement.verify.len() as u64,
        }
    }
}

impl TriggerHeader {
    /// The text of `trigger.yaml`.
    pub(crate) fn to_yaml(&self) -> Result<String, String> {
        document::write(self)
    }

    /// Reads the text of `trigger.yaml`.
    pub(crate) fn of_yaml(bytes: &[u8]) -> Result<Self, Mistakes> {
        Document::read("trigger.yaml", bytes, TEXTS, &serde_json::json!({})).finish(Vec::new())
    }

    /// The name a trigger file goes by: `late-fee-r1-model.trigger`.
    pub fn file_name(&self) -> String {
        format!("{}-r{}-{}.trigger", self.enhancement, self.revision, self.environment)
    }

    /// The first field in which this differs from what the manifest says, if any does.
    pub(crate) fn disagreement(&self, enhancement: &Enhancement) -> Option<&'static str> {
        [
            ("enhancement", self.enhancement == enhancement.id),
            ("revision", self.revision == enhancement.revision),
            ("title", self.title == enhancement.title),
            ("system", self.system == enhancement.system),
            ("requires", self.requires == enhancement.requires),
            ("together_with", self.together_with == enhancement.together_with),
            ("conflicts_with", self.conflicts_with == enhancement.conflicts_with),
            ("max_duration", self.max_duration.as_ref().map(Span::seconds) == enhancement.max_duration_s),
            ("contents", self.contents == Counts::of(enhancement)),
        ]
        .into_iter()
        .find_map(|(name, agrees)| (!agrees).then_some(name))
    }
}
