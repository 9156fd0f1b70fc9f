//! Names and numbers that identify things. Each is checked when it is made and never again.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text does not fit the rules of a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not {what}: 1 to 64 characters, lower-case letters, digits, '-', '_' and '.', \
     beginning with a letter or digit"
)]
pub struct NameError {
    /// What the name would have identified.
    pub what: &'static str,
    /// The text, shortened.
    pub text: String,
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 64
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if is_name(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { what: $what, text: text.chars().take(80).collect() })
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$",
                    "description": concat!("The name of ", $what, ".")
                })
            }
        }
    };
}

name!(
    /// Identifies an enhancement through all its revisions.
    EnhancementId, "an enhancement"
);
name!(
    /// A software system: a set of program modules and databases.
    SystemName, "a system"
);
name!(
    /// One place where an environment of a system is installed.
    SiteName, "a site"
);
name!(
    /// A database of a system, as enhancements refer to it.
    DatabaseName, "a database"
);
name!(
    /// One step of a migration: a SQL change, a batch step, a check.
    StepName, "a step"
);

/// The corrected versions of an enhancement: 1, 2, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(!try_from, !into)]
pub struct Revision(#[schemars(range(min = 1, max = 4_294_967_295_u32))] u32);

/// A number is not a revision: revisions count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a revision is a whole number from 1")]
pub struct RevisionError;

impl Revision {
    /// The one that every enhancement begins with.
    pub const FIRST: Self = Self(1);
}

impl TryFrom<u32> for Revision {
    type Error = RevisionError;

    fn try_from(number: u32) -> Result<Self, RevisionError> {
        if number == 0 { Err(RevisionError) } else { Ok(Self(number)) }
    }
}

impl From<Revision> for u32 {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The two environments of every system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnvironmentName {
    /// Where an enhancement is accepted.
    Model,
    /// Where users work.
    Production,
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Production => "production",
        })
    }
}

/// One execution of a plan. Sorts by the time it was made (UUID version 7, RFC 9562).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct MigrationId(String);

/// A text is not a migration's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a migration's id: a UUID in lower case with hyphens")]
pub struct MigrationIdError {
    /// The text, shortened.
    pub text: String,
}

impl MigrationId {
    /// The id with these 128 bits, which the caller took from a UUID version 7.
    pub fn from_bits(bits: u128) -> Self {
        let hex = format!("{bits:032x}");
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        Self(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 128 bits.
    pub fn bits(&self) -> u128 {
        self.0.bytes().filter_map(|b| char::from(b).to_digit(16)).fold(0, |bits, d| bits << 4 | u128::from(d))
    }
}

impl TryFrom<String> for MigrationId {
    type Error = MigrationIdError;

    fn try_from(text: String) -> Result<Self, MigrationIdError> {
        let fits = text.len() == 36
            && text.bytes().enumerate().all(|(at, b)| match at {
                8 | 13 | 18 | 23 => b == b'-',
                _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            });
        if fits { Ok(Self(text)) } else { Err(MigrationIdError { text: text.chars().take(80).collect() }) }
    }
}

impl FromStr for MigrationId {
    type Err = MigrationIdError;

    fn from_str(text: &str) -> Result<Self, MigrationIdError> {
        text.to_owned().try_into()
    }
}

impl From<MigrationId> for String {
    fn from(id: MigrationId) -> Self {
        id.0
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_shape() {
        for good in ["a", "late-fee", "0.x_y", &"a".repeat(64)] {
            assert_eq!(good.parse::<EnhancementId>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".a", "A", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(bad.parse::<EnhancementId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_migration_id_keeps_its_bits() {
        let id = MigrationId::from_bits(0x0190_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001);
        assert_eq!(id.as_str(), "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0001");
        assert_eq!(id.as_str().parse::<MigrationId>().unwrap().bits(), id.bits());
        assert!("0190aaaa-bbbb-7ccc-8ddd-eeeeffff000G".parse::<MigrationId>().is_err());
        assert!("../../etc".parse::<MigrationId>().is_err());
    }

    #[test]
    fn revisions_count_from_one() {
        assert_eq!(Revision::try_from(0), Err(RevisionError));
        assert_eq!(u32::from(Revision::try_from(3).unwrap()), 3);
    }
}
