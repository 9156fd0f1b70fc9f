//! `tmp man`: manual pages.

use camino::Utf8PathBuf;
use clap::CommandFactory as _;
use clap_mangen::Man as Page;
use tmp_core::Mode;

use crate::{args::Cli, exit::Exit, failure::Failure, files, output::Output};

/// Arguments of `tmp man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Write one page per command into this directory instead
    #[arg(long, value_name = "DIR")]
    dir: Option<Utf8PathBuf>,
}

impl Man {
    /// Prints the page of `tmp`, or writes all pages as new files.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let mut root = Cli::command();
        root.build();
        let Some(dir) = &self.dir else {
            out.data(&page(root)?);
            return Ok(Exit::Done);
        };
        let dir = files::absolute(dir)?;
        let mut open = vec![root];
        while let Some(command) = open.pop() {
            let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
            open.extend(command.get_subcommands().filter(|inner| inner.get_name() != "help").cloned());
            let file = dir.join(format!("{name}.1"));
            files::create(&file, Mode::FILE, page(command)?.as_bytes()).map_err(Failure::unexpected)?;
            out.message(&format!("wrote {file}"));
        }
        Ok(Exit::Done)
    }
}

fn page(command: clap::Command) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    Page::new(command).render(&mut bytes).map_err(Failure::unexpected)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
