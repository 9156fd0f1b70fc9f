//! What a module replaces, as its developer writes it.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use tmp_core::{Digest, module::Expected};

/// What must be there before: the digest of a file, `nothing`, `directory` or `{symlink: target}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces(pub Expected);

const WHAT: &str = "a digest, `nothing`, `directory` or {symlink: target}";

/// A text says nothing of what must be there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplacesError {
    /// A digest that is none.
    #[error("{0}")]
    Digest(String),
    /// Something else.
    #[error("{text:?} is not what a module can replace: {WHAT}")]
    Unknown {
        /// The text, shortened.
        text: String,
    },
}

impl FromStr for Replaces {
    type Err = ReplacesError;

    fn from_str(text: &str) -> Result<Self, ReplacesError> {
        let digest = |text: &str| text.parse::<Digest>().map_err(|error| error.to_string());
        Ok(Self(match text {
            "nothing" => Expected::Absent,
            "directory" => Expected::Directory,
            _ if text.starts_with("sha256:") => {
                Expected::File { digest: digest(text).map_err(ReplacesError::Digest)? }
            }
            _ => return Err(ReplacesError::Unknown { text: text.chars().take(80).collect() }),
        }))
    }
}

impl JsonSchema for Replaces {
    fn schema_name() -> Cow<'static, str> {
        "Replaces".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What must be there before: the digest of a file, `nothing`, `directory` or `{symlink: target}`.",
            "oneOf": [
                {
                    "type": "string",
                    "pattern": "^(nothing|directory|sha256:[0-9a-f]{64})$",
                    "description": "`nothing`, `directory`, or sha256: and 64 lower-case hexadecimal digits."
                },
                {
                    "type": "object",
                    "properties": { "symlink": { "type": "string", "minLength": 1, "description": "Its text." } },
                    "required": ["symlink"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl<'de> Deserialize<'de> for Replaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;

        impl<'de> Visitor<'de> for Entry {
            type Value = Replaces;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(WHAT)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Replaces, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Replaces, A::Error> {
                match map.next_entry::<String, String>()? {
                    Some((key, target)) if key == "symlink" => Ok(Replaces(Expected::Symlink { target })),
                    _ => Err(de::Error::missing_field("symlink")),
                }
            }
        }

        deserializer.deserialize_any(Entry)
    }
}
