//! The record of what was restored over a live tree. Format: `docs/format/restore.md`.

use std::{io::ErrorKind, path::Path};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tmp_archive::{Restored, SnapshotId};
use tmp_core::{EnvironmentName, ModulePath, SiteName, SystemName};
use tmp_disk::{At, DiskError, RealDisk, ensure_dirs, read_whole, write_durably};

use crate::{
    config::{Config, Site},
    failure::Failure,
    opening, render,
};

/// The version of the record this release writes.
const SCHEMA: &str = "tmp/restore/v1";

/// The folder in the state directory.
const FOLDER: &str = "restore";

/// The longest record, in bytes.
const LONGEST: u64 = 64 << 20;

/// One restore in place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    pub(crate) schema: String,
    /// Its id, which is that of the snapshot made before, where one was made.
    pub(crate) id: SnapshotId,
    pub(crate) system: SystemName,
    pub(crate) environment: EnvironmentName,
    pub(crate) site: SiteName,
    pub(crate) root: Utf8PathBuf,
    /// What was put back.
    pub(crate) snapshot: SnapshotId,
    /// The paths that were asked for; none where it was all of it.
    pub(crate) paths: Vec<ModulePath>,
    /// What holds what was overwritten; none where nobody wanted one.
    pub(crate) way_back: Option<SnapshotId>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) began: OffsetDateTime,
    /// How it ended; none where it did not.
    pub(crate) end: Option<End>,
}

/// How a restore ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    pub(crate) entries: u64,
    pub(crate) written: u64,
    pub(crate) bytes: u64,
    /// Why it ended early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// A record that cannot be read.
#[derive(Debug, Serialize)]
pub(crate) struct UnreadableRestore {
    pub(crate) file: String,
    pub(crate) why: String,
}

/// Every restore in place that was recorded.
#[derive(Debug, Default)]
pub(crate) struct Restores {
    /// Oldest first.
    pub(crate) restores: Vec<Restore>,
    pub(crate) unreadable: Vec<UnreadableRestore>,
}

impl Restore {
    pub(crate) fn new(
        id: SnapshotId,
        site: &Site,
        snapshot: SnapshotId,
        paths: Vec<ModulePath>,
        began: OffsetDateTime,
    ) -> Self {
        Self {
            schema: SCHEMA.into(),
            id,
            system: site.system.clone(),
            environment: site.environment,
            site: site.name.clone(),
            root: site.root.clone(),
            snapshot,
            paths,
            way_back: None,
            began,
            end: None,
        }
    }

    pub(crate) fn ended(&mut self, at: OffsetDateTime, restored: Restored, failure: Option<String>) {
        let Restored { entries, written, bytes } = restored;
        self.end = Some(End { at, entries, written, bytes, failure });
    }

    /// Writes the record; it is durable on return.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, config: &Config) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(self).map_err(Failure::unexpected)?;
        let folder = config.state.value.join(FOLDER);
        ensure_dirs(&RealDisk, folder.as_std_path())
            .and_then(|dir| write_durably(&RealDisk, &dir, &format!("{}.json", self.id), &json))
            .map_err(Failure::unexpected)
    }

    pub(crate) fn is_at(&self, site: &Site) -> bool {
        self.system == site.system && self.environment == site.environment && self.site == site.name
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let Self { system, environment, site, snapshot, .. } = self;
        let began = render::instant(self.began);
        let mut text = format!("{began}  restored in place at {system}/{environment}/{site}: {snapshot}");
        match &self.end {
            None => text += ", NOT ENDED; restore again",
            Some(End { failure: Some(why), .. }) => push!(text, ", FAILED: {why}"),
            Some(end) => push!(text, ", {}", render::entries(end.entries)),
        }
        match &self.way_back {
            Some(id) => push!(text, "; what stood there before is {id}"),
            None => text += "; there is no way back",
        }
        text + "\n"
    }
}

/// Reads every record; one that cannot be read does not hide the others.
///
/// # Errors
/// They cannot be listed.
pub(crate) fn read(config: &Config) -> Result<Restores, Failure> {
    let path = config.state.value.join(FOLDER);
    let disk = opening::disk();
    let dir = match disk.open_root(Path::new(&path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Restores::default()),
        opened => opened.map_err(DiskError::at("open", &path)).map_err(Failure::unexpected)?,
    };
    let names = disk.list(&dir).map_err(DiskError::at("list", &path)).map_err(Failure::unexpected)?;
    let mut names: Vec<_> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.sort();
    let mut all = Restores::default();
    // Names with a leading dot are records that were being written.
    for file in names.into_iter().filter(|name| !name.starts_with('.')) {
        let bytes = read_whole(&*disk, At::new(&dir, &file), LONGEST).map_err(|error| error.to_string());
        let record = bytes
            .and_then(|bytes| serde_json::from_slice::<Restore>(&bytes).map_err(|error| error.to_string()));
        match record {
            Ok(restore) if restore.schema == SCHEMA => all.restores.push(restore),
            Ok(restore) => {
                let why = format!("its format {} is not known", restore.schema);
                all.unreadable.push(UnreadableRestore { file, why });
            }
            Err(why) => all.unreadable.push(UnreadableRestore { file, why }),
        }
    }
    Ok(all)
}
