//! `tmp init`: a commented configuration to start from.

use camino::Utf8PathBuf;
use serde::Serialize;
use tmp_core::Mode;
use tmp_disk::{RealDisk, ensure_dirs};

use crate::{
    config::NAME,
    exit::Exit,
    failure::Failure,
    files,
    output::{Output, Report},
};

/// What is written.
const TEXT: &str = include_str!("templates/tmp.yaml");

/// Arguments of `tmp init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Where; made if it is not there
    #[arg(default_value = ".")]
    dir: Utf8PathBuf,
}

#[derive(Debug, Serialize)]
struct Made {
    config: Utf8PathBuf,
    state: Utf8PathBuf,
}

impl Report for Made {
    const SCHEMA: &'static str = "tmp.init/v1";

    fn text(&self) -> String {
        format!("wrote {}\nmade {}\n", self.config, self.state)
    }
}

impl Init {
    /// Writes `tmp.yaml` and makes the state directory. Never overwrites.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let dir = files::absolute(&self.dir)?;
        let made = Made { config: dir.join(NAME), state: dir.join("state") };
        if made.config.symlink_metadata().is_ok() {
            let message = format!("{} is there already; nothing was changed", made.config);
            return Err(Failure::new(Exit::Usage, message)
                .rule("never-overwritten")
                .help("name another directory"));
        }
        files::create(&made.config, Mode::FILE, TEXT.as_bytes()).map_err(Failure::unexpected)?;
        ensure_dirs(&RealDisk, made.state.as_std_path()).map_err(Failure::unexpected)?;
        out.report(&made);
        out.message("next: name your systems and sites there, then `tmp doctor`");
        Ok(Exit::Done)
    }
}
