//! Ids of snapshots.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tmp_core::MigrationId;

/// Identifies a snapshot. Sorts by the time it was made (UUID version 7, RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId(u128);

/// A text is not a snapshot's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a snapshot's id: a UUID in lower case with hyphens")]
pub struct SnapshotIdError {
    /// The text, shortened.
    pub text: String,
}

impl SnapshotId {
    /// The id with these 128 bits, which the caller took from a UUID version 7.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        MigrationId::from_bits(self.0).fmt(f)
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SnapshotId {
    type Err = SnapshotIdError;

    fn from_str(text: &str) -> Result<Self, SnapshotIdError> {
        let id: MigrationId =
            text.parse().map_err(|_| SnapshotIdError { text: text.chars().take(80).collect() })?;
        Ok(Self(id.bits()))
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = SnapshotIdError;

    fn try_from(text: String) -> Result<Self, SnapshotIdError> {
        text.parse()
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.to_string()
    }
}
