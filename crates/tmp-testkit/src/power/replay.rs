//! Every disk that a loss of power may leave of one migration.

use std::{collections::BTreeSet, io};

use super::{Ground, Place};
use crate::{
    device::{DiskLog, LogEntry},
    matrix::Verdict,
    stepper::{Action, Ended, StepOutcome},
};

/// What reached the disk during one migration.
#[derive(Debug, Clone)]
pub struct Recording {
    log: DiskLog,
    /// The migration as it ended.
    run: StepOutcome,
    /// How many requests had reached the disk when it began.
    began: usize,
    /// How many when it had ended.
    ended: usize,
}

/// One loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// After so many requests.
    pub requests: u64,
    /// Which of the ways to lose what was not flushed; 0 loses nothing.
    pub dice: u64,
}

impl Recording {
    /// How many requests there are.
    pub fn requests(&self) -> usize {
        self.log.entries.len()
    }

    /// How many of them are flushes.
    pub fn flushes(&self) -> usize {
        self.log.flushes()
    }

    /// Every loss of power while it migrated and was unmounted: after each request, with so many seeds. Where
    /// everything is flushed seeds make no difference and one loss stands for all.
    pub fn losses(&self, seeds: u64) -> Vec<Loss> {
        let mut losses = BTreeSet::new();
        for at in self.began..=self.requests() {
            let last = at.checked_sub(1).and_then(|last| self.log.entries.get(last));
            let ways = if last.is_some_and(|last| *last != LogEntry::Flush) { seeds } else { 1 };
            losses.extend((0..ways).map(|dice| Loss { requests: at as u64, dice }));
        }
        losses.into_iter().collect()
    }
}

impl Ground {
    /// Migrates once, undisturbed, on a disk that remembers what reaches it.
    ///
    /// # Errors
    /// A tool fails, or the migration does.
    pub fn record(&self) -> io::Result<Recording> {
        let (disk, mount) = self.served()?;
        let began = disk.requests();
        let run = self.scene().run().run(Action::Count)?;
        let ended = disk.requests();
        if run.ended != Ended::Exited(self.scene().package().ends_with()) {
            return Err(io::Error::other(run.told()));
        }
        mount.unmount()?;
        let log = disk.take_log();
        disk.stop()?;
        Ok(Recording { log, run, began, ended })
    }

    /// Mounts the disk that this loss of power left (the seed and the loss decide how), and lets it recover. A success that was reported before must be
    /// there.
    ///
    /// # Errors
    /// A tool fails or a command cannot be started; what is wrong with the migration is no error.
    pub fn lose(&self, recording: &Recording, loss: Loss, seed: u64) -> io::Result<Verdict> {
        let Place::Disk(on) = self.place() else { return Err(io::Error::other("memory is no disk")) };
        let requests = usize::try_from(loss.requests).map_err(io::Error::other)?;
        let dice = (loss.dice > 0).then_some(seed << 48 ^ loss.dice << 32 ^ loss.requests);
        recording.log.replay(requests, dice, on, &self.lay()?)?;
        let mount = match self.mount() {
            Ok(mount) => mount,
            Err(error) => return Ok(Verdict::Violation(vec![format!("unmountable: {error}")])),
        };
        let run = Some(&recording.run).filter(|_| requests >= recording.ended);
        let verdict = self.settle(run)?;
        mount.unmount()?;
        Ok(verdict)
    }
}
