//! `tmp import git-diff`: an enhancement that turns one commit into another.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tmp_core::{EnhancementId, ModulePath, SystemName};
use tmp_trigger::{document::LONGEST, source::FILE};

use super::{
    description::{Description, entry},
    modules::{self, Gathered, What},
    scaffold::Scaffold,
};
use crate::{
    exit::Exit,
    failure::{Failure, Fault},
    files,
    git::{Blobs, Repository},
    output::{Output, Report},
    render,
};

/// The most faults that are told at once.
const MOST: usize = 100;

/// Arguments of `tmp import git-diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A renamed or copied file is put under its new name, and a renamed one removed under its \
    old. What OLD had is recorded as what must be replaced. Contents are taken as git stores them."
)]
pub(crate) struct GitDiff {
    /// The tag, branch or commit that the target is at
    old: String,
    /// The tag, branch or commit that it is to become
    new: String,
    /// The directory whose files are the system's modules
    #[arg(last = true, value_name = "PATH", default_value = ".")]
    path: Utf8PathBuf,
    /// The id of the enhancement
    #[arg(long)]
    id: EnhancementId,
    /// The system it changes
    #[arg(long)]
    system: SystemName,
    /// Where the modules lie below the root of the system [default: the root itself]
    #[arg(long, value_name = "PREFIX")]
    put: Option<ModulePath>,
    /// Where the enhancement goes [default: ./ID]
    #[arg(short, long, value_name = "DIR")]
    output: Option<Utf8PathBuf>,
}

#[derive(Debug, Serialize)]
struct Made {
    dir: Utf8PathBuf,
    old: String,
    new: String,
    put: u64,
    removed: u64,
}

impl Report for Made {
    const SCHEMA: &'static str = "tmp.import/v1";

    fn text(&self) -> String {
        format!(
            "wrote {}\n  from     {}\n  to       {}\n  modules  {} put, {} removed\n",
            self.dir, self.old, self.new, self.put, self.removed
        )
    }
}

impl GitDiff {
    /// Writes the enhancement whole or not at all. Nothing may stand in its directory.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let (repository, below) = Repository::around(&self.path)?;
        let (old, new) = (repository.commit(&self.old)?, repository.commit(&self.new)?);
        let target = files::absolute(self.output.as_deref().unwrap_or(Utf8Path::new(self.id.as_str())))?;
        let scaffold = Scaffold::begin(&target)?;
        let gathered = modules::gather(repository.difference(&old, &new, &below)?, self.put.as_ref());
        if gathered.modules.is_empty() && gathered.faults.is_empty() {
            let message = format!("{} and {} do not differ below {}", self.old, self.new, self.path);
            return Err(Failure::new(Exit::InvalidInput, message).rule("git-difference"));
        }
        let description = Description {
            id: &self.id,
            system: &self.system,
            repository: &repository.name(),
            old: &old,
            new: &new,
        };
        match write(&scaffold, &repository.blobs(), gathered, &description) {
            Ok((put, removed)) => {
                scaffold.publish()?;
                out.report(&Made { dir: target.clone(), old: old.id, new: new.id, put, removed });
                out.message(&format!("next: look at {}, then `tmp check {target}`", target.join(FILE)));
                Ok(Exit::Done)
            }
            Err(failure) => {
                scaffold.discard();
                Err(failure)
            }
        }
    }
}

/// Writes the files and then the description; answers how many modules are put and removed.
fn write(
    scaffold: &Scaffold,
    blobs: &Blobs,
    gathered: Gathered,
    description: &Description<'_>,
) -> Result<(u64, u64), Failure> {
    let Gathered { modules, mut faults } = gathered;
    let (mut entries, mut links) = (Vec::new(), Vec::new());
    let (mut put, mut removed) = (0, 0);
    for module in &modules {
        let mut wrong = |message: String| {
            faults.push(modules::fault("git-content", &module.source, message));
        };
        let replaces = match module.replaces(blobs) {
            Ok(replaces) => replaces,
            Err(message) => {
                wrong(format!("what {} has there cannot be taken: {message}", description.old.label));
                continue;
            }
        };
        let new =
            |message: String| format!("what {} has there cannot be taken: {message}", description.new.label);
        match &module.what {
            What::Remove => removed += 1,
            What::Tree => {}
            What::File { id, mode } => {
                put += 1;
                let mut reader = match blobs.open(id) {
                    Ok(reader) => reader,
                    Err(error) => {
                        wrong(new(error.to_string()));
                        continue;
                    }
                };
                scaffold.file(&module.source, *mode, &mut reader)?;
            }
            What::Symlink { id } => {
                put += 1;
                match modules::link(blobs, id) {
                    Ok(target) => links.push((&module.source, target)),
                    Err(message) => wrong(new(message)),
                }
            }
        }
        if module.listed {
            entries.push(entry(module, replaces));
        }
    }
    if !faults.is_empty() {
        return Err(refused(faults));
    }
    // Last, so that nothing is ever written through one.
    for (source, target) in links {
        scaffold.symlink(source, &target)?;
    }
    let text = description.text(&entries);
    if text.len() > LONGEST {
        let message = format!("{FILE} would have {} bytes, and may have {LONGEST}", text.len());
        return Err(Failure::new(Exit::InvalidInput, message)
            .rule("too-large")
            .help("import in steps, or directory by directory; or `tmp package --from OLD --to NEW`"));
    }
    scaffold.description(&text)?;
    Ok((put, removed))
}

fn refused(mut faults: Vec<Fault>) -> Failure {
    let count = faults.len();
    faults.truncate(MOST);
    let what = render::count(count as u64, "item");
    Failure::new(Exit::InvalidInput, format!("{what} cannot be modules; nothing was written")).faults(faults)
}
