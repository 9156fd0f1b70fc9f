//! `tmp recover`: settles what was interrupted.

use std::sync::{Arc, atomic::AtomicBool};

use serde::Serialize;

use crate::{
    args::Globals,
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
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
    /// Recovers every site with an open migration, and tidies up where one died before it had a journal.
    /// Goes on at the next site when one cannot be recovered; ends with the gravest exit code.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let named = self.site.name()?.map(|name| site::named(&config, &name)).transpose()?;
        // Where no migration ever began there is no work directory, and none is made.
        let sites: Vec<_> = match named {
            Some(site) => vec![site],
            None => config.sites.iter().filter(|site| site.work.is_dir()).collect(),
        };
        let stop = signals::install().map_err(Failure::unexpected)?;
        let mut gravest: Option<Exit> = None;
        for site in sites {
            let ended = recover(&config, site, &stop, out).unwrap_or_else(|failure| {
                out.failure(&failure);
                Some(failure.exit)
            });
            gravest = gravest.into_iter().chain(ended).max_by_key(|exit| exit.gravity());
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
    let Some(interrupted) = opening::interrupted(opening::workplace(config, site))? else { return Ok(None) };
    let summary = interrupted.summary();
    let mut crew = Crew::of(site, stop, out);
    let (_, outcome) = opening::settle(interrupted, &mut crew, out)?;
    drop(crew);
    let exit = Exit::of(&outcome);
    let (id, revision) = (summary.enhancement.as_str(), summary.revision.into());
    let ended = Ended::new(id, revision, site.to_string(), true, outcome);
    out.report(&ended.reversing(summary.reverses.is_some()));
    Ok(Some(exit))
}
