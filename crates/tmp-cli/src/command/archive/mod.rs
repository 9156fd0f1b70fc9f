//! `tmp archive`: what was archived, whether it can be trusted, and how to get it back.

mod create;
mod diff;
mod export;
mod list;
mod meter;
mod prune;
mod restore;
mod show;
mod verify;

use std::{path::Path, sync::Arc};

use time::OffsetDateTime;
use tmp_archive::{Archive as Snapshots, ArchiveError, DirectoryStore, SnapshotId, SnapshotInfo};

use crate::{args::Globals, config::Config, exit::Exit, failure::Failure, opening, output::Output};

/// Arguments of `tmp archive`.
#[derive(Debug, clap::Args)]
pub(crate) struct Archive {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Archive a whole site; only what changed since the last time is read
    Create(create::Create),
    /// List the snapshots
    List,
    /// Show what a snapshot holds
    Show(show::Show),
    /// Say how a snapshot differs from another, or from what stands there now
    Diff(diff::Diff),
    /// Check that snapshots are complete; with --read-data read them back and compare every digest
    Verify(verify::Verify),
    /// Put a snapshot back, into a new directory or in place
    Restore(restore::Restore),
    /// Write a snapshot as a tar file that standard tools restore
    Export(export::Export),
    /// Remove snapshots that no policy keeps and nothing needs
    Prune(prune::Prune),
}

impl Archive {
    /// Does what the verb says.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        match &self.verb {
            Verb::Create(verb) => verb.run(&config, out),
            Verb::Diff(verb) => verb.run(&config, out),
            Verb::Prune(verb) => verb.run(&config, out),
            Verb::List => list::run(&config, out),
            Verb::Show(verb) => verb.run(&config, out),
            Verb::Verify(verb) => verb.run(&config, out),
            Verb::Restore(verb) => verb.run(&config, out),
            Verb::Export(verb) => verb.run(&config, out),
        }
    }
}

/// The archive, if anything was archived yet. Looking does not make one.
fn open(config: &Config) -> Result<Option<Snapshots>, Failure> {
    let path = config.state.value.join("archive");
    if path.is_dir() { open_or_make(config).map(Some) } else { Ok(None) }
}

/// The archive, made where it is not there.
fn open_or_make(config: &Config) -> Result<Snapshots, Failure> {
    let path = config.state.value.join("archive");
    let store = DirectoryStore::open(&opening::disk(), Path::new(&path)).map_err(failed)?;
    Snapshots::open(Arc::new(store)).map_err(failed)
}

/// The archive and the one snapshot whose id begins with `prefix`.
fn find(config: &Config, prefix: &str) -> Result<(Snapshots, SnapshotInfo), Failure> {
    let archive = open(config)?;
    let ids = archive.as_ref().map(Snapshots::listing).transpose().map_err(failed)?;
    let id = the_one(prefix, ids.unwrap_or_default().ids)?;
    let archive = archive.ok_or_else(|| missing(prefix))?;
    let info = archive.info(&id).map_err(failed)?;
    Ok((archive, info))
}

/// The one of these ids that begins with `prefix`.
fn the_one(prefix: &str, ids: impl IntoIterator<Item = SnapshotId>) -> Result<SnapshotId, Failure> {
    let mut fitting: Vec<_> = ids.into_iter().filter(|id| id.to_string().starts_with(prefix)).collect();
    match (fitting.len(), fitting.pop()) {
        (1, Some(id)) => Ok(id),
        (0, _) => Err(missing(prefix)),
        (several, _) => Err(Failure::new(Exit::Usage, format!("{several} snapshots begin with {prefix:?}"))
            .help("give more of the id")),
    }
}

fn missing(prefix: &str) -> Failure {
    Failure::new(Exit::Usage, format!("there is no snapshot {prefix:?}"))
        .help("`tmp archive list` lists them")
}

/// The id of a new snapshot, sorting by `now` (UUID version 7, RFC 9562).
fn new_id(now: OffsetDateTime) -> SnapshotId {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let timestamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.nanosecond());
    SnapshotId::from_bits(uuid::Uuid::new_v7(timestamp).as_u128())
}

/// What an archive said: damage is invalid input, anything else unexpected.
fn failed(error: ArchiveError) -> Failure {
    let exit = match &error {
        ArchiveError::Damaged { .. }
        | ArchiveError::UnknownVersion { .. }
        | ArchiveError::NotAnArchive { .. }
        | ArchiveError::NotCovered { .. }
        | ArchiveError::NoSuchDatabase { .. }
        | ArchiveError::Glob { .. } => Exit::InvalidInput,
        ArchiveError::Held { .. } => Exit::NotNow,
        _ => Exit::Error,
    };
    Failure::caused(exit, error)
}
