//! `tmp completions`: a script for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{args::Cli, exit::Exit, output::Output};

/// Arguments of `tmp completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub(crate) fn run(&self, out: &mut Output) -> Exit {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tmp", &mut script);
        out.data(&String::from_utf8_lossy(&script));
        Exit::Done
    }
}
