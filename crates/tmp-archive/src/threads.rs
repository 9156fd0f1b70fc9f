//! Threads, of which a machine may give fewer than are wanted, or none.

use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use tmp_disk::DiskError;

use crate::ArchiveError;

/// Threads that work at a time.
pub(crate) fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).clamp(1, 8)
}

/// Starts a thread.
///
/// # Errors
/// The machine gives none.
pub(crate) fn start<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    work: impl FnOnce() -> T + Send + 's,
) -> Result<ScopedJoinHandle<'s, T>, ArchiveError> {
    Ok(Builder::new().spawn_scoped(scope, work).map_err(DiskError::at("start", "a thread"))?)
}

/// Starts [`workers`] threads that share some work, or as many as the machine gives.
///
/// # Errors
/// It gives not even one.
pub(crate) fn start_all<'s>(
    scope: &'s Scope<'s, '_>,
    work: impl FnOnce() + Clone + Send + 's,
) -> Result<(), ArchiveError> {
    start(scope, work.clone())?;
    // With fewer it takes longer, nothing else.
    let _ = (1..workers()).try_for_each(|_| start(scope, work.clone()).map(drop));
    Ok(())
}
