//! A migration on a disk that fails.

use std::{io, path::Path};

use super::{Ground, ground::with};
use crate::{
    device::DiskFault,
    matrix::Verdict,
    stepper::{Action, Ended, StepOutcome},
};

/// What came of a migration on a failing disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDisk {
    /// How many requests the disk refused.
    pub refused: u64,
    /// How many syncs of `tmp run` were answered with an error.
    pub failed_syncs: usize,
    /// How `tmp run` ended.
    pub ended: Ended,
    /// Where it ended after recovery.
    pub verdict: Verdict,
}

/// What TMP says when the migration was committed, durably, before the disk failed.
const COMMITTED: &str = "note: the next run or recovery has to clean up";

impl Ground {
    /// Counts the flushes of an undisturbed migration: how many faults of a disk there can be.
    ///
    /// # Errors
    /// A tool fails.
    pub fn flushes(&self) -> io::Result<u64> {
        let (disk, mount) = self.served()?;
        disk.take_log();
        self.scene().run().run(Action::Count)?;
        let flushes = disk.take_log().flushes() as u64;
        mount.unmount()?;
        disk.stop()?;
        Ok(flushes)
    }

    /// Migrates on a disk that fails that way, mounts what is on the disk when it works again, and lets it recover.
    ///
    /// # Errors
    /// A tool fails or a command cannot be started; what is wrong with the migration is no error.
    pub fn fail(&self, fault: DiskFault) -> io::Result<FailedDisk> {
        let (disk, mount) = self.served()?;
        disk.fail(fault);
        let run = self.scene().run().run(Action::Count)?;
        let refused = disk.failed();
        mount.unmount()?;
        disk.stop()?;
        let failed_syncs = run.syncs.iter().filter(|sync| sync.errno != 0).count();
        let mount = match self.mount() {
            Ok(mount) => mount,
            Err(error) => {
                let verdict = Verdict::Violation(vec![format!("unmountable: {error}")]);
                return Ok(FailedDisk { refused, failed_syncs, ended: run.ended, verdict });
            }
        };
        // In doubt is a good answer where the database cannot be read any more.
        let in_doubt = run.ended == Ended::Exited(12);
        let verdict = self.settle(Some(&run).filter(|_| !in_doubt))?;
        let verdict = with(self.after_failed_sync(&run), verdict);
        mount.unmount()?;
        Ok(FailedDisk { refused, failed_syncs, ended: run.ended, verdict })
    }

    /// Fails one call, a sync, and nothing else, mounts the disk again after a loss of power, and lets it recover. `None`
    /// where the call of that number is no sync.
    ///
    /// # Errors
    /// As [`Ground::fail`].
    pub fn fail_sync(&self, at: u64) -> io::Result<Option<Verdict>> {
        let index = usize::try_from(at - 1).unwrap_or(usize::MAX);
        if !self.calls().get(index).is_some_and(|name| name.contains("sync")) {
            return Ok(None);
        }
        let mount = self.fresh()?;
        let run = self.scene().run().run(Action::Fail { at, errno: nix::libc::EIO, persistent: false })?;
        mount.cut_power()?;
        mount.unmount()?;
        let mount = self.mount()?;
        let verdict = with(self.after_failed_sync(&run), self.settle(Some(&run))?);
        mount.unmount()?;
        Ok(Some(verdict))
    }

    /// What is wrong with what a migration did after a sync had failed.
    fn after_failed_sync(&self, run: &StepOutcome) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(failed) = run.syncs.iter().find(|sync| sync.errno != 0) else { return wrong };
        if run.ended == Ended::Exited(0)
            && !run.stderr.contains(COMMITTED)
            && !self.is_of_sqlite(&failed.file)
        {
            wrong.push(format!("success after the sync of {} had failed", failed.file.display()));
        }
        let again = run.syncs.iter().any(|later| later.call > failed.call && later.file == failed.file);
        if again && !self.is_of_sqlite(&failed.file) {
            wrong.push(format!("{} is synced again after that failed", failed.file.display()));
        }
        wrong
    }

    fn is_of_sqlite(&self, file: &Path) -> bool {
        self.scene().database().is_some_and(|database| {
            file.to_string_lossy().starts_with(&*database.to_string_lossy())
                || Some(file) == database.parent()
        })
    }
}
