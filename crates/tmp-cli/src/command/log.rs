//! `tmp log`: the journal of one migration.

use std::time::Duration;

use serde::Serialize;
use tmp_core::{Phase, clock::Clock as _, plan::Plan};
use tmp_disk::SystemClock;
use tmp_migrate::{Fact, Record, log};

use crate::{
    args::Globals,
    config::Config,
    exit::Exit,
    failure::Failure,
    journals, opening,
    output::{Output, Report},
    render,
};

/// How often a journal is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Arguments of `tmp log`.
#[derive(Debug, clap::Args)]
pub(crate) struct Log {
    /// The migration, or how its id begins
    migration: String,
    /// Go on until the migration has ended
    #[arg(short, long)]
    follow: bool,
}

#[derive(Debug, Serialize)]
struct Head<'a> {
    migration: &'a str,
    enhancement: &'a str,
    revision: u32,
    site: String,
    payload: String,
    /// The migration that it takes out again, where it is a reversal.
    reverses: Option<&'a str>,
    reason: Option<&'a str>,
}

impl Report for Head<'_> {
    const SCHEMA: &'static str = "tmp.log/v1";

    fn text(&self) -> String {
        let reason = self.reason.map_or(String::new(), |reason| format!("\nreason     {reason}"));
        let reverses = self.reverses.map_or(String::new(), |reversed| format!("\nreverses   {reversed}"));
        format!(
            "migration  {}\nof         {} r{}, {}\nat         {}{reverses}{reason}\n\n",
            self.migration, self.enhancement, self.revision, self.payload, self.site
        )
    }
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    record: &'a Record,
    #[serde(skip)]
    plan: &'a Plan,
}

impl Report for Line<'_> {
    const SCHEMA: &'static str = "tmp.record/v1";

    fn text(&self) -> String {
        let Record { at, fact } = self.record;
        format!("{}  {:16} {}", render::instant(*at), fact.name(), details(fact, self.plan))
            .trim_end()
            .to_owned()
            + "\n"
    }
}

impl Log {
    /// Shows the records, and those that follow.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let id = journals::find(&config, &self.migration)?.id;
        let disk = opening::disk();
        let clock = SystemClock::new();
        let mut shown = None;
        loop {
            let (plan, phase, records) =
                log(&disk, &config.state.value, &id).map_err(journals::unreadable)?;
            if shown.is_none() {
                out.report(&head(&plan));
            }
            for record in records.iter().skip(shown.unwrap_or(0)) {
                out.report(&Line { record, plan: &plan });
            }
            shown = Some(records.len());
            if !self.follow || out.is_lost() || is_over(phase) {
                return Ok(Exit::Done);
            }
            clock.sleep(POLL);
        }
    }
}

fn head(plan: &Plan) -> Head<'_> {
    let target = &plan.target;
    Head {
        migration: plan.migration.as_str(),
        enhancement: plan.enhancement.id.as_str(),
        revision: plan.enhancement.revision.into(),
        site: format!("{}/{}/{}", target.system, target.environment, target.site),
        payload: plan.provenance.payload.to_string(),
        reverses: plan.reverses.as_ref().map(|reversal| reversal.migration.as_str()),
        reason: plan.provenance.reason.as_deref(),
    }
}

/// Whether nothing follows of itself.
const fn is_over(phase: Phase) -> bool {
    matches!(phase, Phase::CleanedUp | Phase::RolledBack | Phase::RollbackFailed | Phase::Resolved)
}

fn details(fact: &Fact, plan: &Plan) -> String {
    let named = |step: &usize| {
        plan.steps.get(*step).map_or_else(|| format!("step {}", step + 1), |step| step.name.to_string())
    };
    match fact {
        Fact::Begin { pid, .. } => format!("process {pid}"),
        Fact::Archived { snapshot } => format!("snapshot {snapshot}"),
        Fact::Prepared(site) if site.tree.is_some() => "the next tree staged".into(),
        Fact::Prepared(site) => {
            format!("{} staged or parked", render::count(site.operations.len() as u64, "operation"))
        }
        Fact::StepIntent { name, .. } => format!("{name} is about to run"),
        Fact::StepDone { step, .. } => format!("{} ran", named(step)),
        Fact::UndoIntent { step } => format!("{} is about to be undone", named(step)),
        Fact::UndoDone { step, .. } => format!("{} was undone", named(step)),
        Fact::Committed { findings, .. } => findings.join("; "),
        Fact::CleanedUp { kept } if kept.is_empty() => String::new(),
        Fact::CleanedUp { kept } => format!("kept: {}", kept.join(", ")),
        Fact::RollingBack { cause } | Fact::Compensating { cause } => cause.clone(),
        Fact::RolledBack { comparison, .. } => {
            format!("{} compared with the archive", render::count(comparison.modules, "module"))
        }
        Fact::RollbackFailed { undo_failure, intact } if intact.is_empty() => undo_failure.clone(),
        Fact::RollbackFailed { undo_failure, intact } => format!("{undo_failure} (intact: {intact})"),
        Fact::Resolved { reason, found } => format!("{reason} (found: {found})"),
        Fact::Switch { .. } | Fact::Switched | Fact::Applied | Fact::Checking => String::new(),
    }
}
