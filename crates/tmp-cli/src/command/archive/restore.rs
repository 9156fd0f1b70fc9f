//! `tmp archive restore`.

use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tmp_archive::{Archive, EntryPath, Selection, SnapshotInfo};
use tmp_core::{DatabaseName, Mode};
use tmp_disk::{At, RealDisk, Tree, create_dir_durably, ensure_dirs, remove_tree};
use tmp_migrate::Opened;

use super::{failed, find};
use crate::{
    config::Config,
    exit::Exit,
    failure::Failure,
    files, opening,
    output::{Output, Report},
    prompt, render, site,
};

/// Where content is written before it takes its place, in the work directory.
const STAGING: &str = "restore";

/// Arguments of `tmp archive restore`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("where").required(true).args(["to", "in_place"])))]
pub(super) struct Restore {
    /// The snapshot, or how its id begins
    snapshot: String,
    /// Only these paths, each with everything below it
    paths: Vec<String>,
    /// Into this directory, which must be new or empty
    #[arg(long, value_name = "DIR")]
    to: Option<Utf8PathBuf>,
    /// Over what stands in the root of the snapshot's site now
    #[arg(long)]
    in_place: bool,
    /// Only the copy of this database, as DIR/NAME.sqlite
    #[arg(long, value_name = "NAME", requires = "to", conflicts_with = "paths")]
    database: Option<DatabaseName>,
    /// Confirm without being asked: the site again
    #[arg(long, value_name = "SITE")]
    confirm: Option<String>,
}

#[derive(Debug, Serialize)]
struct Done {
    snapshot: String,
    to: Utf8PathBuf,
    entries: u64,
    bytes: u64,
}

impl Report for Done {
    const SCHEMA: &'static str = "tmp.archive-restore/v1";

    fn text(&self) -> String {
        let entries = render::entries(self.entries);
        format!("restored {entries}, {}, to {}\n", render::bytes(self.bytes), self.to)
    }
}

impl Restore {
    /// Restores modules, or takes the copy of a database out.
    pub(super) fn run(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        let (archive, info) = find(config, &self.snapshot)?;
        let done = match (&self.to, &self.database) {
            (Some(to), database) => {
                let to = files::absolute(to)?;
                if !files::is_free(&to).map_err(Failure::unexpected)? {
                    let message = format!("{to} is not empty; nothing was changed");
                    return Err(Failure::new(Exit::Usage, message).rule("never-overwritten"));
                }
                ensure_dirs(&RealDisk, to.as_std_path()).map_err(Failure::unexpected)?;
                match database {
                    Some(name) => database_to(&archive, &info, name, &to)?,
                    None => self.modules(&archive, &info, &to, None)?,
                }
            }
            (None, _) => self.in_place(config, &archive, &info, out)?,
        };
        if self.database.is_none() && !info.databases.is_empty() {
            let names: Vec<_> = info.databases.iter().map(|database| database.name.to_string()).collect();
            out.message(&format!(
                "the snapshot also has {}: --database NAME --to DIR takes it out",
                names.join(", ")
            ));
        }
        out.report(&done);
        Ok(Exit::Done)
    }

    fn in_place(
        &self,
        config: &Config,
        archive: &Archive,
        info: &SnapshotInfo,
        out: &Output,
    ) -> Result<Done, Failure> {
        let name = format!("{}/{}/{}", info.system, info.environment, info.site);
        let site = site::named(config, &name)?;
        let what = format!(
            "this makes the archived part of {} what it was at {}",
            site.root,
            render::instant(info.made)
        );
        prompt::confirm(out, &what, info.site.as_str(), self.confirm.as_deref())?;
        let engine = match opening::open(opening::workplace(config, site))? {
            Opened::Ready(engine) => engine,
            Opened::Interrupted(open) => {
                let message = format!("migration {} is open at {site}", open.summary().id);
                return Err(Failure::new(Exit::PreCheck, message)
                    .rule("interrupted")
                    .help("`tmp recover` first"));
            }
        };
        let work = ensure_dirs(&RealDisk, site.work.as_std_path()).map_err(Failure::unexpected)?;
        let staging = create_dir_durably(&RealDisk, &work, STAGING, Mode::from_bits(0o700))
            .map_err(Failure::unexpected)?;
        let done = self.modules(archive, info, &site.root, Some(&staging));
        remove_tree(&RealDisk, At::new(&work, STAGING)).map_err(Failure::unexpected)?;
        // The engine's lock is held until here.
        drop(engine);
        done
    }

    fn modules(
        &self,
        archive: &Archive,
        info: &SnapshotInfo,
        to: &Utf8Path,
        staging: Option<&tmp_disk::Dir>,
    ) -> Result<Done, Failure> {
        let tree = Tree::open(&opening::disk(), Path::new(to)).map_err(Failure::unexpected)?;
        let paths = self.paths.iter().map(|path| EntryPath::from_bytes(path.as_bytes()));
        let paths: Vec<_> =
            paths.collect::<Result<_, _>>().map_err(|error| Failure::caused(Exit::Usage, error))?;
        let selection = if paths.is_empty() { Selection::All } else { Selection::Paths(paths) };
        let restored =
            archive.restore(&info.id, &selection, &tree, staging, &mut |_, _| {}).map_err(failed)?;
        Ok(Done {
            snapshot: info.id.to_string(),
            to: to.to_owned(),
            entries: restored.entries,
            bytes: restored.bytes,
        })
    }
}

fn database_to(
    archive: &Archive,
    info: &SnapshotInfo,
    name: &DatabaseName,
    to: &Utf8Path,
) -> Result<Done, Failure> {
    let dir = ensure_dirs(&RealDisk, to.as_std_path()).map_err(Failure::unexpected)?;
    let file = format!("{name}.sqlite");
    archive.extract_database(&info.id, name, At::new(&dir, file.as_str()), &RealDisk).map_err(failed)?;
    let bytes = info
        .databases
        .iter()
        .find(|database| database.name == *name)
        .map_or(0, |database| database.content.size);
    Ok(Done { snapshot: info.id.to_string(), to: to.join(file), entries: 1, bytes })
}
