//! Why a trigger file is refused.

use std::io;

use tmp_core::Digest;

use crate::{manifest::ManifestFault, mistake::Mistakes};

/// A trigger file that is refused.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct TriggerError {
    /// The trigger file.
    pub file: String,
    /// What is wrong with it.
    #[source]
    pub fault: TriggerFault,
}

/// What is wrong with a trigger file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerFault {
    /// The file cannot be read.
    #[error("the file cannot be read: {source}")]
    Read {
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a device or the like.
    #[error("not a regular file")]
    NotAFile,
    /// It ends too early.
    #[error("the file ends in the middle of {what}: it was cut off")]
    Truncated {
        /// What is missing.
        what: String,
    },
    /// It goes on after its end.
    #[error("{bytes} bytes follow after the end")]
    Trailing {
        /// How many.
        bytes: u64,
    },
    /// A header is not the one that TMP writes for its member.
    #[error("at byte {offset} of {archive}: not the canonical header of a member")]
    Header {
        /// Which archive.
        archive: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// Another member than the one that belongs there.
    #[error("{archive} has the member {found:?} where {expected:?} belongs")]
    Member {
        /// Which archive.
        archive: &'static str,
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// An archive ends too early.
    #[error("{archive} ends where the member {expected:?} belongs")]
    Missing {
        /// Which archive.
        archive: &'static str,
        /// What belongs there.
        expected: String,
    },
    /// The payload goes on after its last content.
    #[error("the payload goes on after the last member that its manifest needs")]
    Unlisted,
    /// Signatures have their place but no meaning yet.
    #[error("the member {name:?} is a signature; this release accepts none")]
    Signature {
        /// The member.
        name: String,
    },
    /// Bytes that only fill up are not zero.
    #[error("the filling after {member} is not zero")]
    Filling {
        /// The member.
        member: String,
    },
    /// Something is larger than it may be.
    #[error("{what} takes {size} bytes; at most {limit} are accepted")]
    TooLarge {
        /// What.
        what: String,
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The manifest lists more than would fit into memory.
    #[error("manifest.json lists too much: it has {count} commas, at most {limit} are accepted")]
    TooMany {
        /// How many commas it has.
        count: u64,
        /// How many it may have.
        limit: u64,
    },
    /// `SHA256SUMS` is not the list of the other members.
    #[error("SHA256SUMS is not the list of the digests of trigger.yaml and payload/1.tar.zst")]
    Sums,
    /// Bytes have another digest than the one that was promised.
    #[error("{what} has the digest {found}, not {expected}: it was changed or damaged")]
    Digest {
        /// What was digested.
        what: String,
        /// What was promised.
        expected: Digest,
        /// What came out.
        found: Digest,
    },
    /// `trigger.yaml` cannot be read.
    #[error("trigger.yaml cannot be read:\n{source}")]
    Description {
        /// Everything that is wrong with it.
        source: Mistakes,
    },
    /// `trigger.yaml` lists other payloads than there are.
    #[error("trigger.yaml must list one payload, payload/1.tar.zst; it lists {listed:?}")]
    Payloads {
        /// What it lists.
        listed: Vec<String>,
    },
    /// The payload cannot be unpacked.
    #[error("the payload cannot be unpacked: {source}")]
    Unpack {
        /// Why.
        source: io::Error,
    },
    /// The payload has another size than the one that was promised.
    #[error("the payload is not of the {declared} bytes that trigger.yaml promises")]
    PayloadSize {
        /// What was promised.
        declared: u64,
    },
    /// `manifest.json` cannot be read.
    #[error("manifest.json cannot be read: {message}")]
    Manifest {
        /// Why.
        message: String,
    },
    /// `manifest.json` is not written as TMP writes it.
    #[error("manifest.json is not in canonical form")]
    ManifestForm,
    /// The manifest breaks rules.
    #[error("the manifest breaks {} rule(s):{}", faults.len(), list(faults))]
    ManifestRules {
        /// Each of them.
        faults: Vec<ManifestFault>,
    },
    /// `trigger.yaml` and the manifest say different things.
    #[error("trigger.yaml and the manifest differ in {field:?}")]
    Disagreement {
        /// The field of `trigger.yaml`.
        field: &'static str,
    },
}

fn list(faults: &[ManifestFault]) -> String {
    faults.iter().take(20).flat_map(|fault| ["\n  ".to_owned(), fault.to_string()]).collect()
}
