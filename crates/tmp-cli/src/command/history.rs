//! `tmp history`: past migrations, and restores in place.

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
    restores::{self, Restore, Restores, UnreadableRestore},
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
    /// Restores over a live tree. Left out where there was none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    restores: Vec<Restore>,
    /// Records of restores that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable_restores: Vec<UnreadableRestore>,
    /// Left out where every journal can be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<Unreadable>,
}

impl Report for Past {
    const SCHEMA: &'static str = "tmp.history/v1";

    fn text(&self) -> String {
        let mut text = if self.migrations.is_empty() && self.unreadable.is_empty() {
            "no migrations\n".into()
        } else {
            let rows = self.migrations.iter().map(row);
            render::table(
                ["STARTED", "MIGRATION", "ENHANCEMENT", "SITE", "SWITCH", "MIXTURE", "STATUS"],
                rows,
            )
        };
        for summary in &self.migrations {
            if let Some(cause) = &summary.cause {
                push!(text, "\n{}: {cause}\n", summary.id);
            }
            if let Some(failure) = &summary.undo_failure {
                push!(text, "{}: the rollback failed: {failure}\n", summary.id);
            }
        }
        if !self.restores.is_empty() {
            text.push('\n');
        }
        text.extend(self.restores.iter().map(Restore::line));
        for UnreadableRestore { file, why } in &self.unreadable_restores {
            push!(text, "{file}: this record of a restore cannot be read: {why}\n");
        }
        text += &journals::lines(&self.unreadable);
        text
    }
}

fn row(summary: &MigrationSummary) -> [String; 7] {
    [
        render::instant(summary.started),
        summary.id.to_string(),
        format!("{} r{}", summary.enhancement, summary.revision),
        format!("{}/{}/{}", summary.system, summary.environment, summary.site),
        summary.switch.to_string(),
        summary.mixture_us.map_or("-".into(), render::microseconds),
        render::standing(summary).to_owned(),
    ]
}

impl History {
    /// Lists migrations, and what was restored in place, newest last.
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
        let Restores { mut restores, unreadable: unreadable_restores } = restores::read(&config)?;
        restores.retain(|restore| self.id.is_none() && site.is_none_or(|site| restore.is_at(site)));
        let past = Past {
            migrations: all.migrations.into_iter().filter(fits).collect(),
            restores,
            unreadable_restores,
            unreadable: all.unreadable,
        };
        out.report(&past);
        Ok(match journals::exit(&past.unreadable) {
            Exit::Done if !past.unreadable_restores.is_empty() => Exit::InvalidInput,
            exit => exit,
        })
    }
}
