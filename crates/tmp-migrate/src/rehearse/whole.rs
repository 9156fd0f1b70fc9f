//! The whole migration by the real engine on the clone: forward, turned round at its very end, compared
//! with the original, and forward again.

use std::sync::atomic::AtomicBool;

use tmp_core::{
    contents::Contents,
    database::{Database, Fingerprint},
    enhancement::{Enhancement, Probe, SqlRollback},
    event::{Observer, Silent},
    id::StepName,
    outcome::Outcome,
    plan::{Confinement, Network, Plan},
    step::Step,
};

use super::{
    Rehearsal, RehearsalError,
    clone::Clone,
    difference::{compared, without},
    proof::{Class, Finding, NotRehearsed},
    turn::{Seen, Turn},
    unless_stopped,
    view::View,
};
use crate::{
    command::CommandPolicy,
    engine::{AFTER_FINDING, BY_ARCHIVE, Engine, Opened, Party},
    planner::{PlanRequest, plan},
};

/// The name of the step that turns round.
const TURN: &str = "rehearsal-turns-round";

/// What can be rehearsed of an enhancement, and what is left out.
pub(super) fn rehearsable(enhancement: &Enhancement, commands: bool) -> (Enhancement, Vec<NotRehearsed>) {
    let mut kept = enhancement.clone();
    let mut left_out = Vec::new();
    let mut leave = |step: String, why: &str| left_out.push(NotRehearsed { step, why: why.into() });
    let unconfined = "a command is not confined to the clone; rehearse with commands to run it there";
    if !commands {
        for object in kept.control_objects.drain(..) {
            leave(format!("control object {}", object.object), unconfined);
        }
        kept.batch.drain(..).for_each(|step| leave(step.name.to_string(), unconfined));
        if !kept.after_rollback.is_empty() {
            kept.after_rollback.clear();
            leave("after_rollback".into(), unconfined);
        }
    }
    kept.verify.retain(|check| {
        let why = match check.probe {
            Probe::Http { .. } => "a check by HTTP would ask the live site",
            Probe::Command(_) if !commands => unconfined,
            Probe::Command(_) | Probe::Digest { .. } => return true,
        };
        leave(check.name.to_string(), why);
        false
    });
    (kept, left_out)
}

/// The policy of a rehearsal: confined commands reach no network, and what they may change at the live site
/// they may only read.
fn on_a_copy(policy: &CommandPolicy) -> CommandPolicy {
    let CommandPolicy::Confined(granted) = policy else { return policy.clone() };
    let read = granted.read.iter().chain(&granted.write).cloned().collect();
    let (write, network) = (Vec::new(), Network::None);
    CommandPolicy::Confined(Confinement { read, write, network, ..granted.clone() })
}

/// What the engine did on the clone.
pub(super) struct Whole<'a, 'r> {
    pub(super) rehearsal: &'a Rehearsal<'r>,
    pub(super) clone: &'a Clone,
    pub(super) enhancement: &'a Enhancement,
    pub(super) contents: &'a dyn Contents,
    pub(super) stop: &'a AtomicBool,
    pub(super) view: View,
    /// What is wrong with the roll-back scripts, as it is known already.
    pub(super) scripts: Option<Finding>,
    /// Tables whose rows differ whenever the SQL is applied.
    pub(super) unrepeatable: Vec<String>,
}

impl Whole<'_, '_> {
    /// The plan for the clone, with or without the step that turns round as its last.
    fn plan(&self, steps: &[Box<dyn Step>]) -> Result<Plan, RehearsalError> {
        let commands = on_a_copy(self.rehearsal.policy);
        let request = PlanRequest {
            enhancement: self.enhancement,
            provenance: self.rehearsal.provenance,
            commands: &commands,
            privileged_modules: self.rehearsal.privileged_modules,
            utilities: self.rehearsal.utilities,
            steps,
        };
        let mut databases = self.clone.open(self.rehearsal.open);
        let mut plan = plan(&self.clone.workplace, &request, &mut databases)?;
        if let Some(turn) = plan.steps.iter().position(|step| step.name.as_str() == TURN) {
            let turn = plan.steps.remove(turn);
            plan.steps.push(turn);
        }
        Ok(plan)
    }

    /// The plan of the whole migration, as it will be rehearsed.
    pub(super) fn planned(&self) -> Result<Plan, RehearsalError> {
        self.plan(&[])
    }

    pub(super) fn database(&self, plan: &Plan) -> Option<Box<dyn Database>> {
        let name = &plan.database.as_ref()?.name;
        let file = self.clone.databases.get(name)?;
        Some((self.rehearsal.open)(name, file))
    }

