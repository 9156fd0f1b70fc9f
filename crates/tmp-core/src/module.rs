//! What a program module is, and what an enhancement says it is to become.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, Mode, ModulePath};

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing.
    Absent,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, FIFO or socket: never a module.
    Special,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "nothing",
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink => "a symlink",
            Self::Special => "a special file",
        })
    }
}

/// What a module becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// A regular file with these bytes.
    File {
        /// Digest of the bytes.
        digest: Digest,
        /// How many bytes.
        size: u64,
        /// Permission bits.
        mode: Mode,
    },
    /// A directory; what it holds is listed on its own.
    Directory {
        /// Permission bits.
        mode: Mode,
    },
    /// A symbolic link.
    Symlink {
        /// The text of the link, UTF-8.
        target: String,
    },
}

impl Content {
    /// What will stand at the path.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::File { .. } => Kind::File,
            Self::Directory { .. } => Kind::Directory,
            Self::Symlink { .. } => Kind::Symlink,
        }
    }
}

/// What an enhancement does to one module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// It becomes this, whatever it was.
    Put(Content),
    /// It goes.
    Remove,
}

/// What must stand at a path before it is changed (recorded when the enhancement was packaged).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// A file with these bytes.
    File {
        /// Digest of the bytes.
        digest: Digest,
    },
    /// A directory.
    Directory,
    /// A symlink with this text.
    Symlink {
        /// The text of the link.
        target: String,
    },
}

/// The sort of thing an item is, for people and reports (IN-8).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// Code that runs.
    #[default]
    Program,
    /// Code that is interpreted by another program.
    Script,
    /// A menu or form.
    Menu,
    /// Something to read.
    Document,
    /// A description of data.
    DataDictionary,
    /// Settings.
    ControlFile,
}

/// One module of an enhancement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleChange {
    /// Where.
    pub path: ModulePath,
    /// What becomes of it.
    pub change: Change,
    /// What it must replace, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// The owner it gets, `user[:group]` by name or number; otherwise that of what it replaces, or
    /// what the parent's rules give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The sort of item.
    pub kind: ItemKind,
}

/// The attributes of a module besides its content. Change time, access time and inode number are
/// no part of a module's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// Permission bits. Those of a symlink are always `0777` on Linux.
    pub mode: Mode,
    /// Owner's numeric id.
    pub uid: u32,
    /// Group's numeric id.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes by name, ACLs (`system.posix_acl_*`) and capabilities among them. Names
    /// and values as lower-case hexadecimal in JSON, because neither need be text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "hex_map")]
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// An instant as the file system keeps it. JSON: `[seconds, nanoseconds]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(from = "(i64, u32)", into = "(i64, u32)")]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z; negative before.
    pub seconds: i64,
    /// Nanoseconds after that second, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl From<(i64, u32)> for Timestamp {
    fn from((seconds, nanoseconds): (i64, u32)) -> Self {
        Self { seconds, nanoseconds }
    }
}

impl From<Timestamp> for (i64, u32) {
    fn from(time: Timestamp) -> Self {
        (time.seconds, time.nanoseconds)
    }
}

mod hex_map {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use crate::hex;

    type Map = BTreeMap<Vec<u8>, Vec<u8>>;

    pub(super) fn serialize<S: Serializer>(map: &Map, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(name, value)| (hex::encode(name), hex::encode(value))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map, D::Error> {
        let bytes = |text: &str| hex::decode(text).ok_or_else(|| D::Error::custom("not hexadecimal"));
        BTreeMap::<String, String>::deserialize(deserializer)?
            .iter()
            .map(|(name, value)| Ok((bytes(name)?, bytes(value)?)))
            .collect()
    }
}
