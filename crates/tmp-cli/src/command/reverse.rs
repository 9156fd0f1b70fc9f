//! `tmp reverse`: takes a committed migration out again, and what builds on it before.

use serde::Serialize;
use tmp_core::{EnhancementId, MigrationId, outcome::Outcome, plan::Plan};
use tmp_migrate::{MigrationSummary, Past, ReversalContents, ReversalRequest, Standing};

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
    /// The enhancements, in any order
    #[arg(required = true, value_name = "ID")]
    ids: Vec<EnhancementId>,
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
    /// Confirm without being asked: the ids as they were given, with commas between them
    #[arg(long, value_name = "ID,…")]
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
        let mut past = Past::new(&opening::disk(), &config.state.value);
        let all = journals::known(past.history())?;
        let (site, migrations) = self.installed(&config, &all)?;
        let order = past.reversal_order(&site.root, &migrations).map_err(journals::unreadable)?;
        let set = set(site, &order);
        let stop = signals::install().map_err(Failure::unexpected)?;
        let mut crew = Crew::of(site, &stop, out);
        if self.dry_run {
            out.report(&set);
            // Only the first can be looked at: the others stand on what it takes out.
            if let Some(first) = order.first() {
                self.plan((&config, &mut past), site, first, &mut crew)?;
            }
            return Ok(Exit::Done);
        }
        out.message(set.text().trim_end());
        let what =
            format!("this takes {} out of {site}", crate::render::count(order.len() as u64, "migration"));
        let word = self.ids.iter().map(EnhancementId::as_str).collect::<Vec<_>>().join(",");
        prompt::confirm(out, &what, &word, self.confirm.as_deref())?;
        let mut engine = opening::ready(&config, site)?;
        for reversed in &order {
            let (plan, contents) = self.plan((&config, &mut past), site, reversed, &mut crew)?;
            let outcome = engine.migrate(&plan, &contents, &mut crew.party()).map_err(opening::stopped)?;
            crew.rest(out);
            let (exit, done) = (Exit::of(&outcome), matches!(outcome, Outcome::Committed { .. }));
            let (id, revision) = (plan.enhancement.id.as_str(), plan.enhancement.revision.into());
            out.report(&Ended::new(id, revision, site.to_string(), false, outcome).reversing(true));
            if !done {
                return Ok(exit);
            }
        }
        Ok(Exit::Done)
    }

    /// Where the enhancements are in place, and the migrations that put them there.
    fn installed<'a>(
        &self,
        config: &'a Config,
        all: &[MigrationSummary],
    ) -> Result<(&'a Site, Vec<MigrationId>), Failure> {
        let named = self.site.name()?.map(|name| site::named(config, &name)).transpose()?;
        let mut place: Option<&Site> = None;
        let mut migrations = Vec::new();
        for id in &self.ids {
            let (site, migration) = one_site(config, named, all, id)?;
            if let Some(other) = place.filter(|other| other.to_string() != site.to_string()) {
                let message = format!("{id} is in place at {site}, and another at {other}");
                return Err(Failure::new(Exit::Usage, message)
                    .rule("which-site")
                    .help("reverse those of one site at a time"));
            }
            place = Some(site);
            migrations.push(migration);
        }
        let none = || Failure::new(Exit::Usage, "no enhancement is named");
        place.map(|site| (site, migrations)).ok_or_else(none)
    }

    fn plan(
        &self,
        (config, past): (&Config, &mut Past),
        site: &Site,
        reversed: &Standing,
        crew: &mut Crew,
    ) -> Result<(Plan, ReversalContents), Failure> {
        let request = ReversalRequest {
            migration: &reversed.migration,
            reason: &self.reason,
            lose: &self.lose,
            commands: &site.commands,
            utilities: &config.utilities,
        };
        past.plan_reversal(&opening::workplace(config, site), &request, crew.databases())
            .map_err(|error| planning::in_the_way(site, error))
    }
}

/// The one site where an enhancement is in place, and the migration that put it there.
fn one_site<'a>(
    config: &'a Config,
    named: Option<&Site>,
    all: &[MigrationSummary],
    id: &EnhancementId,
) -> Result<(&'a Site, MigrationId), Failure> {
    let sites = config.sites.iter();
    let sites = sites.filter(|site| named.is_none_or(|named| named.to_string() == site.to_string()));
    let there = |site: &'a Site| {
        let fits = |summary: &&MigrationSummary| {
            journals::is_at(summary, site) && journals::is_installed(summary) && summary.enhancement == *id
        };
        all.iter().rfind(fits).map(|summary| (site, summary.id.clone()))
    };
    let mut found: Vec<_> = sites.filter_map(there).collect();
    if found.len() > 1 {
        let sites: Vec<_> = found.iter().map(|(site, _)| site.to_string()).collect();
        let message = format!("{id} is in place at several sites");
        return Err(Failure::new(Exit::Usage, message)
            .rule("which-site")
            .help(format!("name one with --site; there are: {}", sites.join(", "))));
    }
    found.pop().ok_or_else(|| {
        let message = format!("{id} is not in place at any site that is meant");
        Failure::new(Exit::Usage, message).rule("unknown-id").help("see `tmp status`")
    })
}

fn set(site: &Site, order: &[Standing]) -> Set {
    let member = |standing: &Standing| Member {
        migration: standing.migration.to_string(),
        enhancement: standing.enhancement.to_string(),
        revision: standing.revision.into(),
        title: standing.title.clone(),
    };
    Set { site: site.to_string(), migrations: order.iter().map(member).collect() }
}
