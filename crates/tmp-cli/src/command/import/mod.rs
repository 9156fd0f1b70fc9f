//! `tmp import`: an enhancement from what another tool has.

mod description;
mod git_diff;
mod modules;
mod scaffold;

use crate::{exit::Exit, failure::Failure, output::Output};

/// Arguments of `tmp import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    #[command(subcommand)]
    from: Importer,
}

#[derive(Debug, clap::Subcommand)]
enum Importer {
    /// From the difference of two commits of a git repository
    GitDiff(git_diff::GitDiff),
}

impl Import {
    /// Does what the importer says.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        match &self.from {
            Importer::GitDiff(importer) => importer.run(out),
        }
    }
}
