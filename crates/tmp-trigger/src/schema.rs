//! The schemas of the files of this crate, for editors.

use serde_json::Value;

use crate::{document::schema_of, header::TriggerHeader, source::EnhancementFile};

/// The names that [`schema`] knows.
pub const SCHEMAS: &[&str] = &["enhancement", "trigger"];

/// The JSON Schema of a file by the name of its format; `None` for a name that is none of [`SCHEMAS`].
pub fn schema(name: &str) -> Option<Value> {
    match name {
        "enhancement" => Some(schema_of::<EnhancementFile>()),
        "trigger" => Some(schema_of::<TriggerHeader>()),
        _ => None,
    }
}
