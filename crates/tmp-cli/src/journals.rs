//! Reads what the journals say. They are the truth until there is a ledger.

use tmp_core::Phase;
use tmp_migrate::{History, HistoryError, MigrationSummary, Unreadable, history};

use crate::{config::Config, config::Site, exit::Exit, failure::Failure, opening};

/// What is to be done about a journal that cannot be read.
const LOOK: &str = "nothing was changed; a person must look at the journal";

/// Every migration, newest last; none where there is no state directory yet.
///
/// # Errors
/// The journals cannot be listed, or one cannot be read: what is installed is unknown then.
pub(crate) fn all(config: &Config) -> Result<Vec<MigrationSummary>, Failure> {
    known(history(&opening::disk(), &config.state.value))
}

/// Every migration, newest last, of a history in which none may be missing.
///
/// # Errors
/// As [`all`].
pub(crate) fn known(history: Result<History, HistoryError>) -> Result<Vec<MigrationSummary>, Failure> {
    let History { migrations, unreadable: damaged } = history.map_err(unreadable)?;
    match damaged.first() {
        None => Ok(migrations),
        Some(Unreadable { id, why }) => {
            let text = format!("the journal of migration {id} cannot be read: {why}");
            Err(Failure::new(Exit::InDoubt, text).help(LOOK))
        }
    }
}

/// Every migration that can be read, and which cannot.
///
/// # Errors
/// The journals cannot be listed.
pub(crate) fn readable(config: &Config) -> Result<History, Failure> {
    history(&opening::disk(), &config.state.value).map_err(unreadable)
}

/// How a report with these unreadable journals ends.
pub(crate) const fn exit(unreadable: &[Unreadable]) -> Exit {
    if unreadable.is_empty() { Exit::Done } else { Exit::InDoubt }
}

/// A line for each unreadable journal.
pub(crate) fn lines(unreadable: &[Unreadable]) -> String {
    let line = |it: &Unreadable| format!("{}: its journal cannot be read: {}\n", it.id, it.why);
    unreadable.iter().map(line).collect()
}

/// The one migration whose id begins with `prefix`.
///
/// # Errors
/// There is none, or more than one.
pub(crate) fn find(config: &Config, prefix: &str) -> Result<MigrationSummary, Failure> {
    let mut fitting: Vec<_> = readable(config)?
        .migrations
        .into_iter()
        .filter(|summary| summary.id.as_str().starts_with(prefix))
        .collect();
    match (fitting.len(), fitting.pop()) {
        (1, Some(summary)) => Ok(summary),
        (0, _) => Err(Failure::new(Exit::Usage, format!("there is no migration {prefix:?}"))
            .rule("unknown-id")
            .help("`tmp history` lists every migration with its id")),
        (several, _) => Err(Failure::new(Exit::Usage, format!("{several} migrations begin with {prefix:?}"))
            .help("give more of the id")),
    }
}

/// What a journal that cannot be read means: a damaged one leaves its migration in doubt.
pub(crate) fn unreadable(error: HistoryError) -> Failure {
    let exit = match &error {
        HistoryError::NoSuchMigration { .. } => Exit::Usage,
        HistoryError::Disk(_) => Exit::Error,
        HistoryError::Folder(_) => Exit::InDoubt,
    };
    Failure::caused(exit, error).help(LOOK)
}

/// Whether a migration took place at a site.
pub(crate) fn is_at(summary: &MigrationSummary, site: &Site) -> bool {
    summary.system == site.system && summary.environment == site.environment && summary.site == site.name
}

/// Whether a migration may still need the snapshot that was made before it: to be settled, or to be
/// reversed. One that was taken back or out again, or settled by a person, needs it no more; a reversal
/// is not reversed itself.
pub(crate) fn needs_snapshot(summary: &MigrationSummary) -> bool {
    is_open(summary) || is_installed(summary)
}

/// Whether something is left to do about a migration.
pub(crate) fn is_open(summary: &MigrationSummary) -> bool {
    !matches!(summary.phase, Phase::CleanedUp | Phase::RolledBack | Phase::Resolved)
}

/// Whether a migration put its enhancement in place, and none took it out again.
pub(crate) fn is_installed(summary: &MigrationSummary) -> bool {
    matches!(summary.phase, Phase::Committed | Phase::CleanedUp)
        && summary.reverses.is_none()
        && summary.reversed_by.is_none()
}
