//! `tmp.yaml` as people write it. Format: `docs/format/tmp-yaml.md`.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use tmp_core::{DatabaseName, SiteName, SystemName};

/// The configuration of TMP: systems, their environments and sites, and what may be done there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "tmp.yaml")]
pub(crate) struct TmpYaml {
    /// The version of this format.
    #[expect(dead_code, reason = "there is one version, and reading checks it")]
    pub(crate) schema: Version,
    /// The state directory: journals and archive. A relative path starts at this file.
    pub(crate) state: String,
    /// What enhancements may do.
    #[serde(default)]
    pub(crate) policy: Policy,
    /// How control objects are moved, by the utility's name.
    #[serde(default)]
    pub(crate) utilities: BTreeMap<String, Utility>,
    /// The systems that are changed, by name.
    #[serde(default)]
    pub(crate) systems: BTreeMap<SystemName, System>,
    #[serde(default)]
    pub(crate) ledger: Option<NotYet>,
    #[serde(default)]
    pub(crate) archive: Option<NotYet>,
    #[serde(default)]
    pub(crate) people: Option<NotYet>,
    #[serde(default)]
    pub(crate) windows: Option<NotYet>,
    #[serde(default)]
    pub(crate) freezes: Option<NotYet>,
    #[serde(default)]
    pub(crate) notify: Option<NotYet>,
    #[serde(default)]
    pub(crate) smtp: Option<NotYet>,
}

/// The version of the format.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum Version {
    /// The only one there is.
    #[serde(rename = "tmp/v1")]
    V1,
}

/// What enhancements may do.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// Whether enhancements may run commands: batch steps, checks by command, commands after a
    /// rollback, utilities. Commands are forbidden where nothing is said.
    #[serde(default)]
    pub(crate) commands: Option<Commands>,
    /// Whether modules may be set-user-id or set-group-id. Refused where nothing is said.
    #[serde(default)]
    pub(crate) privileged_modules: Option<PrivilegedModules>,
    #[serde(default)]
    pub(crate) sign_offs: Option<NotYet>,
    #[serde(default)]
    pub(crate) developer_may_approve_own: Option<NotYet>,
    #[serde(default)]
    pub(crate) rehearsal: Option<NotYet>,
    #[serde(default)]
    pub(crate) signatures: Option<NotYet>,
    #[serde(default)]
    pub(crate) on_rejected_acceptance: Option<NotYet>,
}

/// Whether enhancements may run commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Commands {
    /// They may, with all rights of whoever runs TMP.
    Allowed,
    /// They may not; what needs a command is refused before anything is changed.
    Forbidden,
    /// They may, confined to what they are granted. Refused where the machine cannot do that.
    Confined,
}

/// Whether modules may take another identity when they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PrivilegedModules {
    /// They may not: a plan with one is refused.
    Refused,
    /// They may; the plan shows them.
    Allowed,
}

/// What confined commands of a system may use besides its tree, the programs of the machine and a temporary
/// directory of their own. Absolute paths, each with everything below it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grants {
    /// Paths that they may read and run. A relative path starts at this file.
    #[serde(default)]
    pub(crate) read: Vec<String>,
    /// Paths that they may change as well.
    #[serde(default)]
    pub(crate) write: Vec<String>,
    /// Whether they reach a network.
    #[serde(default)]
    pub(crate) network: Network,
    /// TCP ports that they may connect to, where `network` is `none`. UDP is open then.
    #[serde(default)]
    pub(crate) connect: Vec<u16>,
    /// How much memory all processes of one command may use together, temporary files included.
    #[serde(default)]
    pub(crate) memory: Option<Size>,
    /// How many processes and threads one command may have.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(crate) processes: Option<u32>,
}

/// Whether confined commands reach a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    /// No network, not even this machine.
    #[default]
    None,
    /// Everything.
    Any,
}

/// A number of bytes: `512MiB`, `2GiB`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Size(pub(crate) String);

/// The commands of a utility. `{object}` stands for the object's name, `{file}` for its file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Utility {
    /// Writes the object as it is to the file: the way back.
    #[schemars(length(min = 1))]
    pub(crate) export: Vec<String>,
    /// Puts the file in place.
    #[schemars(length(min = 1))]
    pub(crate) import: Vec<String>,
    /// Says whether what is there is right.
    #[serde(default)]
    pub(crate) verify: Option<Vec<String>>,
}

/// One system.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct System {
    /// Globs of live data below the roots: never archived whole, never switched.
    #[serde(default)]
    pub(crate) ignore: Vec<String>,
    /// What its commands may use where policy confines them.
    #[serde(default)]
    pub(crate) commands: Option<Grants>,
    /// Where enhancements are accepted.
    #[serde(default)]
    pub(crate) model: Option<Environment>,
    /// Where users work.
    #[serde(default)]
    pub(crate) production: Option<Environment>,
}

/// One environment of a system.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Environment {
    /// Where it is installed, by name.
    pub(crate) sites: BTreeMap<SiteName, Site>,
    #[serde(default)]
    pub(crate) window: Option<NotYet>,
    #[serde(default)]
    pub(crate) phases: Option<NotYet>,
    #[serde(default)]
    pub(crate) warranty: Option<NotYet>,
}

/// One place where an environment is installed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Site {
    /// The tree of modules. A relative path starts at this file.
    pub(crate) root: String,
    /// The work directory, on the root's own mount: outside the root, or `ROOT/.tmp-work` where the
    /// root is a mount itself. Beside the root where nothing is said.
    #[serde(default)]
    pub(crate) work: Option<String>,
    /// The site's databases, by the name enhancements use.
    #[serde(default)]
    pub(crate) databases: BTreeMap<DatabaseName, Database>,
    /// The address that stands for `{site.url}` in checks.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// How modules are switched: one by one, or the whole tree at once.
    #[serde(default)]
    pub(crate) switch: Switch,
    /// Whether the root may lie on a file system that does not survive a power loss.
    #[serde(default)]
    pub(crate) ephemeral: bool,
    #[serde(default)]
    pub(crate) quiet: Option<NotYet>,
}

/// One database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    /// The file of a SQLite database. A relative path starts at this file.
    #[serde(default)]
    pub(crate) sqlite: Option<String>,
    #[serde(default)]
    pub(crate) postgres: Option<NotYet>,
    #[serde(default)]
    pub(crate) mysql: Option<NotYet>,
    #[serde(default)]
    pub(crate) mariadb: Option<NotYet>,
}

/// How modules are switched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Switch {
    /// One by one, each by one rename.
    #[default]
    Files,
    /// All at once: the whole tree is exchanged with what it becomes by one rename. For trees that hold nothing
    /// but modules: no live data, no database.
    Atomic,
}

impl From<Switch> for tmp_core::plan::Switch {
    fn from(switch: Switch) -> Self {
        match switch {
            Switch::Files => Self::Files,
            Switch::Atomic => Self::Atomic,
        }
    }
}

/// Something that later releases read. It is refused here: a window that is not kept would be a lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotYet;

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for NotYet {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NotYet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "description": "Refused by this release, which does not do this yet." })
    }
}
