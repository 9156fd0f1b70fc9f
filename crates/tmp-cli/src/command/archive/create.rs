//! `tmp archive create`.

use std::path::Path;

use serde::Serialize;
use tmp_archive::{
    Archive, Capture, Captured, DatabaseCopy, Ignored, Progress, SnapshotId, SnapshotKind, Whole,
};
use tmp_core::{Digest, Mode, clock::Clock as _, database::Database};
use tmp_disk::{
    At, Dir, Disk as _, RealDisk, SystemClock, Tree, create_dir_durably, ensure_dirs, remove_tree,
};

use super::{failed, meter::Meter, new_id, open_or_make};
use crate::{
    config::{Config, Site},
    exit::Exit,
    failure::Failure,
    opening,
    output::{Output, Report},
    render, site,
};

/// The folder of stat caches in the state directory.
const CACHES: &str = "cache";

/// Arguments of `tmp archive create`.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The site, or SYSTEM/ENVIRONMENT/SITE; not needed where there is only one [env: TMP_SITE]
    site: Option<String>,
    /// Read every file, whatever the cache of the last archive says
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Serialize)]
struct Created {
    snapshot: String,
    site: String,
    entries: u64,
    bytes: u64,
    new_objects: u64,
    new_bytes: u64,
    databases: u64,
    took_ms: u64,
}

impl Report for Created {
    const SCHEMA: &'static str = "tmp.archive-create/v1";

    fn text(&self) -> String {
        let databases = match self.databases {
            0 => String::new(),
            count => format!(" and {}", render::count(count, "database")),
        };
        format!(
            "snapshot {} of {}: {}{databases}, {}; {} new, in {}\n",
            self.snapshot,
            self.site,
            render::entries(self.entries),
            render::bytes(self.bytes),
            render::bytes(self.new_bytes),
            render::milliseconds(self.took_ms)
        )
    }
}

impl Create {
    /// Archives a whole site, of which only what changed is read. No migration runs there meanwhile.
    pub(super) fn run(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        let site = site::whole(config, self.site.as_deref())?;
        let clock = SystemClock::new();
        let engine = opening::ready(config, site)?;
        let archive = open_or_make(config)?;
        let state = ensure_dirs(&RealDisk, config.state.value.as_std_path()).map_err(Failure::unexpected)?;
        let copies = format!("create-{}", key(site));
        // What a killed process left.
        remove_tree(&RealDisk, At::new(&state, &copies)).map_err(Failure::unexpected)?;
        let id = new_id(clock.now());
        let made = self.capture(config, site, &archive, (&state, &copies), id, out);
        remove_tree(&RealDisk, At::new(&state, &copies)).map_err(Failure::unexpected)?;
        drop(engine);
        let (totals, databases) = made?;
        out.report(&Created {
            snapshot: id.to_string(),
            site: site.to_string(),
            entries: totals.entries,
            bytes: totals.bytes,
            new_objects: totals.new_objects,
            new_bytes: totals.new_bytes,
            databases,
            took_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        Ok(Exit::Done)
    }

    fn capture(
        &self,
        config: &Config,
        site: &Site,
        archive: &Archive,
        (state, copies): (&Dir, &str),
        id: SnapshotId,
        out: &Output,
    ) -> Result<(tmp_archive::Totals, u64), Failure> {
        let mut databases = opening::databases(site);
        let folder = config.state.value.join(copies);
        let dir = create_dir_durably(&RealDisk, state, copies, Mode::from_bits(0o700))
            .map_err(Failure::unexpected)?;
        for database in &mut databases {
            let copied = database.copy_to(Path::new(&folder.join(database.name().as_str())));
            database.release();
            copied.map_err(|error| Failure::caused(Exit::Error, error))?;
        }
        let names: Vec<String> = databases.iter().map(|database| database.name().to_string()).collect();
        let named = databases.iter().zip(&names);
        let copies: Vec<_> = named.map(|(database, name)| copy_of(&**database, &dir, name)).collect();
        let tree = Tree::open(&opening::disk(), Path::new(&site.root)).map_err(Failure::unexpected)?;
        let ignored = ignored(site, &databases)?;
        let capture = Capture {
            id,
            kind: SnapshotKind::System,
            parent: None,
            migration: None,
            system: site.system.clone(),
            environment: site.environment,
            site: site.name.clone(),
            made: SystemClock::new().now(),
            tree: &tree,
            paths: &[],
            databases: &copies,
        };
        let mut meter = Meter::new(out, "archiving");
        let options = (&ignored, self.full);
        let captured =
            incrementally(config, site, archive, &capture, options, &mut |progress| meter.tell(progress))?;
        Ok((captured.totals, copies.len() as u64))
    }
}

/// Captures a whole site with its stat cache; all of it is read where it is to be fresh.
pub(super) fn incrementally(
    config: &Config,
    site: &Site,
    archive: &Archive,
    capture: &Capture<'_>,
    (ignored, fresh): (&Ignored, bool),
    progress: &mut dyn FnMut(&Progress),
) -> Result<Captured, Failure> {
    let (caches, cache) = cache(config, site)?;
    let work = RealDisk.open_root(site.work.as_std_path()).map_err(Failure::unexpected)?;
    let whole = Whole { ignored, cache: At::new(&caches, &cache), clock: &work, fresh };
    archive.capture_whole(capture, &whole, progress).map_err(failed)
}

/// Where the stat cache of a site lies.
pub(super) fn cache(config: &Config, site: &Site) -> Result<(Dir, String), Failure> {
    let caches =
        ensure_dirs(&RealDisk, config.state.value.join(CACHES).as_std_path()).map_err(Failure::unexpected)?;
    Ok((caches, format!("stat-{}", key(site))))
}

fn copy_of<'a>(database: &dyn Database, dir: &'a Dir, name: &'a str) -> DatabaseCopy<'a> {
    DatabaseCopy {
        name: database.name().clone(),
        engine: database.engine(),
        at: At::new(dir, name),
        fingerprint: None,
    }
}

/// What is left out of a whole site: what tmp.yaml ignores, and the files of its databases.
pub(super) fn ignored(site: &Site, databases: &[Box<dyn Database>]) -> Result<Ignored, Failure> {
    let root = crate::files::real(&site.root);
    let files = databases.iter().flat_map(|database| database.files());
    let below = files.filter_map(|file| {
        let path = file.strip_prefix(&root).or_else(|_| file.strip_prefix(&site.root)).ok()?;
        Some(Ignored::literally(path.as_str()))
    });
    Ignored::new(site.ignore.iter().cloned().chain(below)).map_err(failed)
}

/// What stands for a site in names of files.
fn key(site: &Site) -> String {
    Digest::of(site.root.as_str().as_bytes()).hex().chars().take(16).collect()
}
