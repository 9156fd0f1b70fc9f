//! Making a snapshot.

use std::{collections::BTreeSet, sync::Arc, thread};

use time::OffsetDateTime;
use tmp_core::{
    DatabaseName, EnvironmentName, MigrationId, Mode, ModulePath, SiteName, SystemName,
    database::Fingerprint, enhancement::DatabaseEngine, module::Timestamp,
};
use tmp_disk::{At, Dir, Disk, Tree};

use crate::{
    Archive, ArchiveError, EntryPath, Ignored, Manifest, SnapshotId, SnapshotInfo, SnapshotKind, Totals,
    archive::PACKS,
    earlier::Earlier,
    index::Index,
    manifest_writer::Run,
    packer::Packer,
    produce::{Produced, Producer, Sources},
    shelf::{Claims, Press},
    snapshot::SCHEMA,
    stat_cache::{self, StatCache, StatCacheWriter},
    survey::Survey,
    walk::roots,
    workers::Workers,
};

/// The file whose times tell the clock of a file system.
const CLOCK: &str = ".clock";

/// What is to be captured.
#[derive(Debug)]
pub struct Capture<'a> {
    /// The new snapshot's id.
    pub id: SnapshotId,
    /// How much it covers. With [`SnapshotKind::System`] it is the whole tree, the root directory
    /// included, and `paths` says nothing; so with [`SnapshotKind::PreRestore`] and no paths.
    pub kind: SnapshotKind,
    /// The snapshot it follows, for people.
    pub parent: Option<SnapshotId>,
    /// The migration it is made for.
    pub migration: Option<MigrationId>,
    /// The system.
    pub system: SystemName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The site.
    pub site: SiteName,
    /// Now.
    pub made: OffsetDateTime,
    /// Where the paths are.
    pub tree: &'a Tree,
    /// What to capture: each path with everything below it, or that it is absent.
    pub paths: &'a [ModulePath],
    /// Copies of databases to take in, each name once.
    pub databases: &'a [DatabaseCopy<'a>],
}

/// A consistent copy of a database, made by its engine.
#[derive(Debug)]
pub struct DatabaseCopy<'a> {
    /// The database's name.
    pub name: DatabaseName,
    /// Its engine.
    pub engine: DatabaseEngine,
    /// The file, on the disk of the tree.
    pub at: At<'a>,
    /// What it holds.
    pub fingerprint: Option<Fingerprint>,
}

/// A snapshot was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Its id.
    pub id: SnapshotId,
    /// What it came to.
    pub totals: Totals,
}

/// What makes a capture incremental, and what it leaves out.
#[derive(Debug)]
pub struct Whole<'a> {
    /// Paths that are left out, with everything below them.
    pub ignored: &'a Ignored,
    /// Where the stat cache of this tree lies, if it has one. It is disposable: without it everything is
    /// read.
    pub cache: At<'a>,
    /// A directory on the tree's own mount, outside of what is captured. A file `.clock` is made and removed
    /// there, to learn the time of that file system.
    pub clock: &'a Dir,
    /// Read everything, whatever the cache says.
    pub fresh: bool,
}

/// How far a capture has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Entries taken in.
    pub entries: u64,
    /// Entries in all.
    pub all_entries: u64,
    /// Bytes of files that were read.
    pub bytes: u64,
    /// Bytes of files that have to be read in all.
    pub all_bytes: u64,
}

impl Archive {
    /// Makes a snapshot of a whole tree, of which only what changed since the one before is read: what has
    /// the size, the times and the inode that the stat cache remembers, and was not changed since within the
    /// same tick of the clock. Otherwise as [`Archive::capture`], whatever paths it says. The new cache is not
    /// durable, and that it cannot be written is no error.
    ///
    /// # Errors
    /// As [`Archive::capture`].
    pub fn capture_whole(
        &self,
        capture: &Capture<'_>,
        whole: &Whole<'_>,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Captured, ArchiveError> {
        self.refuse_existing(&capture.id)?;
        let disk = &**capture.tree.disk();
        let stamp = clock(disk, whole.clock);
        let cache = if whole.fresh || stamp.is_none() { None } else { StatCache::read(disk, whole.cache) };
        let before = cache.as_ref().and_then(|cache| self.info(&cache.snapshot).ok());
        let fits = |cache: &StatCache| before.as_ref().is_some_and(|before| cache.fits(&before.manifest));
        let cache = cache.filter(fits);
        let roots = vec![EntryPath::root()];
        let survey = Survey::new(capture.tree, &roots, whole.ignored, cache.as_ref())?;
        let counts = survey.counts();
        let same = cache.as_ref().zip(before.as_ref()).filter(|(cache, _)| {
            counts.changed == 0 && counts.entries == cache.lines() && counts.entries > 0
        });
        let manifest = same.map(|(_, before)| {
            let databases: u64 = before.databases.iter().map(|database| database.content.size).sum();
            (before.manifest.clone(), counts.entries, before.totals.bytes.saturating_sub(databases))
        });
        let unchanged = manifest.is_some();
        let mut tell = |entries, bytes| {
            let known = if unchanged { 0 } else { bytes };
            progress(&Progress {
                entries,
                all_entries: counts.entries,
                bytes: known,
                all_bytes: counts.bytes.max(known),
            });
        };
        let plan = Plan {
            survey: &survey,
            roots,
            ignored: whole.ignored.globs(),
            kind: capture.kind,
            manifest,
            cache: cache.as_ref().zip(before.as_ref()),
            new_cache: stamp.filter(|_| !unchanged).map(StatCacheWriter::new),
        };
        let (captured, new_cache) = self.produce(capture, plan, &mut tell)?;
        // A cache that could not be written is one that does not fit the next time.
        if let Some((new, runs)) = new_cache {
            let _ = new.write(disk, whole.cache, capture.id, &runs);
        } else if unchanged {
            let _ = stat_cache::adopt(disk, whole.cache, capture.id);
        }
        Ok(captured)
    }

