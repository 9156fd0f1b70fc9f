//! `tmp resolve`: a person corrected a failed rollback and says so.

use serde::Serialize;
use tmp_migrate::{Found, Opened, Resolution};

use crate::{
    args::Globals,
    config::Config,
    exit::Exit,
    failure::Failure,
    opening::{self, Crew},
    output::{Output, Report},
    prompt, signals, site,
};

/// Arguments of `tmp resolve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Resolve {
    /// The site, or SYSTEM/ENVIRONMENT/SITE
    site: String,
    /// What was done about it; recorded
    #[arg(long)]
    reason: String,
    /// Accept a target that is neither as before nor as after
    #[arg(long)]
    accept_differences: bool,
    /// Confirm without being asked: the site as `tmp status` shows it
    #[arg(long, value_name = "SITE")]
    confirm: Option<String>,
}

#[derive(Debug, Serialize)]
struct Resolved {
    site: String,
    migration: Option<String>,
    found: &'static str,
    differences: Vec<String>,
}

impl Report for Resolved {
    const SCHEMA: &'static str = "tmp.resolve/v1";

    fn text(&self) -> String {
        match &self.migration {
            Some(migration) => {
                format!("resolved: {} is open for migrations again ({migration})\n", self.site)
            }
            None => format!("nothing to resolve at {}\n", self.site),
        }
    }
}

impl Resolve {
    /// Compares the target, asks, records.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let site = site::named(&config, &self.site)?;
        let stop = signals::install().map_err(Failure::unexpected)?;
        let mut interrupted = match opening::open(opening::workplace(&config, site))? {
            Opened::Interrupted(interrupted) => interrupted,
            Opened::Ready(_) => {
                let site = site.to_string();
                out.report(&Resolved {
                    site,
                    migration: None,
                    found: "nothing open",
                    differences: Vec::new(),
                });
                return Ok(Exit::Done);
            }
        };
        let mut crew = Crew::of(site, &stop, out);
        let found = interrupted.inspect_target(&mut crew.party()).map_err(opening::stopped)?;
        let (state, differences) = match found {
            Found::Before => ("before", Vec::new()),
            Found::After => ("after", Vec::new()),
            Found::Neither(differences) => ("neither", differences),
        };
        out.message(&match state {
            "before" => format!("{site} is as it was before the migration"),
            "after" => format!("{site} is as the migration would have left it"),
            _ => format!("{site} is neither as before nor as after:\n  {}", differences.join("\n  ")),
        });
        prompt::confirm(
            out,
            &format!("this opens {site} for migrations again"),
            &site.to_string(),
            self.confirm.as_deref(),
        )?;
        let migration = interrupted.summary().id.to_string();
        let resolution =
            Resolution { reason: self.reason.clone(), accept_differences: self.accept_differences };
        let engine = interrupted.resolve(&resolution, &mut crew.party()).map_err(opening::stopped)?;
        drop(engine);
        drop(crew);
        out.report(&Resolved {
            site: site.to_string(),
            migration: Some(migration),
            found: state,
            differences,
        });
        Ok(Exit::Done)
    }
}
