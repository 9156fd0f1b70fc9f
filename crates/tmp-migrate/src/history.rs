//! What the journals of a state directory tell, without a lock and without changing anything.

use std::{collections::BTreeMap, sync::Arc};

use camino::Utf8Path;
use serde::Serialize;
use time::OffsetDateTime;
use tmp_archive::SnapshotId;
use tmp_core::{
    Digest, EnhancementId, EnvironmentName, MigrationId, Phase, Revision, SiteName, SystemName,
    plan::{Plan, Switch},
};
use tmp_disk::{Dir, Disk, DiskError};

use crate::{
    engine::Memory,
    folder::{self, Folder, FolderError},
    journal::{Journal, Record},
    past::{self, Past},
};

/// One migration, from its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationSummary {
    /// Which one.
    pub id: MigrationId,
    /// The enhancement.
    pub enhancement: EnhancementId,
    /// Its revision.
    pub revision: Revision,
    /// The payload digest.
    pub payload: Digest,
    /// The system.
    pub system: SystemName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The site.
    pub site: SiteName,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When its last record was written, if it is closed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    /// Where it is.
    pub phase: Phase,
    /// The migration that it takes out again, where it is a reversal.
    pub reverses: Option<MigrationId>,
    /// The committed reversal that took it out again.
    pub reversed_by: Option<MigrationId>,
    /// Why it turned back, if it did.
    pub cause: Option<String>,
    /// Why the rollback failed, if it did.
    pub undo_failure: Option<String>,
    /// What is right all the same, if it did.
    pub intact: Option<String>,
    /// How its modules were switched.
    pub switch: Switch,
    /// How long old and new modules could be seen together, in microseconds; of a migration that committed.
    pub mixture_us: Option<u64>,
    /// The snapshot that was made before.
    pub snapshot: Option<SnapshotId>,
    /// What a person should know that changed no outcome.
    pub findings: Vec<String>,
}

/// Every migration of a state directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Those whose journals can be read, oldest first.
    pub migrations: Vec<MigrationSummary>,
    /// Those whose journals cannot, oldest first.
    pub unreadable: Vec<Unreadable>,
}

/// A migration whose journal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Which one.
    pub id: MigrationId,
    /// What is wrong with it.
    pub why: String,
}

/// The journals cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// There is no such migration.
    #[error("there is no migration {id}")]
    NoSuchMigration {
        /// The id.
        id: MigrationId,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A migration's folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Every migration of a state directory; none where there is no such directory. One journal that cannot
/// be read does not hide the others.
///
/// # Errors
/// The journals cannot be listed.
pub fn history(disk: &Arc<dyn Disk>, state: &Utf8Path) -> Result<History, HistoryError> {
    Past::new(disk, state).history()
}

/// Marks what a committed reversal took out.
pub(crate) fn mark_reversed(migrations: &mut [MigrationSummary]) {
    let committed =
        |summary: &&MigrationSummary| matches!(summary.phase, Phase::Committed | Phase::CleanedUp);
    let by: BTreeMap<MigrationId, MigrationId> = migrations
        .iter()
        .filter(committed)
        .filter_map(|summary| Some((summary.reverses.clone()?, summary.id.clone())))
        .collect();
    for summary in migrations {
        summary.reversed_by = by.get(&summary.id).cloned();
    }
}

/// The plan and the whole journal of one migration.
///
/// # Errors
/// There is none of this id, or it cannot be read.
pub fn log(
    disk: &Arc<dyn Disk>,
    state: &Utf8Path,
    id: &MigrationId,
) -> Result<(Plan, Phase, Vec<Record>), HistoryError> {
    let (_, plan, phase, records) = whole(disk.as_ref(), state, id)?;
    Ok((plan, phase, records))
}

/// One migration with its folder.
pub(crate) fn whole(
    disk: &dyn Disk,
    state: &Utf8Path,
    id: &MigrationId,
) -> Result<(Folder, Plan, Phase, Vec<Record>), HistoryError> {
    let missing = || HistoryError::NoSuchMigration { id: id.clone() };
    let journals = past::open(disk, state)?.ok_or_else(missing)?;
    if !folder::migrations(disk, &journals)?.contains(id) {
        return Err(missing());
    }
    read(disk, &journals, state, id)
}

fn read(
    disk: &dyn Disk,
    journals: &Dir,
    state: &Utf8Path,
    id: &MigrationId,
) -> Result<(Folder, Plan, Phase, Vec<Record>), HistoryError> {
    let folder = Folder::open(disk, (journals, &state.join("journal")), id)?;
    let (phase, records) = Journal::read(disk, &folder.dir, id).map_err(FolderError::from)?;
    let plan = folder.plan(disk, &records)?;
    Ok((folder, plan, phase, records))
}

pub(crate) fn summary(plan: &Plan, phase: Phase, records: &[Record]) -> MigrationSummary {
    let memory = Memory::of(records);
    let closed = phase.is_closed();
    MigrationSummary {
        id: plan.migration.clone(),
        enhancement: plan.enhancement.id.clone(),
        revision: plan.enhancement.revision,
        payload: plan.provenance.payload,
        system: plan.target.system.clone(),
        environment: plan.target.environment,
        site: plan.target.site.clone(),
        started: memory.began.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        ended: memory.last.filter(|_| closed),
        phase,
        reverses: plan.reverses.as_ref().map(|reversal| reversal.migration.clone()),
        reversed_by: None,
        cause: memory.cause,
        undo_failure: memory.undo_failure,
        intact: memory.intact,
        switch: plan.target.switch,
        mixture_us: memory.mixture_us,
        snapshot: memory.snapshot,
        findings: memory.findings,
    }
}
