//! `tmp archive diff`.

use std::path::Path;

use serde::Serialize;
use tmp_archive::{Archive, Difference, SnapshotInfo};
use tmp_disk::Tree;

use super::{failed, open, the_one};
use crate::{
    config::Config,
    exit::Exit,
    failure::Failure,
    opening,
    output::{Output, Report},
    render, site,
};

/// What stands for the tree as it is now.
const TARGET: &str = "target";

/// Arguments of `tmp archive diff`.
#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// The snapshot, or how its id begins
    first: String,
    /// Another snapshot; `target` is the tree of the first one's site as it is now
    second: String,
    /// End with 6 when something differs
    #[arg(long)]
    exit_code: bool,
}

#[derive(Debug, Serialize)]
struct Compared {
    first: String,
    second: String,
    differences: Vec<Line>,
    /// Databases whose copies differ.
    databases: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Line {
    path: String,
    text: String,
}

impl From<Difference> for Line {
    fn from(difference: Difference) -> Self {
        Self { path: difference.path.to_string(), text: difference.to_string() }
    }
}

impl Report for Compared {
    const SCHEMA: &'static str = "tmp.archive-diff/v1";

    fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.differences {
            push!(text, "{}\n", line.text);
        }
        for name in &self.databases {
            push!(text, "database {name}: another copy\n");
        }
        let count = self.differences.len() + self.databases.len();
        if count == 0 {
            push!(text, "{} and {}: nothing differs\n", self.first, self.second);
        } else {
            push!(text, "{}\n", render::count(count as u64, "difference"));
        }
        text
    }
}

impl Diff {
    /// Says what is other in the second than in the first.
    pub(super) fn run(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        let archive = open(config)?;
        let ids = archive.as_ref().map(Archive::listing).transpose().map_err(failed)?.unwrap_or_default().ids;
        let first = the_one(&self.first, ids.iter().copied())?;
        let archive = archive.ok_or_else(|| super::missing(&self.first))?;
        let compared = if self.second == TARGET {
            let info = archive.info(&first).map_err(failed)?;
            let differences = archive.compare(&first, &target(config, &info)?).map_err(failed)?;
            Compared {
                first: first.to_string(),
                second: TARGET.into(),
                differences: differences.into_iter().map(Line::from).collect(),
                databases: Vec::new(),
            }
        } else {
            let second = the_one(&self.second, ids)?;
            let diff = archive.diff(&first, &second).map_err(failed)?;
            Compared {
                first: first.to_string(),
                second: second.to_string(),
                differences: diff.entries.into_iter().map(Line::from).collect(),
                databases: diff.databases,
            }
        };
        let differs = !compared.differences.is_empty() || !compared.databases.is_empty();
        out.report(&compared);
        Ok(if differs && self.exit_code { Exit::Differences } else { Exit::Done })
    }
}

fn target(config: &Config, info: &SnapshotInfo) -> Result<Tree, Failure> {
    let site = site::named(config, &format!("{}/{}/{}", info.system, info.environment, info.site))?;
    Tree::open(&opening::disk(), Path::new(&site.root)).map_err(Failure::unexpected)
}