    /// Rehearses. Answers what is wrong.
    pub(super) fn rehearse(&self, before: &Seen) -> Result<Vec<Finding>, RehearsalError> {
        let Opened::Ready(mut engine) = Engine::open(self.clone.workplace.clone())? else {
            return Err(RehearsalError::NotOwn);
        };
        let name: StepName = TURN.parse().map_err(|_| RehearsalError::NotOwn)?;
        let database = self.database(&self.planned()?);
        let (turn, seen) = Turn::new(name, self.view.clone(), database);
        let mut steps: Vec<Box<dyn Step>> = vec![Box::new(turn)];
        let plan = self.plan(&steps)?;
        let outcome = self.migrate(&mut engine, &plan, &mut steps)?;
        let first = seen.lock().ok().and_then(|mut seen| seen.take());
        let Some(first) = first else { return Ok(vec![forward(outcome)]) };
        let mut findings = self.way_back(outcome, before, &plan)?;
        if findings.iter().all(|finding| finding.class != Class::RollBackFails) {
            findings.extend(self.again(&mut engine, &first)?);
        }
        Ok(findings)
    }

    fn migrate(
        &self,
        engine: &mut Engine,
        plan: &Plan,
        steps: &mut [Box<dyn Step>],
    ) -> Result<Outcome, RehearsalError> {
        let mut databases = self.clone.open(self.rehearsal.open);
        let observer: &mut dyn Observer = &mut Silent;
        let mut party = Party { databases: &mut databases, steps, observer, stop: self.stop };
        let outcome = engine.migrate(plan, self.contents, &mut party)?;
        unless_stopped(self.stop)?;
        Ok(outcome)
    }

    /// What is wrong with how the migration was taken back.
    fn way_back(&self, outcome: Outcome, before: &Seen, plan: &Plan) -> Result<Vec<Finding>, RehearsalError> {
        let mut findings = Vec::new();
        match outcome {
            Outcome::RolledBack { report, comparison, .. } => {
                let declared = |rollback: &SqlRollback| matches!(rollback, SqlRollback::Script(_));
                if self.enhancement.sql.iter().all(|change| declared(&change.rollback)) {
                    let told = report.findings.iter().filter_map(|text| text.strip_prefix(BY_ARCHIVE));
                    let known = self.scripts.clone();
                    let known = known.unwrap_or(Finding::new(Class::RestoresSomethingElse, ""));
                    findings.extend(told.map(|text| Finding { message: text.to_owned(), ..known.clone() }));
                }
                let failed = report.findings.iter().filter(|text| text.starts_with(AFTER_FINDING));
                findings.extend(failed.map(|text| Finding::new(Class::RollBackFails, text.as_str())));
                findings.extend(modules(Class::RestoresSomethingElse, comparison.foreign));
            }
            Outcome::RollbackFailed { undo_failure: text, .. } | Outcome::InDoubt { missing: text, .. } => {
                findings.push(Finding::new(Class::RollBackFails, text));
            }
            Outcome::Committed { .. } => {
                findings.push(Finding::new(Class::RollBackFails, "the migration did not turn round"));
            }
        }
        findings.extend(modules(Class::RestoresSomethingElse, self.view.differences(before, false)?));
        let mut database = self.database(plan);
        if let (Some(database), Some(before)) = (&mut database, &before.database) {
            let now = database.fingerprint();
            database.release();
            findings.extend(compared(Class::RestoresSomethingElse, before, &now?));
        }
        Ok(findings)
    }

    /// Migrates once more, and compares with the first time.
    fn again(&self, engine: &mut Engine, first: &Seen) -> Result<Vec<Finding>, RehearsalError> {
        let class = Class::CannotBeAppliedAgain;
        let plan = self.planned()?;
        let outcome = self.migrate(engine, &plan, &mut [])?;
        if !matches!(outcome, Outcome::Committed { .. }) {
            let failed = forward(outcome);
            return Ok(vec![Finding { class, ..failed }]);
        }
        let mut findings: Vec<Finding> =
            modules(class, self.view.differences(first, true)?).into_iter().collect();
        let mut database = self.database(&plan);
        if let (Some(database), Some(first)) = (&mut database, &first.database) {
            let now = database.fingerprint();
            database.release();
            let [first, now]: [Fingerprint; 2] =
                [without(first, &self.unrepeatable), without(&now?, &self.unrepeatable)];
            findings.extend(compared(class, &first, &now));
        }
        Ok(findings)
    }
}

/// What kept a migration from going forward.
fn forward(outcome: Outcome) -> Finding {
    match outcome {
        Outcome::RolledBack { cause, .. } => Finding::new(Class::DoesNotApply, cause),
        Outcome::RollbackFailed { cause, undo_failure, .. } => {
            Finding::new(Class::RollBackFails, format!("{cause}; {undo_failure}"))
        }
        Outcome::InDoubt { missing, .. } => Finding::new(Class::RollBackFails, missing),
        Outcome::Committed { .. } => Finding::new(Class::DoesNotApply, "its last step was left out"),
    }
}

fn modules(class: Class, modules: Vec<String>) -> Option<Finding> {
    (!modules.is_empty()).then(|| {
        let message = format!("modules differ: {}", modules.join("; "));
        Finding { modules, ..Finding::new(class, message) }
    })
}
