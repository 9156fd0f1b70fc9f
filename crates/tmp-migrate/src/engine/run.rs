//! One migration in progress: its plan, its journal, and the party it runs with.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use time::OffsetDateTime;
use tmp_core::{
    MigrationId, Phase,
    database::Database,
    event::{Direction, Event, Observer, Progress, Work, milliseconds},
    id::StepName,
    outcome::{Outcome, Report},
    plan::Plan,
    step::Step,
};
use tmp_disk::{At, Disk, DiskError, Tree};

use super::{error::Trouble, home::Home, memory::Memory, open::is_over, site::Site, steps::has_effect};
use crate::{
    folder::Folder,
    journal::{Fact, Journal, JournalError, PreparedTree, Record},
};

/// What an embedder brings to a migration.
pub struct Party<'a> {
    /// The databases of the site; the plan says which one is used.
    pub databases: &'a mut [Box<dyn Database>],
    /// The embedder's own steps, those that were planned.
    pub steps: &'a mut [Box<dyn Step>],
    /// Watches.
    pub observer: &'a mut dyn Observer,
    /// Once true, the step at hand is finished and the migration rolls back; without effect once it is
    /// committed.
    pub stop: &'a AtomicBool,
}

/// A migration in progress.
pub(super) struct Run<'a, 'p> {
    pub(super) site: &'a Site,
    /// The tree that stands at the root now.
    pub(super) tree: Tree,
    /// Where it stands, where it is exchanged as a whole.
    pub(super) home: Option<Home>,
    pub(super) plan: &'a Plan,
    pub(super) folder: &'a Folder,
    pub(super) journal: &'a mut Journal,
    pub(super) memory: Memory,
    pub(super) party: &'a mut Party<'p>,
    pub(super) began: Duration,
    pub(super) findings: Vec<String>,
    /// What this process took back, besides steps.
    pub(super) taken_back: Vec<&'static str>,
    pub(super) mixture_us: Option<u64>,
    pub(super) locked_us: Option<u64>,
}

impl Run<'_, '_> {
    pub(super) fn disk(&self) -> &dyn Disk {
        self.site.disk()
    }

    /// Looks at what stands at the root after the trees were exchanged.
    ///
    /// # Errors
    /// It cannot be opened, or is neither of the two.
    pub(super) fn look_again(&mut self, trees: Option<&PreparedTree>) -> Result<(), DiskError> {
        let (Some(home), Some(trees)) = (&self.home, trees) else { return Ok(()) };
        let tree = home.tree(self.site.tree.disk())?;
        let wrap = DiskError::at("look at", tree.path());
        let found = self.disk().stat(At::itself(tree.root())).and_then(|stat| match stat {
            Some(stat) if [trees.parked, trees.staged].contains(&stat.identity) => Ok(()),
            _ => Err(io::Error::other("somebody put another directory there")),
        });
        found.map_err(wrap)?;
        self.tree = tree;
        Ok(())
    }

    pub(super) fn migration(&self) -> &MigrationId {
        &self.plan.migration
    }

    pub(super) fn phase(&self) -> Phase {
        self.journal.phase()
    }

    /// Records a fact, durably, and remembers and tells it.
    pub(super) fn record(&mut self, fact: Fact) -> Result<(), JournalError> {
        self.recorded(fact, Journal::record)
    }

    /// The same of a fact on which nothing that follows relies before another is recorded: it becomes durable
    /// with that one.
    pub(super) fn announce(&mut self, fact: Fact) -> Result<(), JournalError> {
        self.recorded(fact, Journal::announce)
    }

