//! `tmp plan`: what would happen, and the way back.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use camino::{Utf8Path, Utf8PathBuf};
use tmp_core::{EnvironmentName, contents::Contents, enhancement::SqlRollback, plan::Plan as Steps};
use tmp_disk::Tree;
use tmp_migrate::{InUse, MigrationSummary, Past, in_use};
use tmp_trigger::VerifiedTrigger;

use crate::{
    args::Globals,
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    in_place, journals,
    opening::{self, Crew},
    output::Output,
    planning,
    render::{
        diff,
        plan::{self, PlanView, ScriptView, Space},
        steps,
    },
    site::SiteFlag,
    trigger,
};

/// The longest script that is shown, in bytes.
const LONGEST: u64 = 16 << 20;

/// Arguments of `tmp plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// The trigger file
    file: Utf8PathBuf,
    #[command(flatten)]
    site: SiteFlag,
    /// Show it against this environment instead of its own
    #[arg(long, value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Option<EnvironmentName>,
    /// Exit with 6 when there is something to do
    #[arg(long)]
    exit_code: bool,
}

/// Reads the name of an environment.
pub(crate) fn environment(text: &str) -> Result<EnvironmentName, String> {
    match text {
        "model" => Ok(EnvironmentName::Model),
        "production" => Ok(EnvironmentName::Production),
        _ => Err("there are: model, production".into()),
    }
}

impl Plan {
    /// Shows the plan. Nothing is changed.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let trigger = trigger::open(&self.file)?;
        let site = trigger::site_of(&trigger, &config, &self.site, self.environment)?;
        let mut past = Past::new(&opening::disk(), &config.state.value);
        let all = journals::known(past.history())?;
        if let Some(done) = in_place::look(&config, &trigger, site, &all)? {
            out.report(&done);
            return Ok(Exit::Done);
        }
        let mut crew = Crew::of(site, &Arc::new(AtomicBool::new(false)), out);
        let plan = planning::Request { config: &config, site, trigger: &trigger, reason: None }
            .make(&mut past, &mut crew)?;
        drop(crew);
        out.report(&view(&config, site, &trigger, plan, &all)?);
        Ok(if self.exit_code { Exit::Differences } else { Exit::Done })
    }
}

fn view(
    config: &Config,
    site: &Site,
    trigger: &VerifiedTrigger,
    plan: Steps,
    all: &[MigrationSummary],
) -> Result<PlanView, Failure> {
    let open = all.iter().find(|summary| journals::is_at(summary, site) && journals::is_open(summary));
    let mut notes: Vec<_> = trigger::objections(trigger, site, all).iter().map(ToString::to_string).collect();
    notes.extend(
        open.map(|open| format!("migration {} is open here ({}); it is settled first", open.id, open.phase)),
    );
    notes.extend(in_use(&plan).chunk_by(|a, b| a.path == b.path).map(used_by));
    let header = trigger.header();
    let tree = Tree::open(&opening::disk(), Path::new(&site.root)).map_err(Failure::unexpected)?;
    let archive = opening::workplace(config, site).archive();
    Ok(PlanView {
        packaged_for: (header.environment != site.environment).then(|| header.environment.to_string()),
        steps: steps::lines(&plan, archive.as_str()),
        commands: plan::commands(&plan),
        commit_point: steps::commit_point(&plan),
        without_commit_point: steps::outside(&plan),
        modules: diff::diffs(&tree, &plan.operations, trigger)?,
        scripts: scripts(&plan, trigger)?,
        space: vec![
            space("staged modules", &site.root, plan.needs.staged),
            space("archive", &config.state.value, plan.needs.archive),
            space("journal", &config.state.value, plan.needs.journal),
        ],
        notes,
        plan,
    })
}

/// How many processes are named for each path.
const NAMED: usize = 5;

/// A note on the processes that use one path.
fn used_by(uses: &[InUse]) -> String {
    let path = uses.first().map_or("", |one| one.path.as_str());
    let path = if path.is_empty() { "the root" } else { path };
    let named = uses.iter().take(NAMED).map(|one| format!("{} ({})", one.process, one.name));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match uses.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{path} is used by process {named}{more}: until it is started anew it goes on with the old")
}

fn space(what: &'static str, path: &Utf8Path, needs: u64) -> Space {
    let disk = opening::disk();
    let free = path
        .ancestors()
        .find_map(|ancestor| disk.open_root(ancestor.as_std_path()).ok())
        .and_then(|dir| disk.file_system(&dir).ok())
        .map(|system| system.free_bytes);
    Space { what, path: path.to_owned(), needs, free }
}

fn scripts(plan: &Steps, contents: &dyn Contents) -> Result<Vec<ScriptView>, Failure> {
    let mut wanted = Vec::new();
    for change in &plan.enhancement.sql {
        wanted.push(("apply", &change.apply));
        if let Some(verify) = &change.verify {
            wanted.push(("verify", &verify.script));
        }
        if let SqlRollback::Script(script) = &change.rollback {
            wanted.push(("way back", script));
        }
    }
    let digests: BTreeSet<_> = wanted.iter().map(|(_, script)| script.digest).collect();
    let mut texts = std::collections::BTreeMap::new();
    contents
        .visit(&digests, &mut |digest, _, reader| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(reader, LONGEST), &mut bytes)?;
            texts.insert(*digest, String::from_utf8_lossy(&bytes).into_owned());
            Ok(())
        })
        .map_err(Failure::unexpected)?;
    let view = |(role, script): (&'static str, &tmp_core::enhancement::Script)| ScriptView {
        role,
        name: script.name.clone(),
        text: texts.get(&script.digest).cloned().unwrap_or_default(),
    };
    Ok(wanted.into_iter().map(view).collect())
}
