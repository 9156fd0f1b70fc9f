//! `tmp config`: what is in force, and why.

use camino::Utf8PathBuf;
use serde::Serialize;
use tmp_core::plan::Switch;
use tmp_migrate::CommandPolicy;

use crate::{
    args::Globals,
    config::{Config, Origin, Site, schema::Commands},
    exit::Exit,
    failure::Failure,
    output::{Output, Report},
    render::confinement,
};

/// Arguments of `tmp config`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the settings in force, all paths absolute
    Show {
        /// Say where each comes from
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Debug, Serialize)]
struct Shown {
    settings: Vec<Shone>,
    utilities: Vec<String>,
    sites: Vec<Site>,
    #[serde(skip)]
    origins: bool,
}

#[derive(Debug, Serialize)]
struct Shone {
    name: &'static str,
    value: String,
    origin: Origin,
}

impl Report for Shown {
    const SCHEMA: &'static str = "tmp.config/v1";

    fn text(&self) -> String {
        let origin = |origin: &Origin| if self.origins { format!("    ({origin})") } else { String::new() };
        let mut text = String::new();
        for setting in &self.settings {
            push!(text, "{:10} {}{}\n", setting.name, setting.value, origin(&setting.origin));
        }
        for name in &self.utilities {
            push!(text, "{:10} {name}\n", "utility");
        }
        for site in &self.sites {
            push!(text, "\n{site}\n  root     {}\n", site.root);
            let default = if self.origins && !site.work_named { "    (default)" } else { "" };
            push!(text, "  work     {}{default}\n", site.work);
            for (name, file) in &site.databases {
                push!(text, "  database {name}: SQLite, {file}\n");
            }
            if let Some(url) = &site.url {
                push!(text, "  url      {url}\n");
            }
            if !site.ignore.is_empty() {
                push!(text, "  ignore   {}\n", site.ignore.join(", "));
            }
            if let CommandPolicy::Confined(granted) = &site.commands {
                push!(text, "  commands {}\n", confinement(granted));
            }
            if site.switch == Switch::Atomic {
                text += "  switch   atomic\n";
            }
            if site.ephemeral {
                text += "  ephemeral\n";
            }
        }
        text
    }
}

impl ConfigCommand {
    /// Shows the configuration.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let Verb::Show { origin } = self.verb;
        let config = Config::load(globals)?;
        let path = |path: &Utf8PathBuf| path.to_string();
        let commands = match config.commands.value {
            Commands::Confined => "confined",
            Commands::Allowed => "allowed",
            Commands::Forbidden => "forbidden",
        };
        let privileged = if config.privileged_modules.value { "allowed" } else { "refused" };
        out.report(&Shown {
            settings: vec![
                Shone { name: "config", value: path(&config.file.value), origin: config.file.origin },
                Shone { name: "state", value: path(&config.state.value), origin: config.state.origin },
                Shone { name: "commands", value: commands.into(), origin: config.commands.origin },
                Shone {
                    name: "privileged",
                    value: privileged.into(),
                    origin: config.privileged_modules.origin,
                },
            ],
            utilities: config.utilities.into_keys().collect(),
            sites: config.sites,
            origins: origin,
        });
        Ok(Exit::Done)
    }
}
