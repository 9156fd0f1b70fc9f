//! `tmp package`: makes the trigger file of an enhancement.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tmp_core::{Digest, EnvironmentName};
use tmp_disk::{RealDisk, ensure_dirs};
use tmp_trigger::{
    DirectoryTree, Mistake, PackageError, PackageOptions, SourceTree, Trees,
    document::LONGEST,
    source::{FILE, Label},
};

use super::{
    check::{directory, no_enhancement},
    plan::environment,
};
use crate::{
    exit::Exit,
    failure::Failure,
    files,
    git::{GitTree, Repository},
    mistakes,
    output::{Output, Report},
    render,
    scripts::SqlScripts,
};

/// Arguments of `tmp package`.
#[derive(Debug, clap::Args)]
pub(crate) struct Package {
    /// The directory of enhancement.yaml
    #[arg(default_value = ".")]
    dir: Utf8PathBuf,
    /// Take DIR as this tag, branch or commit of its git repository has it, with the label
    #[arg(long, value_name = "LABEL")]
    from_git: Option<String>,
    /// The environment it is for: model or production
    #[arg(long = "for", value_name = "ENVIRONMENT", default_value = "model", value_parser = environment)]
    environment: EnvironmentName,
    /// The system as it was when the enhancement was made: what is replaced is recorded
    #[arg(long, value_name = "TREE", conflicts_with_all = ["from", "to"])]
    base: Option<Utf8PathBuf>,
    /// Take the modules from what differs between this tree …
    #[arg(long, value_name = "OLD", requires = "to")]
    from: Option<Utf8PathBuf>,
    /// … and this one
    #[arg(long, value_name = "NEW", requires = "from")]
    to: Option<Utf8PathBuf>,
    /// Where the trigger file goes [default: here, ID-rREVISION-ENVIRONMENT.trigger]
    #[arg(short, long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
}

#[derive(Debug, Serialize)]
struct Made {
    file: String,
    size: u64,
    enhancement: String,
    revision: u32,
    environment: EnvironmentName,
    modules: u64,
    sql_changes: u64,
    label: Option<Label>,
    trigger: Digest,
    payload: Option<Digest>,
    warnings: Vec<Mistake>,
}

impl Report for Made {
    const SCHEMA: &'static str = "tmp.package/v1";

    fn text(&self) -> String {
        let payload = self.payload.map_or(String::new(), |payload| format!("  payload  {payload}\n"));
        let label = self.label.as_ref().and_then(render::label);
        let label = label.map_or(String::new(), |label| format!("  label    {label}\n"));
        format!(
            "wrote {} ({})\n  of       {} r{} for {}: {}, {}\n{label}{payload}",
            self.file,
            render::bytes(self.size),
            self.enhancement,
            self.revision,
            self.environment,
            render::count(self.modules, "module"),
            render::count(self.sql_changes, "SQL change"),
        )
    }
}

/// Reads a file that a mistake names.
pub(super) type ReadText = Box<dyn Fn(&str) -> Option<String>>;

impl Package {
    /// What is packaged, and how the lines of its mistakes are read.
    fn source(&self) -> Result<(Arc<dyn SourceTree>, ReadText), Failure> {
        let Some(label) = &self.from_git else {
            return Ok(from_directory(&directory(&self.dir)?));
        };
        let (repository, below) = Repository::around(&self.dir)?;
        let commit = repository.commit(label)?;
        let tree = Arc::new(GitTree::open(&repository, &commit, &below)?);
        if tree.look(FILE).is_ok_and(|found| found.is_none()) {
            return Err(no_enhancement(&tree.shown("")));
        }
        let read = Arc::clone(&tree);
        Ok((tree, Box::new(move |file| read.text(file, LONGEST as u64))))
    }

    /// Checks everything and writes the trigger file, replacing one of the same name.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let (source, read) = self.source()?;
        let tree = |path: &Utf8PathBuf| files::absolute(path).map(Utf8PathBuf::into_std_path_buf);
        let trees = match (&self.base, &self.from, &self.to) {
            (Some(base), ..) => Trees::Base(tree(base)?),
            (None, Some(from), Some(to)) => Trees::FromTo { from: tree(from)?, to: tree(to)? },
            _ => Trees::None,
        };
        let output = match &self.output {
            Some(file) => {
                let file = files::absolute(file)?;
                if let Some(folder) = file.parent() {
                    ensure_dirs(&RealDisk, folder.as_std_path()).map_err(Failure::unexpected)?;
                }
                tmp_trigger::Output::File(file.into_std_path_buf())
            }
            None => tmp_trigger::Output::Directory(files::current()?.into_std_path_buf()),
        };
        let options = PackageOptions { environment: self.environment, output, trees };
        let packaged = tmp_trigger::package(&source, &options, &SqlScripts, &RealDisk)
            .map_err(|error| failed(error, &read))?;
        for warning in &packaged.warnings {
            out.message(&format!("warning: {warning}"));
        }
        let header = packaged.header;
        out.report(&Made {
            file: packaged.path.display().to_string(),
            size: packaged.size,
            enhancement: header.enhancement.to_string(),
            revision: header.revision.into(),
            environment: header.environment,
            modules: header.contents.modules,
            sql_changes: header.contents.sql,
            label: header.label,
            trigger: packaged.digest,
            payload: header.payloads.first().map(|payload| payload.payload),
            warnings: packaged.warnings,
        });
        Ok(Exit::Done)
    }
}

/// A directory to be packaged, and how the lines of its mistakes are read.
pub(super) fn from_directory(dir: &Utf8Path) -> (Arc<dyn SourceTree>, ReadText) {
    (Arc::new(DirectoryTree::new(dir)), Box::new(mistakes::text))
}

/// Why nothing was packaged.
pub(super) fn failed(error: PackageError, read: &ReadText) -> Failure {
    match error {
        PackageError::Mistakes { source } => mistakes::failure(&source, read),
        error @ (PackageError::Write { .. } | PackageError::Output { .. }) => {
            Failure::caused(Exit::Error, error)
        }
        error => Failure::caused(Exit::InvalidInput, error),
    }
}
