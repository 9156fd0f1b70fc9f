//! `tmp history`: past migrations.

use serde::Serialize;
use tmp_core::EnhancementId;
use tmp_migrate::{MigrationSummary, Unreadable};

use crate::{
    args::Globals,
    config::Config,
    exit::Exit,
    failure::Failure,
    journals,
    output::{Output, Report},
    render,
    site::{self, SiteFlag},
};

/// Arguments of `tmp history`.
#[derive(Debug, clap::Args)]
pub(crate) struct History {
    /// Only this enhancement
    id: Option<EnhancementId>,
    #[command(flatten)]
    site: SiteFlag,
}

#[derive(Debug, Serialize)]
struct Past {
    migrations: Vec<MigrationSummary>,
    /// Left out where every journal can be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<Unreadable>,
}

impl Report for Past {
    const SCHEMA: &'static str = "tmp.history/v1";

    fn text(&self) -> String {
        if self.migrations.is_empty() && self.unreadable.is_empty() {
            return "no migrations\n".into();
        }
        let rows = self.migrations.iter().map(row);
        let mut text = render::table(["STARTED", "MIGRATION", "ENHANCEMENT", "SITE", "STATUS"], rows);
        for summary in &self.migrations {
            if let Some(cause) = &summary.cause {
                push!(text, "\n{}: {cause}\n", summary.id);
            }
            if let Some(failure) = &summary.undo_failure {
                push!(text, "{}: the rollback failed: {failure}\n", summary.id);
            }
        }
        text += &journals::lines(&self.unreadable);
        text
    }
}

fn row(summary: &MigrationSummary) -> [String; 5] {
    [
        render::instant(summary.started),
        summary.id.to_string(),
        format!("{} r{}", summary.enhancement, summary.revision),
        format!("{}/{}/{}", summary.system, summary.environment, summary.site),
        render::phase(summary.phase).to_owned(),
    ]
}

impl History {
    /// Lists migrations, newest last.
    pub(crate) fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
        let config = Config::load(globals)?;
        let site = self.site.name()?.map(|name| site::named(&config, &name)).transpose()?;
        let fits = |summary: &MigrationSummary| {
            self.id.as_ref().is_none_or(|id| summary.enhancement == *id)
                && site.is_none_or(|site| journals::is_at(summary, site))
        };
        let all = journals::readable(&config)?;
        if let Some(id) = &self.id
            && all.unreadable.is_empty()
            && !all.migrations.iter().any(|summary| summary.enhancement == *id)
        {
            let message = format!("there is no migration of an enhancement {:?}", id.as_str());
            return Err(Failure::new(Exit::Usage, message)
                .rule("unknown-id")
                .help("`tmp history` lists every migration with its enhancement"));
        }
        let past = Past {
            migrations: all.migrations.into_iter().filter(fits).collect(),
            unreadable: all.unreadable,
        };
        out.report(&past);
        Ok(journals::exit(&past.unreadable))
    }
}
