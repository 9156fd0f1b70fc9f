//! Snapshots, and the small document that names everything one needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tmp_core::{
    DatabaseName, Digest, EnvironmentName, MigrationId, SiteName, SystemName, database::Fingerprint,
    enhancement::DatabaseEngine,
};

use crate::{ArchiveError, Content, Entry, EntryPath, PIECE, SnapshotId};

/// The version of the document this release writes.
pub(crate) const SCHEMA: &str = "tmp/snapshot/v2";

/// The version before, which is read still.
const FIRST: &str = "tmp/snapshot/v1";

/// A snapshot with all its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is a snapshot of.
    pub info: SnapshotInfo,
    /// What stood at each path, and below it.
    pub entries: BTreeMap<EntryPath, Entry>,
}

impl Snapshot {
    /// What stood at a path: nothing where a path that the snapshot covers has no entry. `None` where
    /// the snapshot does not cover it.
    pub fn entry(&self, path: &EntryPath) -> Option<&Entry> {
        self.info.covers(path).then(|| self.entries.get(path).unwrap_or(&Entry::Absent))
    }
}

/// What a snapshot is of, and what it needs. This is the document `snapshots/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotInfo {
    /// `tmp/snapshot/v2`, or `v1` of a snapshot that an earlier release made.
    pub schema: String,
    /// Its id.
    pub id: SnapshotId,
    /// How much it covers.
    pub kind: SnapshotKind,
    /// The snapshot it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// The migration it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<MigrationId>,
    /// The system.
    pub system: SystemName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The site.
    pub site: SiteName,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made: OffsetDateTime,
    /// The paths it covers with everything below; sorted, none within another.
    pub roots: Vec<EntryPath>,
    /// Globs of what below them was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Its databases, by name.
    pub databases: Vec<ArchivedDatabase>,
    /// Its entries: JSON Lines.
    pub manifest: Manifest,
    /// The packs that held its objects when it was made, sorted. Pruning may have moved some since.
    pub packs: Vec<String>,
    /// What it comes to.
    pub totals: Totals,
}

/// Where a manifest is: objects that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// How many bytes it has.
    pub size: u64,
    /// Its pieces in order, each with its length in bytes.
    pub pieces: Vec<(Digest, u32)>,
}

impl Manifest {
    /// What is wrong with it, if anything.
    fn fault(&self) -> Option<&'static str> {
        let sum: u64 = self.pieces.iter().map(|(_, length)| u64::from(*length)).sum();
        let sound = sum == self.size && self.pieces.iter().all(|(_, length)| *length as usize <= PIECE);
        (!sound).then_some("the pieces of its manifest do not make up its size")
    }
}

/// What a document of any version says.
#[derive(Deserialize)]
struct Schema {
    schema: String,
}

/// What stands between a document and its digest at the end.
const TRAILER: &[u8] = b"\nsha256:";

impl SnapshotInfo {
    /// Whether the snapshot says what stood at a path.
    pub fn covers(&self, path: &EntryPath) -> bool {
        self.roots.iter().any(|root| path.is_within(root))
    }

    /// One of its databases.
    ///
    /// # Errors
    /// It has none of that name.
    pub fn database(&self, name: &DatabaseName) -> Result<&ArchivedDatabase, ArchiveError> {
        let missing = || ArchiveError::NoSuchDatabase { id: self.id, database: name.clone() };
        self.databases.iter().find(|database| database.name == *name).ok_or_else(missing)
    }

    /// The document: JSON, a line with the digest of that JSON.
    pub(crate) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        let digest = Digest::of(&bytes).hex();
        bytes.extend_from_slice(TRAILER);
        bytes.extend_from_slice(digest.as_bytes());
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the document of snapshot `id` from the blob `name`.
    pub(crate) fn decode(name: &str, id: &SnapshotId, bytes: &[u8]) -> Result<Self, ArchiveError> {
        let damaged = |fault: &str| ArchiveError::damaged(name, fault);
        let end = bytes.len().saturating_sub(TRAILER.len() + 65);
        let (json, trailer) = bytes.split_at_checked(end).unwrap_or_default();
        let digest = Digest::of(json).hex();
        if trailer != [TRAILER, digest.as_bytes(), b"\n"].concat() {
            return Err(damaged("it does not have the digest that it ends with"));
        }
        let parse = |error: serde_json::Error| damaged(&error.to_string());
        let Schema { schema } = serde_json::from_slice(json).map_err(parse)?;
        let info: Self = match schema.as_str() {
            SCHEMA => serde_json::from_slice(json).map_err(parse)?,
            FIRST => first(json).map_err(parse)?.ok_or_else(|| damaged("it has an impossible manifest"))?,
            _ => {
                let name = name.to_owned();
                return Err(ArchiveError::UnknownVersion { name, found: schema, known: SCHEMA });
            }
        };
        if info.id != *id {
            return Err(damaged("it is the document of another snapshot"));
        }
        let mut contents = info.databases.iter().map(|database| &database.content);
        let fault = contents.find_map(Content::fault).or_else(|| info.manifest.fault());
        fault.map_or(Ok(()), |fault| Err(damaged(fault)))?;
        Ok(info)
    }
}

