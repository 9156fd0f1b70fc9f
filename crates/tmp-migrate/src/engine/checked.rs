//! The checked part: steps and checks after the commit point. A step that was begun and did not end is
//! never run again.

use std::{collections::BTreeSet, path::PathBuf, sync::atomic::Ordering, time::Duration};

use tmp_core::{
    ModulePath, Phase,
    database::Fingerprint,
    enhancement::{Command, Probe},
    event::{Direction, Event, Work},
    id::StepName,
    module::{Change, Content},
    mutant,
    plan::{Action, PlannedStep, StagedModule, StepWork},
    step::StepContext,
};
use tmp_disk::{DiskError, Observed, ObservedContent, observe};

use super::{
    error::{Stuck, Trouble, mismatch},
    run::Run,
    steps::ExportedObject,
};
use crate::{
    command::{self, CommandError, Surroundings},
    http,
    journal::Fact,
};

/// How long a check waits before it asks again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

impl Run<'_, '_> {
    /// Runs what is left of the checked part and records the approval.
    pub(super) fn checked_part(&mut self) -> Result<(), Trouble> {
        if self.phase() == Phase::Applied {
            self.announce(Fact::Checking)?;
        }
        if mutant::is("unlink-first") {
            let slots = super::site::slots(self.migration());
            tmp_disk::remove_tree(self.disk(), tmp_disk::At::new(&self.site.work, &slots))?;
        }
        if let Some(step) = self.memory.unfinished_step() {
            let name = self.plan.steps.get(step).map_or_else(String::new, |step| step.name.to_string());
            return Err(Trouble::TurnBack(format!("step {name} was interrupted")));
        }
        for (index, step) in self.plan.steps.iter().enumerate() {
            if self.memory.done.contains(&index) {
                continue;
            }
            self.unless_stopped()?;
            let since = self.site.clock().elapsed();
            let intent = Fact::StepIntent { step: index, name: step.name.clone() };
            // What only looks at the target may be run again where its intent is lost.
            if self.only_looks(step) || mutant::is("step-intent") {
                self.announce(intent)?;
            } else {
                self.record(intent)?;
            }
            self.tell(&Event::StepBegan { step: step.name.clone(), direction: Direction::Apply });
            let result = self.step(step);
            self.step_ended(&step.name, Direction::Apply, result.as_ref().err().cloned(), since);
            let database = result.map_err(|failure| {
                let over = self.reason_to_stop().map(|reason| format!("; {reason}"));
                Trouble::TurnBack(format!("{} failed: {failure}{}", step.name, over.unwrap_or_default()))
            })?;
            // Where this is lost, the step counts as begun and is taken back; the next record makes it durable.
            self.announce(Fact::StepDone { step: index, database })?;
        }
        self.unless_stopped()?;
        let (mixture_us, locked_us) = (self.mixture_us, self.locked_us);
        let committed = Fact::Committed { mixture_us, locked_us, findings: self.findings.clone() };
        // Where nothing was staged, nothing is removed between this and CLEANED_UP, which makes it durable.
        if self.has_modules() {
            self.record(committed)?;
        } else {
            self.announce(committed)?;
        }
        Ok(())
    }

    /// Whether a step reads modules and does nothing else.
    fn only_looks(&self, step: &PlannedStep) -> bool {
        match &step.work {
            StepWork::PostImage => true,
            StepWork::Check { index } => {
                let check = self.plan.enhancement.verify.get(*index);
                check.is_some_and(|check| matches!(check.probe, Probe::Digest { .. }))
            }
            _ => false,
        }
    }

    /// Runs one step; answers the database as a SQL step left it.
    fn step(&mut self, step: &PlannedStep) -> Result<Option<Fingerprint>, String> {
        let enhancement = &self.plan.enhancement;
        let done = match &step.work {
            StepWork::PostImage => self.post_image(),
            StepWork::Sql { index } => {
                let change = enhancement.sql.get(*index).ok_or("no such SQL change")?;
                return self.run_alone(&change.apply).map_err(Stuck::into_text);
            }
            StepWork::ControlObject { index, commands } => {
                let object = enhancement.control_objects.get(*index).ok_or("no such control object")?;
                let exported = ExportedObject::new(self.folder, *index);
                exported.export(self, &step.name, commands)?;
                let file = self.folder.script_path(&object.content);
                let own = [(file.clone(), false)];
                self.command_with(&step.name, &ExportedObject::fill(&commands.import, &file), &own)?;
                commands.verify.as_ref().map_or(Ok(()), |verify| {
                    self.command_with(&step.name, &ExportedObject::fill(verify, &file), &own)
                        .map_err(String::from)
                })
            }
            StepWork::Batch { index } => {
                let batch = enhancement.batch.get(*index).ok_or("no such batch step")?;
                self.command(&step.name, &batch.run).map_err(String::from)
            }
            StepWork::Own { .. } => self.own(step, Direction::Apply),
            StepWork::Check { index } => {
                let check = enhancement.verify.get(*index).ok_or("no such check")?;
                self.check(&step.name, &check.probe, Duration::from_secs(check.within_s))
            }
        };
        done.map(|()| None)
    }

