//! `tmp reverse`: takes a committed migration out again, and what builds on it before.

use serde::Serialize;
use tmp_core::{EnhancementId, outcome::Outcome, plan::Plan};
use tmp_migrate::{MigrationSummary, ReversalRequest, plan_reversal, reversal_order};

use crate::{
    args::Globals,
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    journals,
    opening::{self, Crew},
    output::{Output, Report},
    planning, prompt,
    render::outcome::Ended,
    signals,
    site::{self, SiteFlag},
};

/// Arguments of `tmp reverse`.
#[derive(Debug, clap::Args)]
pub(crate) struct Reverse {
    /// The enhancement
    id: EnhancementId,
    #[command(flatten)]
    site: SiteFlag,
    /// Why; recorded
    #[arg(long)]
    reason: String,
    /// A table of which rows written since may be changed or lost; may be given again
    #[arg(long, value_name = "TABLE")]
    lose: Vec<String>,
    /// Say what would be reversed, and what stands in the way; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Confirm without being asked: the enhancement's id
    #[arg(long, value_name = "ID")]
    confirm: Option<String>,
}

/// What is to be reversed, newest first.
#[derive(Debug, Serialize)]
struct Set {
    site: String,
    migrations: Vec<Member>,
}

#[derive(Debug, Serialize)]
struct Member {
    migration: String,
    enhancement: String,
    revision: u32,
    title: String,
}

impl Report for Set {
    const SCHEMA: &'static str = "tmp.reversal-set/v1";

    fn text(&self) -> String {
        let mut text = format!("to be reversed at {}, newest first\n", self.site);
        for member in &self.migrations {
            push!(
                text,
                "  {} r{}: {} ({})\n",
                member.enhancement,
                member.revision,
                member.title,
                member.migration
            );
        }
        text
    }
}

impl Reverse {
    /// Shows the set, asks, and reverses one after the other; stops at the first that does not succeed.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let all = journals::all(&config)?;
        let (site, summary) = self.installed(&config, &all)?;
        let workplace = opening::workplace(&config, site);
        let order = reversal_order(&workplace, &summary.id).map_err(journals::unreadable)?;
        let set = set(site, &order);
        let stop = signals::install().map_err(Failure::unexpected)?;
        let mut crew = Crew::of(site, &stop, out);
        if self.dry_run {
            out.report(&set);
            // Only the first can be looked at: the others stand on what it takes out.
            if let Some(first) = order.first() {
                self.plan(&config, site, first, &mut crew)?;
            }
            return Ok(Exit::Done);
        }
        out.message(set.text().trim_end());
        let what =
            format!("this takes {} out of {site}", crate::render::count(order.len() as u64, "migration"));
        prompt::confirm(out, &what, self.id.as_str(), self.confirm.as_deref())?;
        let mut engine = opening::ready(&config, site)?;
        for reversed in &order {
            let (plan, contents) = self.plan(&config, site, reversed, &mut crew)?;
            let outcome = engine.migrate(&plan, &contents, &mut crew.party()).map_err(opening::stopped)?;
            let (exit, done) = (Exit::of(&outcome), matches!(outcome, Outcome::Committed { .. }));
            let (id, revision) = (plan.enhancement.id.as_str(), plan.enhancement.revision.into());
            out.report(&Ended::new(id, revision, site.to_string(), false, outcome).reversing(true));
            if !done {
                return Ok(exit);
            }
        }
        Ok(Exit::Done)
    }

    /// Where the enhancement is in place, and the migration that put it there.
    fn installed<'a, 'b>(
        &self,
        config: &'a Config,
        all: &'b [MigrationSummary],
    ) -> Result<(&'a Site, &'b MigrationSummary), Failure> {
        let named = self.site.name()?.map(|name| site::named(config, &name)).transpose()?;
        let sites = config.sites.iter();
        let sites = sites.filter(|site| named.is_none_or(|named| named.to_string() == site.to_string()));
        let there = |site: &'a Site| {
            let fits = |summary: &&MigrationSummary| {
                journals::is_at(summary, site)
                    && journals::is_installed(summary)
                    && summary.enhancement == self.id
            };
            all.iter().rfind(fits).map(|summary| (site, summary))
        };
        let found: Vec<_> = sites.filter_map(there).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => {
                let message = format!("{} is not in place at any site that is meant", self.id);
                Err(Failure::new(Exit::Usage, message).rule("unknown-id").help("see `tmp status`"))
            }
            several => {
                let sites: Vec<_> = several.iter().map(|(site, _)| site.to_string()).collect();
                let message = format!("{} is in place at several sites", self.id);
                Err(Failure::new(Exit::Usage, message)
                    .rule("which-site")
                    .help(format!("name one with --site; there are: {}", sites.join(", "))))
            }
        }
    }

    fn plan(
        &self,
        config: &Config,
        site: &Site,
        reversed: &Plan,
        crew: &mut Crew,
    ) -> Result<(Plan, tmp_migrate::ReversalContents), Failure> {
        let request = ReversalRequest {
            migration: &reversed.migration,
            reason: &self.reason,
            lose: &self.lose,
            commands: config.commands.value,
            utilities: &config.utilities,
        };
        plan_reversal(&opening::workplace(config, site), &request, crew.databases())
            .map_err(|error| planning::in_the_way(site, error))
    }
}

fn set(site: &Site, order: &[Plan]) -> Set {
    let member = |plan: &Plan| Member {
        migration: plan.migration.to_string(),
        enhancement: plan.enhancement.id.to_string(),
        revision: plan.enhancement.revision.into(),
        title: plan.enhancement.title.clone(),
    };
    Set { site: site.to_string(), migrations: order.iter().map(member).collect() }
}
