//! `enhancement.yaml` and the trigger file.
//!
//! * [`check`] finds everything that is wrong with an enhancement beside its files; [`package`] makes
//!   the trigger file.
//! * A [`SourceTree`] is where an enhancement is read from: a [`DirectoryTree`], or what an embedder's
//!   source control has under a label.
//! * [`Trigger::open`] reads the bounded front of a trigger file, [`Trigger::verify`] all of it; only a
//!   [`VerifiedTrigger`] gives contents away.
//! * [`address`] finds secrets in addresses.
//! * [`document`] loads any YAML that has a schema and tells all its mistakes at once.
//!
//! Formats: `docs/format/enhancement.md`, `docs/format/trigger.md`.

pub mod address;
mod assemble;
mod directory;
pub mod document;
mod envelope;
mod error;
mod glob;
mod header;
mod inspection;
mod limits;
mod links;
mod manifest;
mod mistake;
mod package;
mod payload;
mod rules;
mod schema;
mod section;
pub mod source;
mod sources;
mod tar_member;
mod tree;
mod trigger;
mod writer;

pub use assemble::{Checked, ScriptCheck, ScriptMistake, ScriptRole, check};
pub use directory::DirectoryTree;
pub use error::{TriggerError, TriggerFault};
pub use header::{Attachment, Counts, PayloadEntry, TriggerHeader, TriggerVersion};
pub use inspection::Inspection;
pub use manifest::{ManifestFault, ManifestPlace};
pub use mistake::{Mistake, Mistakes, Rule};
pub use package::{Output, PackageError, PackageOptions, Packaged, Trees, package};
pub use rules::rules;
pub use schema::{SCHEMAS, schema};
pub use tree::{Found, SourceTree, Walk};
pub use trigger::{Trigger, VerifiedTrigger};
