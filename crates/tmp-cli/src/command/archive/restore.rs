//! `tmp archive restore`.

use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tmp_archive::{
    Archive, Beside, Capture, EntryPath, Ignored, Progress, Restored, Selection, SnapshotId, SnapshotInfo,
    SnapshotKind,
};
use tmp_core::{DatabaseName, Mode, ModulePath, clock::Clock as _};
use tmp_disk::{At, RealDisk, SystemClock, Tree, create_dir_durably, ensure_dirs, remove_tree};

use super::{
    create::{self, ignored},
    failed, find,
    meter::Meter,
};
use crate::{
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    files, journals, opening,
    output::{Output, Report},
    prompt, render, restores, site,
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
    /// Do not archive what is overwritten: there is no way back then
    #[arg(long, requires = "in_place")]
    no_snapshot: bool,
    /// Only the copy of this database, as DIR/NAME.sqlite
    #[arg(long, value_name = "NAME", requires = "to", conflicts_with = "paths")]
    database: Option<DatabaseName>,
    /// Confirm without being asked: the site as `tmp status` shows it
    #[arg(long, value_name = "SITE")]
    confirm: Option<String>,
}

#[derive(Debug, Serialize)]
struct Done {
    snapshot: String,
    to: Utf8PathBuf,
    entries: u64,
    written: u64,
    bytes: u64,
    /// What holds what stood there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    way_back: Option<String>,
}

impl Report for Done {
    const SCHEMA: &'static str = "tmp.archive-restore/v1";

    fn text(&self) -> String {
        let entries = render::entries(self.entries);
        let mut text = format!("restored {entries}, {}, to {}\n", render::bytes(self.bytes), self.to);
        if let Some(id) = &self.way_back {
            push!(text, "what stood there before is in snapshot {id}\n");
        }
        text
    }
}

