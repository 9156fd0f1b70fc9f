//! What an enhancement changes, as its developer writes it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use tmp_core::{
    DatabaseName, Digest, Mode, ModulePath,
    enhancement::{DatabaseEngine, TransactionMode},
    id::StepName,
    module::ItemKind,
};

use super::{replaces::Replaces, text::Span};

/// A database the enhancement changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseEntry {
    /// The engine its scripts are written for.
    pub engine: DatabaseEngine,
}

/// A module, or a tree of them, that is put or removed: exactly one of `put` and `remove`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleEntry {
    /// The path below the root of the system. With a slash at its end: a tree that is merged into what
    /// is there.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub put: Option<String>,
    /// What is put there: a file, symlink or directory beside `enhancement.yaml`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub from: Option<String>,
    /// The path of a module that goes; a directory goes with everything in it.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub remove: Option<String>,
    /// The sort of item; guessed from the name where it is not given.
    #[serde(default)]
    pub kind: Option<ItemKind>,
    /// Permission bits of the files; otherwise 0755 for what its owner may run and 0644.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// `user[:group]` by name or number; otherwise that of what is replaced.
    #[serde(default)]
    pub owner: Option<String>,
    /// What must be there before: the digest of a file, `nothing`, `directory` or `{symlink: target}`. Of a
    /// tree: what the tree takes the place of.
    #[serde(default)]
    pub replaces: Option<Replaces>,
}

/// One SQL change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlEntry {
    /// Its name; no other step has it.
    pub name: StepName,
    /// The database it changes.
    pub database: DatabaseName,
    /// The script that makes the change.
    pub apply: String,
    /// How it is taken back: `archive`, a script, or `{irreversible: why}`.
    pub rollback: RollbackEntry,
    /// The script that decides whether the change is right.
    #[serde(default)]
    pub verify: Option<String>,
    /// Whether every value that `verify` returns must be true.
    #[serde(default)]
    pub assert: bool,
    /// `none` for a single statement that cannot run in a transaction.
    #[serde(default)]
    pub transaction: TransactionMode,
}

/// How a SQL change is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackEntry {
    /// The archived database is put back.
    Archive,
    /// A script.
    Script(String),
    /// Not at all.
    Irreversible(String),
}

/// An object that is moved by a utility.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlObjectEntry {
    /// The utility, which the operator configures.
    #[schemars(length(min = 1, max = 64))]
    pub utility: String,
    /// What the utility calls the object.
    #[schemars(length(min = 1, max = 1000))]
    pub object: String,
    /// The object's exported form, beside `enhancement.yaml`.
    pub from: String,
}

/// One batch step.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchEntry {
    /// Its name; no other step has it.
    pub name: StepName,
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    pub run: Vec<String>,
    /// The program and its arguments that take it back.
    #[serde(default)]
    pub rollback: Option<Vec<String>>,
    /// Globs of what it changes below the root outside of the modules.
    #[serde(default)]
    pub writes: Vec<String>,
    /// The longest each of the two may take; otherwise 10m.
    #[serde(default)]
    pub timeout: Option<Span>,
}

/// A command that runs once the old modules are back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandEntry {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    pub run: Vec<String>,
    /// The longest it may take; otherwise 10m.
    #[serde(default)]
    pub timeout: Option<Span>,
}

/// One check: exactly one of `http`, `run` and `digest`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckEntry {
    /// Its name; no other step has it.
    pub name: StepName,
    /// An address that is asked; `{site.url}` stands for the URL of the site.
    #[serde(default)]
    pub http: Option<String>,
    /// The status that passes; otherwise 200.
    #[serde(default)]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// The program and its arguments; exit code 0 passes.
    #[serde(default)]
    pub run: Option<Vec<String>>,
    /// The longest `run` may take; otherwise 10m.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// A module whose bytes are compared.
    #[serde(default)]
    pub digest: Option<DigestEntry>,
    /// It is asked again until it passes or this time is over; otherwise it is asked once.
    #[serde(default)]
    pub within: Option<Span>,
}

/// A module and the digest its bytes must have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DigestEntry {
    /// Which module.
    pub path: ModulePath,
    /// The digest.
    #[schemars(with = "DigestText")]
    pub equals: Digest,
}

/// The schema of [`Digest`].
pub(crate) struct DigestText;

impl JsonSchema for DigestText {
    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^sha256:[0-9a-f]{64}$",
            "description": "A SHA-256 digest: sha256: and 64 lower-case hexadecimal digits."
        })
    }
}

impl JsonSchema for RollbackEntry {
    fn schema_name() -> Cow<'static, str> {
        "SqlRollback".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How it is taken back: `archive`, a script, or `{irreversible: why}`.",
            "oneOf": [
                { "type": "string", "minLength": 1, "description": "`archive`, or the path of a script." },
                {
                    "type": "object",
                    "properties": { "irreversible": { "type": "string", "minLength": 1, "description": "Why." } },
                    "required": ["irreversible"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl<'de> Deserialize<'de> for RollbackEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;

        impl<'de> Visitor<'de> for Entry {
            type Value = RollbackEntry;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`archive`, a script, or {irreversible: why}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RollbackEntry, E> {
                Ok(match text {
                    "archive" => RollbackEntry::Archive,
                    script => RollbackEntry::Script(script.to_owned()),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RollbackEntry, A::Error> {
                match map.next_entry::<String, String>()? {
                    Some((key, why)) if key == "irreversible" => Ok(RollbackEntry::Irreversible(why)),
                    _ => Err(de::Error::missing_field("irreversible")),
                }
            }
        }

        deserializer.deserialize_any(Entry)
    }
}
