//! `tmp new`: the scaffold of an enhancement.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tmp_core::{EnhancementId, Mode, SystemName};

use crate::{
    exit::Exit,
    failure::Failure,
    files,
    output::{Output, Report},
};

const ENHANCEMENT: &str = include_str!("templates/enhancement.yaml");
const APPLY: &str = include_str!("templates/010.sql");
const ROLLBACK: &str = include_str!("templates/010.rollback.sql");
const VERIFY: &str = include_str!("templates/010.verify.sql");
const PROGRAM: &str = include_str!("templates/example.sh");

/// Arguments of `tmp new`.
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The enhancement: lower-case letters, digits, '-', '_' and '.'
    id: EnhancementId,
    /// The system it changes
    #[arg(long, default_value = "billing")]
    system: SystemName,
    /// Where; ./ID when not given
    #[arg(long, value_name = "DIR")]
    dir: Option<Utf8PathBuf>,
}

#[derive(Debug, Serialize)]
struct Made {
    dir: Utf8PathBuf,
    files: Vec<Utf8PathBuf>,
}

impl Report for Made {
    const SCHEMA: &'static str = "tmp.new/v1";

    fn text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            push!(text, "wrote {}\n", self.dir.join(file));
        }
        text
    }
}

impl New {
    /// Writes the files. Nothing may stand in their directory.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let dir = self.dir.clone().unwrap_or_else(|| self.id.as_str().into());
        let dir = files::absolute(&dir)?;
        if !files::is_free(&dir).map_err(Failure::unexpected)? {
            let message = format!("{dir} is not empty; nothing was changed");
            return Err(Failure::new(Exit::Usage, message)
                .rule("never-overwritten")
                .help("--dir names another"));
        }
        let description =
            ENHANCEMENT.replace("{id}", self.id.as_str()).replace("{system}", self.system.as_str());
        let texts = [
            ("enhancement.yaml", Mode::FILE, description.as_str()),
            ("files/bin/example", Mode::PROGRAM, PROGRAM),
            ("sql/010.sql", Mode::FILE, APPLY),
            ("sql/010.rollback.sql", Mode::FILE, ROLLBACK),
            ("sql/010.verify.sql", Mode::FILE, VERIFY),
        ];
        for (name, mode, text) in texts {
            files::create(&dir.join(name), mode, text.as_bytes()).map_err(Failure::unexpected)?;
        }
        let files = texts.iter().map(|(name, ..)| Utf8Path::new(name).to_owned()).collect();
        out.report(&Made { dir: dir.clone(), files });
        out.message(&format!("next: edit them, then `tmp check {dir}` and `tmp package {dir}`"));
        Ok(Exit::Done)
    }
}
