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
    pub requests: usize,
    /// The seed of what is lost and torn of that which was not flushed; without one all of it is there.
    pub dice: Option<u64>,
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
        for requests in self.began..=self.requests() {
            losses.insert(Loss { requests, dice: None });
            let flushed = requests.checked_sub(1).and_then(|last| self.log.entries.get(last));
            if flushed.is_some_and(|last| *last != LogEntry::Flush) {
                let dice = (1..seeds).map(|seed| Some(seed << 32 | requests as u64));
                losses.extend(dice.map(|dice| Loss { requests, dice }));
            }
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
        let run = self.scene.run().run(Action::Count)?;
        let ended = disk.requests();
        if run.ended != Ended::Exited(self.scene.package().ends_with()) {
            return Err(io::Error::other(run.told()));
        }
        mount.unmount()?;
        let log = disk.take_log();
        disk.stop()?;
        Ok(Recording { log, run, began, ended })
    }

    /// Mounts the disk that this loss of power left, and lets it recover. A success that was reported before must be
    /// there.
    ///
    /// # Errors
    /// A tool fails or a command cannot be started; what is wrong with the migration is no error.
    pub fn lose(&self, recording: &Recording, loss: Loss) -> io::Result<Verdict> {
        let Place::Disk(on) = self.place else { return Err(io::Error::other("memory is no disk")) };
        recording.log.replay(loss.requests, loss.dice, on, &self.lay()?)?;
        let mount = match self.mount() {
            Ok(mount) => mount,
            Err(error) => return Ok(Verdict::Violation(vec![format!("unmountable: {error}")])),
        };
        let run = Some(&recording.run).filter(|_| loss.requests >= recording.ended);
        let verdict = self.settle(run)?;
        mount.unmount()?;
        Ok(verdict)
    }
}
