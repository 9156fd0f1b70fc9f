//! `tmp recover`: settles what was interrupted.

use std::sync::{Arc, atomic::AtomicBool};

use serde::Serialize;
use tmp_migrate::Opened;

use crate::{
    args::Globals,
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    journals,
    opening::{self, Crew},
    output::{Output, Report},
    render::outcome::Ended,
    signals,
    site::{self, SiteFlag},
};

/// Arguments of `tmp recover`.
#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    site: SiteFlag,
}

#[derive(Debug, Serialize)]
struct Nothing {
    recovered: u64,
}

impl Report for Nothing {
    const SCHEMA: &'static str = "tmp.recover/v1";

    fn text(&self) -> String {
        "nothing to recover\n".into()
    }
}

impl Recover {
    /// Recovers every site with an open migration. Ends with the gravest outcome's exit code.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let named = self.site.name()?.map(|name| site::named(&config, &name)).transpose()?;
        let all = journals::all(&config)?;
        let open = |site: &&Site| {
            all.iter().any(|summary| journals::is_open(summary) && journals::is_at(summary, site))
        };
        let sites: Vec<_> = match named {
            Some(site) => vec![site],
            None => config.sites.iter().filter(open).collect(),
        };
        let stop = signals::install().map_err(Failure::unexpected)?;
        let mut gravest = None;
        for site in sites {
            let ended = recover(&config, site, &stop, out)?;
            gravest = gravest.max(ended);
        }
        Ok(gravest.unwrap_or_else(|| {
            out.report(&Nothing { recovered: 0 });
            Exit::Done
        }))
    }
}

fn recover(
    config: &Config,
    site: &Site,
    stop: &Arc<AtomicBool>,
    out: &mut Output,
) -> Result<Option<Exit>, Failure> {
    match opening::open(opening::workplace(config, site))? {
        Opened::Ready(_) => Ok(None),
        Opened::Interrupted(interrupted) => {
            let summary = interrupted.summary();
            let mut crew = Crew::of(site, stop, out);
            let (_, outcome) = opening::settle(interrupted, &mut crew, out)?;
            drop(crew);
            let exit = Exit::of(&outcome);
            let (id, revision) = (summary.enhancement.as_str(), summary.revision.into());
            out.report(&Ended::new(id, revision, site.to_string(), true, outcome));
            Ok(Some(exit))
        }
    }
}
