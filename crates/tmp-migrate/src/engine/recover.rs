//! What an interrupted journal leads to. The decision follows from the last durable record and, where
//! that leaves it open, from the database; it never flips.

use tmp_core::{Phase, database::Settled, event::Event, outcome::Outcome, plan::Plan};

use super::{
    error::{EngineError, OpenError, Stuck, Trouble},
    home::Home,
    memory::Memory,
    open::Engine,
    replay::Replayed,
    run::{Party, Run},
    site::Site,
};
use crate::{
    confine,
    folder::Folder,
    history::{MigrationSummary, summary},
    journal::{Fact, Journal, Record},
};

/// A target with an open migration. It is to be recovered before anything else.
#[derive(Debug)]
#[must_use = "recover it"]
pub struct Interrupted {
    pub(super) site: Box<Site>,
    pub(super) folder: Folder,
    pub(super) journal: Journal,
    pub(super) records: Vec<Record>,
    pub(super) plan: Box<Plan>,
}

/// What a recovery came to.
#[derive(Debug)]
#[must_use = "the outcome says whether the target is settled"]
pub enum Recovered {
    /// The target is exactly as before or exactly as after; the engine may migrate again.
    Settled(Engine, Outcome),
    /// A person or a missing fact is needed; nothing migrates into the target until then.
    Blocked(Outcome),
}

impl Interrupted {
    pub(super) fn new(site: Box<Site>, replayed: Replayed) -> Result<Self, OpenError> {
        let Replayed { folder, journal, records } = replayed;
        let plan = Box::new(folder.plan(site.disk(), &records)?);
        Ok(Self { site, folder, journal, records, plan })
    }

    /// The plan of the open migration.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How far it came.
    pub const fn phase(&self) -> Phase {
        self.journal.phase()
    }

    /// Why it turned back, if it did.
    pub fn cause(&self) -> Option<String> {
        Memory::of(&self.records).cause
    }

    /// What its journal says.
    pub fn summary(&self) -> MigrationSummary {
        summary(&self.plan, self.phase(), &self.records)
    }

    /// Settles the open migration: finishes it where its commit point has passed and nothing was
    /// begun that may not be run again, else takes it back. May be called again after any interruption,
    /// its own included.
    ///
    /// # Errors
    /// The journal cannot be kept or the disk fails: open again in a new process. After
    /// [`EngineError::NotCleanedUp`] the change is in place, and only the work directory is not empty yet.
    pub fn recover(mut self, party: &mut Party<'_>) -> Result<Recovered, EngineError> {
        let outcome = self.run(party)?.recover()?;
        if self.phase() == Phase::Committed {
            return Err(EngineError::NotCleanedUp { migration: self.plan.migration.clone() });
        }
        Ok(match outcome {
            Outcome::Committed { .. } | Outcome::RolledBack { .. } => {
                Recovered::Settled(Engine { site: self.site }, outcome)
            }
            Outcome::RollbackFailed { .. } | Outcome::InDoubt { .. } => Recovered::Blocked(outcome),
        })
    }

    /// The migration where its journal ends.
    ///
    /// # Errors
    /// What stands at a root that is exchanged cannot be opened.
    pub(super) fn run<'a, 'p>(&'a mut self, party: &'a mut Party<'p>) -> Result<Run<'a, 'p>, EngineError> {
        let interrupted = |source| EngineError::Interrupted { source };
        let home = Home::of(self.site.disk(), &self.plan).map_err(interrupted)?;
        Ok(Run {
            tree: self.site.tree_now(home.as_ref()).map_err(interrupted)?,
            home,
            memory: Memory::of(&self.records),
            began: self.site.clock().elapsed(),
            site: &self.site,
            plan: &self.plan,
            folder: &self.folder,
            journal: &mut self.journal,
            party,
            findings: Vec::new(),
            taken_back: Vec::new(),
            mixture_us: None,
            locked_us: None,
        })
    }
}

impl Run<'_, '_> {
    /// Goes on from wherever the journal ends.
    fn recover(&mut self) -> Result<Outcome, EngineError> {
        // What a confined command started may have outlived the engine: it could write while this looks.
        if self.plan.confinement.is_some()
            && let Err(missing) = confine::end(self.migration(), self.site.clock())
        {
            return Ok(self.in_doubt(missing));
        }
        match self.phase() {
            Phase::Planned | Phase::Archived => {
                self.turn_back(Trouble::TurnBack("it was interrupted before anything was switched".into()))
            }
            Phase::Prepared | Phase::Applying => match self.settle() {
                Ok(Settled::Committed) => self.forward_again(),
                Ok(Settled::NotCommitted) => {
                    self.turn_back(Trouble::TurnBack("it was interrupted before its commit point".into()))
                }
                Err(Stuck::InDoubt(missing) | Stuck::Failed { failure: missing, .. }) => {
                    Ok(self.in_doubt(missing))
                }
                Err(Stuck::Stop(error)) => Err(error),
            },
            Phase::Applied | Phase::Checking => self.finish(),
            Phase::Committed | Phase::CleanedUp => self.close(),
            Phase::RollingBack => {
                self.fence_if_possible();
                self.roll_back()
            }
            Phase::Compensating => self.compensate(),
            Phase::RolledBack | Phase::Resolved | Phase::RollbackFailed => Ok(self.failed()),
        }
    }

    /// The database committed, so every module was switched durably before.
    fn forward_again(&mut self) -> Result<Outcome, EngineError> {
        let Some(prepared) = self.memory.prepared.clone() else {
            return Ok(self.in_doubt("the journal does not say what was prepared".into()));
        };
        let switched = if self.has_modules() { self.all_switched(&prepared) } else { Ok(()) };
        match switched {
            Ok(()) => {}
            Err(Stuck::Stop(error)) => return Err(error),
            Err(Stuck::InDoubt(missing) | Stuck::Failed { failure: missing, .. }) => {
                return Ok(self.in_doubt(missing));
            }
        }
        if let Ok(Some(database)) = self.database() {
            database.release();
        }
        self.record(Fact::Applied)?;
        self.finish()
    }

    /// Runs the checked part to its end, or back.
    pub(super) fn finish(&mut self) -> Result<Outcome, EngineError> {
        match self.checked_part() {
            Ok(()) => self.close(),
            Err(trouble) => self.turn_back_committed(trouble),
        }
    }

    /// Cleans up after an approval; whatever happens here, the change is in place.
    fn close(&mut self) -> Result<Outcome, EngineError> {
        if self.phase() == Phase::Committed
            && let Err(error) = self.clean_up()
        {
            // Where nothing was staged, COMMITTED becomes durable with CLEANED_UP.
            if !self.has_modules() {
                return Err(error);
            }
            let text = crate::text(&error);
            self.finding(format!("the next run or recovery has to clean up after this one: {text}"));
        }
        Ok(Outcome::Committed { report: self.report() })
    }

    /// While files go back, others should not see the database; but the decision is made, and a
    /// database that cannot be asked does not stop it.
    fn fence_if_possible(&mut self) {
        if self.memory.prepared.as_ref().is_none_or(|prepared| prepared.marker.is_none()) {
            return;
        }
        if let Err(Stuck::InDoubt(missing) | Stuck::Failed { failure: missing, .. }) = self.settle() {
            self.tell(&Event::Finding {
                text: format!("the rollback goes on without the database: {missing}"),
            });
        }
    }
}