/// Reads a document of version 1, whose manifest is a content like any other: a piece ends at every
/// [`PIECE`] bytes.
fn first(json: &[u8]) -> serde_json::Result<Option<SnapshotInfo>> {
    let mut document: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json)?;
    let content: Content = serde_json::from_value(document.remove("manifest").unwrap_or_default())?;
    if content.fault().is_some() {
        return Ok(None);
    }
    let piece = |(digest, length): (Option<Digest>, usize)| Some((digest?, u32::try_from(length).ok()?));
    let Some(pieces) = content.pieces().map(piece).collect() else { return Ok(None) };
    let manifest = Manifest { size: content.size, pieces };
    document.insert("manifest".to_owned(), serde_json::to_value(manifest)?);
    serde_json::from_value(document.into()).map(Some)
}

/// How much of a system a snapshot covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotKind {
    /// The paths and databases that a migration touches.
    Portion,
    /// All of it, the root directory included.
    System,
    /// What a restore in place is about to overwrite.
    PreRestore,
}

/// A database in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedDatabase {
    /// Its name.
    pub name: DatabaseName,
    /// Its engine, which made the copy and can put it back.
    pub engine: DatabaseEngine,
    /// The bytes of the copy.
    pub content: Content,
    /// What it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
}

/// What a snapshot comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Entries.
    pub entries: u64,
    /// Bytes of its files, each hard-link group once, and of its databases.
    pub bytes: u64,
    /// Objects that were new to the store.
    pub new_objects: u64,
    /// Bytes these take in the store.
    pub new_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> SnapshotInfo {
        let content = |size, pieces| Content::new(Digest::of(b""), size, pieces);
        let fingerprint = Fingerprint {
            schema: [("table fee".to_owned(), Digest::of(b"t"))].into(),
            ..Fingerprint::default()
        };
        SnapshotInfo {
            schema: SCHEMA.to_owned(),
            id: SnapshotId::from_bits(2),
            kind: SnapshotKind::Portion,
            parent: Some(SnapshotId::from_bits(1)),
            migration: Some(MigrationId::from_bits(2)),
            system: "billing".parse().unwrap(),
            environment: EnvironmentName::Model,
            site: "berlin".parse().unwrap(),
            made: OffsetDateTime::UNIX_EPOCH,
            roots: vec![EntryPath::from_bytes(*b"bin").unwrap()],
            databases: vec![ArchivedDatabase {
                name: "main".parse().unwrap(),
                engine: DatabaseEngine::Sqlite,
                content: content((1 << 20) + 1, vec![Some(Digest::of(b"a")), Some(Digest::of(b"b"))]),
                fingerprint: Some(fingerprint),
            }],
            ignored: vec!["var/**".to_owned()],
            manifest: Manifest { size: 90, pieces: vec![(Digest::of(b""), 60), (Digest::of(b"m"), 30)] },
            packs: vec!["packs/x-0".to_owned()],
            totals: Totals { entries: 1, bytes: 2, new_objects: 3, new_bytes: 4 },
        }
    }

    #[test]
    fn the_format_of_the_document() {
        let bytes = info().encode().unwrap();
        assert_eq!(SnapshotInfo::decode("it", &info().id, &bytes).unwrap(), info());
        insta::assert_snapshot!(String::from_utf8(bytes).unwrap());
    }

    #[test]
    fn what_is_wrong_with_a_document_is_said() {
        let sealed = |info: &SnapshotInfo| info.encode().unwrap();
        let id = SnapshotId::from_bits(2);
        let mut short = info();
        short.manifest.size = PIECES_TOO_FEW;
        let unknown = String::from_utf8(sealed(&info())).unwrap().replace("\"system\"", "\"sistem\"");
        let json = unknown.rsplit_once("\nsha256:").unwrap().0;
        let unknown = format!("{json}\nsha256:{}\n", Digest::of(json.as_bytes()).hex());
        let cases = [
            (id, Vec::new()),
            (id, sealed(&info())[1..].to_vec()),
            (SnapshotId::from_bits(3), sealed(&info())),
            (id, sealed(&short)),
            (id, unknown.into_bytes()),
        ];
        let texts = cases.map(|(id, bytes)| SnapshotInfo::decode("it", &id, &bytes).unwrap_err().to_string());
        insta::assert_snapshot!(texts.join("\n"));
    }

    const PIECES_TOO_FEW: u64 = 5 << 20;
}