    fn recorded(
        &mut self,
        fact: Fact,
        write: fn(&mut Journal, &dyn Disk, OffsetDateTime, Fact) -> Result<Phase, JournalError>,
    ) -> Result<(), JournalError> {
        let record = Record { at: self.site.clock().now(), fact };
        let before = self.phase();
        let phase = write(self.journal, self.site.disk(), record.at, record.fact.clone())?;
        self.memory.absorb(&record);
        if is_over(phase) {
            self.journal.trim(self.site.disk());
        }
        if phase != before {
            let at_ms = milliseconds(self.took());
            self.tell(&Event::Phase { phase, at_ms });
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, event: &Event) {
        self.party.observer.event(event);
    }

    pub(super) fn progress(&mut self, work: Work, done: u64, total: u64, bytes: u64) {
        self.party.observer.progress(&Progress { work, done, total, bytes });
    }

    /// Remembers something a person should know that changes no outcome.
    pub(super) fn finding(&mut self, text: String) {
        self.tell(&Event::Finding { text: text.clone() });
        self.findings.push(text);
    }

    pub(super) fn took(&self) -> Duration {
        self.site.clock().elapsed().saturating_sub(self.began)
    }

    /// Tells that work of one kind ended well.
    pub(super) fn done(&mut self, work: Work, items: u64, bytes: u64, since: Duration) {
        let took_ms = milliseconds(self.site.clock().elapsed().saturating_sub(since));
        self.tell(&Event::Done { work, items, bytes, took_ms });
    }

    pub(super) fn step_ended(
        &mut self,
        step: &StepName,
        direction: Direction,
        failure: Option<String>,
        since: Duration,
    ) {
        let took_ms = milliseconds(self.site.clock().elapsed().saturating_sub(since));
        self.tell(&Event::Step { step: step.clone(), direction, failure, took_ms });
    }

    /// What is left of the enhancement's `max_duration` for a command or a check; the way back has no
    /// such limit.
    pub(super) fn left(&self) -> Duration {
        match self.plan.enhancement.max_duration_s {
            Some(seconds) if self.memory.cause.is_none() => {
                Duration::from_secs(seconds).saturating_sub(self.took())
            }
            _ => Duration::MAX,
        }
    }

    /// Turns round when somebody asked for that, or when it takes longer than the enhancement says.
    pub(super) fn unless_stopped(&self) -> Result<(), Trouble> {
        self.reason_to_stop().map_or(Ok(()), |reason| Err(Trouble::TurnBack(reason)))
    }

    /// Why the migration is to turn round, if it is.
    pub(super) fn reason_to_stop(&self) -> Option<String> {
        if self.party.stop.load(Ordering::Relaxed) {
            return Some("it was interrupted by an operator".into());
        }
        let seconds = self.plan.enhancement.max_duration_s?;
        (self.took() >= Duration::from_secs(seconds))
            .then(|| format!("it took longer than its max_duration of {seconds} s"))
    }

    /// Whether there are modules to stage, to switch and to park; without any there are no slots.
    pub(super) fn has_modules(&self) -> bool {
        !self.plan.operations.is_empty()
    }

    /// The database of the plan, if it has one.
    pub(super) fn database(&mut self) -> Result<Option<&mut Box<dyn Database>>, String> {
        let Some(planned) = &self.plan.database else { return Ok(None) };
        self.party
            .databases
            .iter_mut()
            .find(|database| *database.name() == planned.name)
            .map(Some)
            .ok_or_else(|| format!("database {} is not configured any more", planned.name))
    }

    pub(super) fn report(&self) -> Report {
        let sql_changes = self.plan.enhancement.sql.len() as u64;
        let mut findings = self.memory.findings.clone();
        findings
            .extend(self.findings.iter().filter(|finding| !self.memory.findings.contains(finding)).cloned());
        Report {
            migration: self.migration().clone(),
            phase: self.phase(),
            modules: self.plan.modules(),
            sql_changes,
            switch: self.plan.target.switch,
            mixture_us: self.mixture_us.or(self.memory.mixture_us),
            locked_us: self.locked_us.or(self.memory.locked_us),
            took_ms: milliseconds(self.took()),
            findings,
        }
    }

    /// The outcome of a migration that could not be taken back.
    pub(super) fn failed(&self) -> Outcome {
        Outcome::RollbackFailed {
            cause: self.memory.cause.clone().unwrap_or_default(),
            undo_failure: self.memory.undo_failure.clone().unwrap_or_default(),
            intact: self.memory.intact.clone(),
            report: self.report(),
        }
    }

    /// The outcome when a fact is missing.
    pub(super) fn in_doubt(&self, missing: String) -> Outcome {
        Outcome::InDoubt { missing, undone: self.undone(), report: self.report() }
    }

    /// What is known to have been undone: every step that the journal says, and what this process took
    /// back after the steps.
    fn undone(&self) -> Vec<String> {
        let steps = self.memory.undone.iter().filter_map(|step| self.plan.steps.get(*step));
        let steps = steps.filter(|step| has_effect(&step.work)).map(|step| format!("step {}", step.name));
        steps.chain(self.taken_back.iter().map(|what| (*what).to_owned())).collect()
    }
}
