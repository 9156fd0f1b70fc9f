//! `tmp check`: an enhancement as it would be packaged.

use std::{io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tmp_trigger::{DirectoryTree, SourceTree, source::FILE};

use crate::{
    exit::Exit,
    failure::Failure,
    files, mistakes,
    output::{Output, Report},
    render,
    scripts::SqlScripts,
};

/// Arguments of `tmp check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The directory of enhancement.yaml
    #[arg(default_value = ".")]
    dir: Utf8PathBuf,
}

#[derive(Debug, Serialize)]
struct Good {
    enhancement: String,
    revision: u32,
    modules: u64,
    sql_changes: u64,
}

impl Report for Good {
    const SCHEMA: &'static str = "tmp.check/v1";

    fn text(&self) -> String {
        format!(
            "{} r{}: no mistakes ({}, {})\n",
            self.enhancement,
            self.revision,
            render::count(self.modules, "module"),
            render::count(self.sql_changes, "SQL change")
        )
    }
}

/// The directory of an enhancement, absolute.
///
/// # Errors
/// There is no `enhancement.yaml` in it.
pub(crate) fn directory(dir: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    let dir = files::absolute(dir)?;
    match dir.join(FILE).symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_enhancement(dir.as_str())),
        // Whatever else is wrong with it is found when it is read.
        _ => Ok(dir),
    }
}

/// There is no `enhancement.yaml` in a directory.
pub(crate) fn no_enhancement(dir: &str) -> Failure {
    Failure::new(Exit::InvalidInput, format!("there is no {FILE} in {dir}"))
        .rule("no-enhancement")
        .help("`tmp new ID` begins an enhancement in a directory of its own")
}

impl Check {
    /// Checks everything, and says everything that is wrong at once.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let dir = directory(&self.dir)?;
        let tree: Arc<dyn SourceTree> = Arc::new(DirectoryTree::new(dir));
        let checked = tmp_trigger::check(&tree, &SqlScripts)
            .map_err(|found| mistakes::failure(&found, &mistakes::text))?;
        for warning in &checked.warnings {
            out.message(&format!("warning: {warning}"));
        }
        let enhancement = &checked.enhancement;
        out.report(&Good {
            enhancement: enhancement.id.to_string(),
            revision: enhancement.revision.into(),
            modules: enhancement.modules.len() as u64,
            sql_changes: enhancement.sql.len() as u64,
        });
        Ok(Exit::Done)
    }
}
