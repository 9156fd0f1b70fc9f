//! `tmp drift`: what differs at a site from what TMP last left there.

use std::path::Path;

use serde::Serialize;
use tmp_disk::Tree;
use tmp_migrate::{Drift as Item, HistoryError, Left};

use crate::{
    args::Globals,
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    journals, opening,
    output::{Output, Report},
    render, site,
};

/// Arguments of `tmp drift`.
#[derive(Debug, clap::Args)]
pub(crate) struct Drift {
    /// The site, or SYSTEM/ENVIRONMENT/SITE; every site where none is named
    site: Option<String>,
    /// Take what is there for right from now on
    #[arg(long, requires = "reason", requires = "site")]
    accept: bool,
    /// Why it is right; recorded
    #[arg(long, requires = "accept")]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Found {
    accepted: bool,
    sites: Vec<SiteDrift>,
}

#[derive(Debug, Serialize)]
struct SiteDrift {
    site: String,
    drift: Vec<Item>,
}

impl Report for Found {
    const SCHEMA: &'static str = "tmp.drift/v1";

    fn text(&self) -> String {
        let mut text = String::new();
        for SiteDrift { site, drift } in &self.sites {
            let what = if drift.is_empty() {
                "as TMP left it".to_owned()
            } else {
                let differs = render::count(drift.len() as u64, "difference");
                format!("{differs}{}", if self.accepted { ", accepted" } else { "" })
            };
            push!(text, "{site}: {what}\n");
            for item in drift {
                push!(text, "  {}: {}\n    left by {}\n", item.subject, item.what, item.left_by);
            }
        }
        text
    }
}

impl Drift {
    /// Compares, and accepts where that is asked for. Ends with 6 where something differs and was not
    /// accepted.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let named = self.site.as_ref().map(|name| site::named(&config, name)).transpose()?;
        let found = match (named, &self.reason) {
            (Some(site), Some(reason)) => vec![accept(&config, site, reason)?],
            (Some(site), None) => vec![look(&config, site)?],
            (None, _) => config.sites.iter().map(|site| look(&config, site)).collect::<Result<_, _>>()?,
        };
        let drifted = !self.accept && found.iter().any(|site| !site.drift.is_empty());
        out.report(&Found { accepted: self.accept, sites: found });
        Ok(if drifted { Exit::Differences } else { Exit::Done })
    }
}

fn look(config: &Config, site: &Site) -> Result<SiteDrift, Failure> {
    let disk = opening::disk();
    let left = Left::read(&disk, &config.state.value, &site.root).map_err(journals::unreadable)?;
    let found = Tree::open(&disk, Path::new(&site.root))
        .and_then(|tree| left.drift(&tree, &mut opening::databases(site)))
        .map_err(|error| journals::unreadable(HistoryError::Disk(error)))?;
    Ok(SiteDrift { site: site.to_string(), drift: found })
}

fn accept(config: &Config, site: &Site, reason: &str) -> Result<SiteDrift, Failure> {
    let mut engine = opening::ready(config, site)?;
    let found = engine
        .accept_drift(reason, &|_| true, &mut opening::databases(site))
        .map_err(journals::unreadable)?;
    Ok(SiteDrift { site: site.to_string(), drift: found })
}
