//! `tmp status`: what is installed where, and what is open.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::Serialize;
use tmp_core::{EnhancementId, Phase};
use tmp_disk::{DiskError, RealDisk};
use tmp_migrate::{History, Holder, MigrationSummary, Past, Unreadable, holder};

use crate::{
    args::Globals,
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    journals, opening,
    output::{Output, Report},
    render,
    site::{self, SiteFlag},
};

/// Arguments of `tmp status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    site: SiteFlag,
}

#[derive(Debug, Serialize)]
struct Now {
    state: Utf8PathBuf,
    sites: Vec<SiteNow>,
    /// Left out where every journal can be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<Unreadable>,
}

#[derive(Debug, Serialize)]
struct SiteNow {
    site: Site,
    /// The newest committed migration of each enhancement.
    installed: Vec<MigrationSummary>,
    last: Option<MigrationSummary>,
    open: Option<MigrationSummary>,
    /// What goes on about the open one.
    open_is: Option<OpenIs>,
}

/// What goes on about an open migration.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum OpenIs {
    /// A process works on it, or on the site at least.
    Running {
        /// Its number, where it has said it.
        process: Option<u32>,
    },
    /// Nobody does.
    Interrupted,
    /// The lock cannot be looked at.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Report for Now {
    const SCHEMA: &'static str = "tmp.status/v1";

    fn text(&self) -> String {
        if self.sites.is_empty() {
            return "no site is configured\n".into();
        }
        let sites = self.sites.iter().map(SiteNow::text).collect::<Vec<_>>().join("\n");
        sites + &journals::lines(&self.unreadable)
    }
}

impl SiteNow {
    fn text(&self) -> String {
        let mut text = format!("{}  {}\n", self.site, self.site.root);
        for summary in &self.installed {
            let when = render::instant(summary.started);
            push!(text, "  installed  {} r{}  {when}\n", summary.enhancement, summary.revision);
        }
        match (&self.open, &self.last) {
            (Some(open), _) => text += &waiting(&self.site, open, self.open_is.as_ref()),
            (None, Some(last)) => {
                let phase = render::standing(last);
                push!(text, "  last       {} r{}: {phase}\n", last.enhancement, last.revision);
                if let Some(cause) = &last.cause {
                    push!(text, "             {cause}\n");
                }
            }
            (None, None) => text += "  nothing was migrated here yet\n",
        }
        text
    }
}

fn waiting(site: &Site, open: &MigrationSummary, is: Option<&OpenIs>) -> String {
    let what = match (open.phase, is) {
        (phase, Some(OpenIs::Running { process })) => {
            let process = process.map_or(String::new(), |process| format!(" (process {process})"));
            format!("running{process}, {}", render::phase(phase))
        }
        (Phase::RollbackFailed, _) => {
            format!("ROLLBACK FAILED; put it right, then `tmp resolve {site} --reason WHAT-WAS-DONE`")
        }
        (Phase::Committed, _) => "migrated; `tmp recover` or the next migration cleans up after it".into(),
        (phase, Some(OpenIs::Unknown { why })) => {
            format!("open, {phase}; whether a process works on it cannot be told: {why}")
        }
        (phase, _) => format!("interrupted while {phase}: run `tmp recover --site {site}`"),
    };
    let mut text = format!("  migration  {} ({} r{}): {what}\n", open.id, open.enhancement, open.revision);
    for line in open.cause.iter().chain(&open.undo_failure).chain(&open.intact) {
        push!(text, "             {line}\n");
    }
    text
}

impl Status {
    /// Reads the journals of every site.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let only = self.site.name()?.map(|name| site::named(&config, &name)).transpose()?;
        let mut past = Past::new(&opening::disk(), &config.state.value);
        let before = past.history().map_err(journals::unreadable)?;
        let sites = config.sites.iter();
        let sites = sites.filter(|site| only.is_none_or(|only| only.to_string() == site.to_string()));
        // Between the two looks at the journals somebody may have begun or ended.
        let locks: Vec<_> = sites.map(|site| (site, holder(&RealDisk, &site.work))).collect();
        let History { migrations, unreadable } = past.history().map_err(journals::unreadable)?;
        let now = Now {
            state: config.state.value.clone(),
            sites: locks
                .into_iter()
                .map(|(site, lock)| at(site, &migrations, |open| is(open, &before.migrations, lock)))
                .collect(),
            unreadable,
        };
        out.report(&now);
        Ok(journals::exit(&now.unreadable))
    }
}

/// What goes on about an open migration, by the journals before the lock was looked at, and the lock.
fn is(
    open: &MigrationSummary,
    before: &[MigrationSummary],
    lock: Result<Option<Holder>, DiskError>,
) -> OpenIs {
    match lock {
        Ok(Some(Holder { process })) => OpenIs::Running { process },
        Ok(None) if before.iter().any(|other| other.id == open.id) => OpenIs::Interrupted,
        Ok(None) => OpenIs::Running { process: None },
        Err(error) => OpenIs::Unknown { why: format!("{error}: {}", error.source) },
    }
}

fn at(site: &Site, all: &[MigrationSummary], is: impl FnOnce(&MigrationSummary) -> OpenIs) -> SiteNow {
    let here: Vec<_> = all.iter().filter(|summary| journals::is_at(summary, site)).collect();
    let mut installed: BTreeMap<&EnhancementId, &MigrationSummary> = BTreeMap::new();
    for summary in here.iter().filter(|summary| journals::is_installed(summary)) {
        installed.insert(&summary.enhancement, summary);
    }
    let mut installed: Vec<_> = installed.into_values().cloned().collect();
    installed.sort_by(|a, b| a.id.cmp(&b.id));
    let open = here.iter().rev().find(|summary| journals::is_open(summary));
    SiteNow {
        site: site.clone(),
        installed,
        last: here.last().map(|summary| (*summary).clone()),
        open: open.map(|summary| (*summary).clone()),
        open_is: open.map(|open| is(open)),
    }
}
