//! What a person accepted as it is, though TMP left it otherwise. Format: `docs/format/accepted.md`.

use std::{collections::BTreeMap, io, path::Path};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tmp_core::{DatabaseName, Digest, MigrationId, ModulePath, database::Database, module::Content};
use tmp_disk::{At, Dir, Disk, DiskError, ObservedContent, Tree, observe, read_whole, write_durably};

use crate::{
    drift::{self, Drift},
    left::Left,
};

/// The version of the document this release writes.
const SCHEMA: &str = "tmp/accepted-drift/v1";

/// The folder in the state directory.
pub(crate) const FOLDER: &str = "accepted";

/// The largest document that is read back, in bytes.
const LARGEST: u64 = 256 << 20;

/// One acceptance: what stands there now counts as left by TMP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accepted {
    schema: String,
    /// The root it is about, absolute.
    root: Utf8PathBuf,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    reason: String,
    /// Each module that drifted, as it is; `None` where nothing is there.
    pub(crate) modules: BTreeMap<ModulePath, Option<Content>>,
    /// Modules that became something that no enhancement puts: no longer TMP's.
    pub(crate) forgotten: Vec<ModulePath>,
    /// The schema of each database that drifted.
    pub(crate) databases: BTreeMap<DatabaseName, BTreeMap<String, Digest>>,
}

/// The acceptances at `root`, oldest first.
///
/// # Errors
/// One of them cannot be read.
pub(crate) fn read(
    disk: &dyn Disk,
    state: &Utf8Path,
    root: &Utf8Path,
) -> Result<Vec<(MigrationId, Accepted)>, DiskError> {
    let path = state.join(FOLDER);
    let dir = match disk.open_root(Path::new(&path)) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DiskError::at("open", &path)(error)),
    };
    let mut found = Vec::new();
    for name in disk.list(&dir).map_err(DiskError::at("list", &path))? {
        let Some(id): Option<MigrationId> =
            name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok())
        else {
            continue;
        };
        let bytes = read_whole(disk, At::new(&dir, &name), LARGEST)?;
        let invalid =
            |text: String| DiskError::at("read", &name)(io::Error::new(io::ErrorKind::InvalidData, text));
        let accepted: Accepted =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if accepted.schema != SCHEMA {
            return Err(invalid(format!("unknown schema {:?}", accepted.schema)));
        }
        if accepted.root == root {
            found.push((id, accepted));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// What is accepted, and by whom.
pub(crate) struct Acceptance<'a> {
    pub(crate) id: MigrationId,
    pub(crate) root: Utf8PathBuf,
    pub(crate) at: OffsetDateTime,
    pub(crate) reason: &'a str,
}

/// Accepts everything that drifted, durably, and answers it. Nothing is written where nothing drifted.
///
/// # Errors
/// The target cannot be looked at or the document not be written; then nothing is accepted.
pub(crate) fn accept(
    acceptance: Acceptance<'_>,
    left: &Left,
    tree: &Tree,
    state: &Dir,
    databases: &mut [Box<dyn Database>],
) -> Result<Vec<Drift>, DiskError> {
    let found = left.drift(tree, databases)?;
    if found.is_empty() {
        return Ok(found);
    }
    let disk = tree.disk().as_ref();
    let mut accepted = Accepted {
        schema: SCHEMA.to_owned(),
        root: acceptance.root,
        at: acceptance.at,
        reason: acceptance.reason.to_owned(),
        modules: BTreeMap::new(),
        forgotten: Vec::new(),
        databases: BTreeMap::new(),
    };
    let differs = |subject: &str| found.iter().any(|drift| drift.subject == subject);
    for path in left.modules.keys().filter(|path| differs(path.as_str())) {
        match content(tree, path)? {
            Ok(content) => drop(accepted.modules.insert(path.clone(), content)),
            Err(NoModule) => accepted.forgotten.push(path.clone()),
        }
    }
    for database in databases.iter_mut().filter(|database| differs(database.name().as_str())) {
        if let Ok(schema) = drift::schema_of(database.as_mut()) {
            accepted.databases.insert(database.name().clone(), schema);
        }
    }
    let json = serde_json::to_vec_pretty(&accepted).map_err(|error| {
        DiskError::at("write", FOLDER)(io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
    })?;
    let private = tmp_core::Mode::from_bits(0o700);
    let dir = tmp_disk::create_dir_durably(disk, state, FOLDER, private)?;
    write_durably(disk, &dir, &format!("{}.json", acceptance.id), &json)?;
    Ok(found)
}

/// What stands there is nothing that an enhancement can put.
struct NoModule;

fn content(tree: &Tree, path: &ModulePath) -> Result<Result<Option<Content>, NoModule>, DiskError> {
    let Ok(place) = tree.locate(path) else { return Ok(Ok(None)) };
    let Some(place) = place else { return Ok(Ok(None)) };
    let Some(observed) = observe(tree.disk().as_ref(), place.at())? else { return Ok(Ok(None)) };
    let mode = observed.stat.mode;
    Ok(match observed.content {
        ObservedContent::File { digest, .. } => {
            Ok(Some(Content::File { digest, size: observed.stat.size, mode }))
        }
        ObservedContent::Directory => Ok(Some(Content::Directory { mode })),
        ObservedContent::Symlink { target } => {
            String::from_utf8(target).map(|target| Some(Content::Symlink { target })).map_err(|_| NoModule)
        }
        ObservedContent::Special => Err(NoModule),
    })
}