    /// Makes a snapshot. It is durable on return. `progress` is told entries and bytes so far.
    ///
    /// A file that changes while it is read is read once more. The tree's root-level work directory
    /// `.tmp-work` is left out. Everything is read; no stat cache is used.
    ///
    /// # Errors
    /// Something cannot be read, keeps changing or cannot be archived; or the store cannot be written.
    /// There is no snapshot of this id then; what was stored for it already serves the next capture.
    pub fn capture(
        &self,
        capture: &Capture<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Captured, ArchiveError> {
        self.refuse_existing(&capture.id)?;
        let covered = match capture.kind {
            SnapshotKind::System => vec![EntryPath::root()],
            SnapshotKind::PreRestore if capture.paths.is_empty() => vec![EntryPath::root()],
            SnapshotKind::Portion | SnapshotKind::PreRestore => {
                roots(capture.paths.iter().map(EntryPath::from))
            }
        };
        let survey = Survey::new(capture.tree, &covered, &Ignored::default(), None)?;
        let plan = Plan {
            survey: &survey,
            roots: covered,
            ignored: &[],
            kind: capture.kind,
            manifest: None,
            cache: None,
            new_cache: None,
        };
        self.produce(capture, plan, progress).map(|(captured, _)| captured)
    }

    /// Writes packs, then the document.
    fn produce(
        &self,
        capture: &Capture<'_>,
        plan: Plan<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Captured, Option<NewCache>), ArchiveError> {
        let packs = self.packs()?;
        let idle = plan.manifest.is_some() && capture.databases.is_empty();
        let load = if idle { &[][..] } else { &packs };
        let known = Index::load_sound(self.store(), load.iter().map(String::as_str))?;
        let earlier = match plan.cache {
            Some((cache, before)) if plan.manifest.is_none() => {
                let objects = self.objects(before)?;
                Earlier::new(objects, before.manifest.clone(), cache.runs()).map(|earlier| (cache, earlier))
            }
            _ => None,
        };
        // Without the lines of the manifest before, what is the same cannot be taken over.
        if earlier.is_none() && plan.cache.is_some() && plan.manifest.is_none() {
            return Err(ArchiveError::damaged("the stat cache", "it does not fit its snapshot"));
        }
        let inherited = plan.cache.map(|(_, before)| before.packs.iter().map(|name| Arc::from(&**name)));
        let mut written: BTreeSet<Arc<str>> = inherited.into_iter().flatten().collect();
        let sources = Sources {
            tree: capture.tree,
            survey: plan.survey,
            databases: capture.databases,
            manifest: plan.manifest,
            cache: earlier,
            new_cache: plan.new_cache,
        };
        let claims = Claims::new(&known);
        let produced = thread::scope(|scope| {
            let free = |number: u64| {
                let name = format!("{PACKS}{}-{number}", capture.id);
                packs.binary_search(&name).is_err().then_some(name)
            };
            let mut packer = Packer::new(scope, self.store(), Box::new((0..).filter_map(free)));
            let workers = Workers::start(scope, capture.tree, &claims)?;
            let mut producer = Producer::new(sources, workers, Press::new(&claims)?, progress);
            while let Some(block) = producer.next()? {
                packer.put(block)?;
            }
            written.extend(packer.finish()?.into_iter().map(Arc::<str>::from));
            Ok::<_, ArchiveError>(producer.finish())
        })?;
        let Some(Produced { manifest, databases, shelf, cache }) = produced else {
            return Err(ArchiveError::damaged("the new snapshot", "its manifest was not finished"));
        };
        written.extend(shelf.used);
        let info = SnapshotInfo {
            schema: SCHEMA.to_owned(),
            id: capture.id,
            kind: plan.kind,
            parent: capture.parent.or(plan.cache.map(|(_, before)| before.id)),
            migration: capture.migration.clone(),
            system: capture.system.clone(),
            environment: capture.environment,
            site: capture.site.clone(),
            made: capture.made,
            roots: plan.roots,
            ignored: plan.ignored.to_vec(),
            databases,
            manifest,
            packs: written.iter().map(ToString::to_string).collect(),
            totals: shelf.totals,
        };
        self.write_info(&info)?;
        Ok((Captured { id: info.id, totals: info.totals }, cache))
    }
}

/// A cache to be written, with the runs of the manifest it goes with.
pub(crate) type NewCache = (StatCacheWriter, Vec<Run>);

/// What a snapshot is made of.
struct Plan<'a> {
    survey: &'a Survey,
    roots: Vec<EntryPath>,
    ignored: &'a [String],
    kind: SnapshotKind,
    manifest: Option<(Manifest, u64, u64)>,
    cache: Option<(&'a StatCache, &'a SnapshotInfo)>,
    new_cache: Option<StatCacheWriter>,
}

/// What the clock of a directory's file system says now; `None` where that cannot be found out.
fn clock(disk: &dyn Disk, dir: &Dir) -> Option<Timestamp> {
    let at = At::new(dir, CLOCK);
    // What a killed process left.
    let _ = disk.remove_file(at);
    drop(disk.create_file(at, Mode::from_bits(0o600)).ok()?);
    let stat = disk.stat(at).ok().flatten();
    disk.remove_file(at).ok()?;
    stat.map(|stat| stat.ctime)
}