impl Done {
    const fn figures(&self) -> (u64, u64, u64) {
        (self.entries, self.written, self.bytes)
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
                if let Some(name) = database {
                    database_to(&archive, &info, name, &to)?
                } else {
                    let beside = Beside { ignored: &Ignored::default(), cache: None };
                    self.modules(&archive, &info, &to, (None, &beside), out)?
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
        prompt::confirm(out, &what, &site.to_string(), self.confirm.as_deref())?;
        let mut engine = opening::ready(config, site)?;
        let paths = self.module_paths()?;
        if info.roots.is_empty() {
            return Err(Failure::new(Exit::Usage, format!("snapshot {} holds no modules", info.id)));
        }
        let clock = SystemClock::new();
        let id = super::new_id(clock.now());
        let mut record = restores::Restore::new(id, site, info.id, paths, clock.now());
        if !self.no_snapshot {
            record.way_back = Some(way_back(config, archive, info, site, &record)?);
        }
        record.write(config)?;
        let done = self.over(config, archive, info, site, out);
        let (entries, written, bytes) = done.as_ref().map_or((0, 0, 0), Done::figures);
        let restored = Restored { entries, written, bytes };
        record.ended(clock.now(), restored, done.as_ref().err().map(ToString::to_string));
        record.write(config)?;
        if done.is_ok() {
            // What was put back by order is no drift.
            let reason = format!("restored from snapshot {}", info.id);
            let which = |path: &ModulePath| self.covers(info, path);
            engine.accept_drift(&reason, &which, &mut []).map_err(journals::unreadable)?;
        }
        // The engine's lock is held until here.
        drop(engine);
        match (done, record.way_back) {
            (Ok(done), way_back) => Ok(Done { way_back: way_back.map(|id| id.to_string()), ..done }),
            (Err(failure), Some(id)) => Err(failure.help(format!(
                "part of it may be restored; restore again, or go back to what stood there: \
                 tmp archive restore {id} --in-place"
            ))),
            (Err(failure), None) => Err(failure.help("part of it may be restored; restore again")),
        }
    }

    fn over(
        &self,
        config: &Config,
        archive: &Archive,
        info: &SnapshotInfo,
        site: &Site,
        out: &Output,
    ) -> Result<Done, Failure> {
        let ignored = left_alone(info, site)?;
        let (caches, cache) = create::cache(config, site)?;
        let beside = Beside { ignored: &ignored, cache: Some(At::new(&caches, &cache)) };
        let work = ensure_dirs(&RealDisk, site.work.as_std_path()).map_err(Failure::unexpected)?;
        let staging = create_dir_durably(&RealDisk, &work, STAGING, Mode::from_bits(0o700))
            .map_err(Failure::unexpected)?;
        let done = self.modules(archive, info, &site.root, (Some(&staging), &beside), out);
        remove_tree(&RealDisk, At::new(&work, STAGING)).map_err(Failure::unexpected)?;
        done
    }

    /// Whether a path is among those that were asked for.
    fn covers(&self, info: &SnapshotInfo, path: &ModulePath) -> bool {
        let path = EntryPath::from(path);
        let asked = self.paths.iter().filter_map(|asked| EntryPath::from_bytes(asked.as_bytes()).ok());
        info.covers(&path) && (self.paths.is_empty() || asked.into_iter().any(|asked| path.is_within(&asked)))
    }

    fn module_paths(&self) -> Result<Vec<ModulePath>, Failure> {
        let paths = self.paths.iter().map(|path| path.parse());
        paths
            .collect::<Result<_, tmp_core::path::PathError>>()
            .map_err(|error| Failure::caused(Exit::Usage, error))
    }

    fn modules(
        &self,
        archive: &Archive,
        info: &SnapshotInfo,
        to: &Utf8Path,
        (staging, beside): (Option<&tmp_disk::Dir>, &Beside<'_>),
        out: &Output,
    ) -> Result<Done, Failure> {
        let tree = Tree::open(&opening::disk(), Path::new(to)).map_err(Failure::unexpected)?;
        let paths = self.paths.iter().map(|path| EntryPath::from_bytes(path.as_bytes()));
        let paths: Vec<_> =
            paths.collect::<Result<_, _>>().map_err(|error| Failure::caused(Exit::Usage, error))?;
        let selection = if paths.is_empty() { Selection::All } else { Selection::Paths(paths) };
        let mut meter = Meter::new(out, "restoring");
        let (all_entries, all_bytes) = (info.totals.entries, info.totals.bytes);
        let mut tell = |entries, bytes| meter.tell(&Progress { entries, all_entries, bytes, all_bytes });
        let restored = archive
            .restore_beside(&info.id, &selection, &tree, staging, beside, &mut tell)
            .map_err(failed)?;
        Ok(Done {
            snapshot: info.id.to_string(),
            to: to.to_owned(),
            entries: restored.entries,
            written: restored.written,
            bytes: restored.bytes,
            way_back: None,
        })
    }
}

/// What a restore leaves alone beside what the snapshot says: what a whole site leaves out now. A part of a
/// site is what a migration touches, and never live data.
fn left_alone(info: &SnapshotInfo, site: &Site) -> Result<Ignored, Failure> {
    if info.covers(&EntryPath::root()) {
        ignored(site, &opening::databases(site))
    } else {
        Ok(Ignored::default())
    }
}

/// Archives what a restore is about to overwrite.
fn way_back(
    config: &Config,
    archive: &Archive,
    info: &SnapshotInfo,
    site: &Site,
    record: &restores::Restore,
) -> Result<SnapshotId, Failure> {
    let whole = record.paths.is_empty() && info.covers(&EntryPath::root());
    let mut paths = record.paths.clone();
    if paths.is_empty() && !whole {
        let path = |root: &EntryPath| {
            let text = String::from_utf8_lossy(root.as_bytes());
            text.parse::<ModulePath>().map_err(|error| Failure::caused(Exit::Usage, error))
        };
        paths = info.roots.iter().map(path).collect::<Result<_, _>>()?;
    }
    let tree = Tree::open(&opening::disk(), Path::new(&site.root)).map_err(Failure::unexpected)?;
    let capture = Capture {
        id: record.id,
        kind: SnapshotKind::PreRestore,
        parent: Some(info.id),
        migration: None,
        system: site.system.clone(),
        environment: site.environment,
        site: site.name.clone(),
        made: record.began,
        tree: &tree,
        paths: &paths,
        databases: &[],
    };
    if whole {
        let globs = left_alone(info, site)?.globs().iter().chain(&info.ignored).cloned().collect::<Vec<_>>();
        let ignored = Ignored::new(globs).map_err(failed)?;
        create::incrementally(config, site, archive, &capture, (&ignored, false), &mut |_| {})?;
    } else {
        archive.capture(&capture, &mut |_, _| {}).map_err(failed)?;
    }
    Ok(record.id)
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
    let snapshot = info.id.to_string();
    Ok(Done { snapshot, to: to.join(file), entries: 1, written: 1, bytes, way_back: None })
}