    /// Applies or undoes a step of the embedder's own.
    pub(super) fn own(&mut self, step: &PlannedStep, direction: Direction) -> Result<(), String> {
        let context = StepContext { migration: &self.plan.migration, root: &self.plan.target.root };
        let own = self
            .party
            .steps
            .iter_mut()
            .find(|own| *own.name() == step.name)
            .ok_or_else(|| format!("step {} is not there", step.name))?;
        let result = match direction {
            Direction::Apply => own.apply(&context),
            Direction::Undo => own.undo(&context),
        };
        result.map_err(|error| crate::text(&error))
    }

    /// Runs one command of a step.
    pub(super) fn command(&self, step: &StepName, command: &Command) -> Result<(), CommandError> {
        self.command_with(step, command, &[])
    }

    /// The same, with files that TMP hands to it, and whether it may change them.
    pub(super) fn command_with(
        &self,
        step: &StepName,
        command: &Command,
        own: &[(PathBuf, bool)],
    ) -> Result<(), CommandError> {
        let hidden = [self.site.state_path().into(), self.plan.target.work.clone().into()];
        let surroundings = Surroundings {
            root: &self.plan.target.root,
            migration: &self.plan.migration,
            step,
            clock: self.site.clock(),
            left: self.left(),
            confinement: self.plan.confinement.as_ref(),
            hidden: &hidden,
            own,
        };
        command::run(command, &surroundings)
    }

    /// Asks a check until it passes or its time is over.
    fn check(&self, step: &StepName, probe: &Probe, within: Duration) -> Result<(), String> {
        let clock = self.site.clock();
        let deadline = clock.elapsed().saturating_add(within.min(self.left()));
        loop {
            let asked = self.ask(step, probe);
            let stopped = self.party.stop.load(Ordering::Relaxed);
            if asked.is_ok() || stopped || clock.elapsed() >= deadline {
                return asked;
            }
            clock.sleep(ASK_AGAIN);
        }
    }

    fn ask(&self, step: &StepName, probe: &Probe) -> Result<(), String> {
        match probe {
            Probe::Command(command) => self.command(step, command).map_err(String::from),
            Probe::Http { url, status } => {
                let site = self.plan.target.url.as_deref().unwrap_or_default();
                http::get(&url.replace("{site.url}", site.trim_end_matches('/')), *status, self.left())
            }
            Probe::Digest { path, digest } => match self.observed(path)?.map(|observed| observed.content) {
                Some(ObservedContent::File { digest: found, .. }) if found == *digest => Ok(()),
                Some(ObservedContent::File { digest: found, .. }) => {
                    Err(mismatch(path.as_str(), digest, &found))
                }
                _ => Err(format!("{path} is not a file")),
            },
        }
    }

    /// Every module is what was planned, read from where it stands: those that were switched, and those
    /// whose content was found right when the plan was made.
    fn post_image(&mut self) -> Result<(), String> {
        let since = self.site.clock().elapsed();
        let mut compared = 0;
        for operation in &self.plan.operations {
            let Action::Put { staged } = &operation.action else { continue };
            for module in staged {
                self.is_as_planned(module)?;
                compared += 1;
            }
        }
        let kept = self.plan.operations.iter().filter(|it| matches!(it.action, Action::SetMode { .. }));
        let kept: BTreeSet<&ModulePath> = kept.map(|it| &it.path).chain(&self.plan.unchanged).collect();
        for change in self.plan.enhancement.modules.iter().filter(|change| kept.contains(&change.path)) {
            let Change::Put(content) = &change.change else { continue };
            self.is_as_planned(&StagedModule {
                path: change.path.clone(),
                content: content.clone(),
                owner: None,
                attributes: None,
            })?;
            compared += 1;
        }
        self.done(Work::Compare, compared, 0, since);
        Ok(())
    }

    fn is_as_planned(&self, module: &StagedModule) -> Result<(), String> {
        let path = &module.path;
        let observed = self.observed(path)?.ok_or_else(|| format!("{path} is not there"))?;
        let fits = match (&module.content, &observed.content) {
            (Content::File { digest, mode, .. }, ObservedContent::File { digest: there, .. }) => {
                digest == there && *mode == observed.stat.mode
            }
            (Content::Symlink { target }, ObservedContent::Symlink { target: there }) => {
                target.as_bytes() == there
            }
            (Content::Directory { .. }, ObservedContent::Directory) => true,
            _ => false,
        };
        if fits { Ok(()) } else { Err(format!("{path} is not what was planned")) }
    }

    fn observed(&self, path: &ModulePath) -> Result<Option<Observed>, String> {
        let text = |error: DiskError| crate::text(&error);
        match self.tree.locate(path).map_err(text)? {
            Some(place) => observe(self.disk(), place.at()).map_err(text),
            None => Ok(None),
        }
    }
}
