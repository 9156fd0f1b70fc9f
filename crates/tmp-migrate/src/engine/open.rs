//! Opening an engine: the lock, what a rollback may need, and whether a migration is open.

use std::{io, path::Path, sync::Arc};

use camino::Utf8Path;
use tmp_archive::{Archive, ArchiveError, DirectoryStore};
use tmp_core::{
    MigrationId, Mode, ModulePath, Phase, contents::Contents, database::Database, event::Event,
    outcome::Outcome, plan::Plan,
};
use tmp_disk::{
    At, Capabilities, Dir, Disk, DiskError, LatchedDisk, Lock, ProbeError, Tree, create_dir_durably,
    ensure_private_dir, keeps, probe, read_whole,
};

use super::{
    ballast, cleanup,
    error::{EngineError, OpenError},
    home::Home,
    memory::Memory,
    recover::Interrupted,
    replay::{Replayed, replay},
    run::{Party, Run},
    site::{SharedClock, Site},
    times::Times,
};
use crate::{
    accepted::{self, Acceptance},
    drift::Drift,
    folder::{self, Folder, FolderError},
    history::HistoryError,
    holder::{LOCK, NOTE},
    ids::new_id,
    journal::{Fact, Journal, Record},
    left::Left,
    workplace::Workplace,
};

/// An engine with no open migration.
#[derive(Debug)]
pub struct Engine {
    pub(super) site: Box<Site>,
}

/// What opening found.
#[derive(Debug)]
#[must_use = "an interrupted migration is to be recovered"]
pub enum Opened {
    /// Nothing is open: the engine may migrate.
    Ready(Engine),
    /// A migration is open and comes first.
    Interrupted(Interrupted),
}

impl Engine {
    /// Takes the lock of the target, makes the directories that are missing, probes the file system
    /// and looks for an open migration. The lock is held until what this returns is dropped, or its
    /// process dies. Once a sync has failed, what this returns writes nothing any more.
    ///
    /// # Errors
    /// Another process has the lock, the file system cannot be relied on, or the last journal cannot
    /// be. The modules and databases of the target were not touched.
    pub fn open(workplace: Workplace) -> Result<Opened, OpenError> {
        let (journals_path, archive_path) = (workplace.journals(), workplace.archive());
        let Workplace { target, state, disk, clock } = workplace;
        let disk: Arc<dyn Disk> = Arc::new(LatchedDisk::new(disk));
        let tree = Tree::open(&disk, Path::new(&target.root))?;
        let work = ensure_private_dir(disk.as_ref(), Path::new(&target.work))?;
        let lock = match lock(disk.as_ref(), (&work, &target.work), &state) {
            Err(OpenError::Disk(error)) if never_used(disk.as_ref(), &journals_path)? => {
                return Err(unmade(error));
            }
            locked => locked?,
        };
        let (capabilities, unprobed) = match probed(&tree, &work, target.ephemeral).map_err(no_room) {
            Ok(capabilities) => (capabilities, None),
            Err(Ok(error)) => (Capabilities::least(&tree, &work, target.ephemeral)?, Some(error)),
            Err(Err(error)) => return Err(error.into()),
        };
        // What cannot be made for want of room never held a migration.
        let state_dir = ensure_private_dir(disk.as_ref(), Path::new(&state)).map_err(unmade)?;
        keeps(disk.as_ref(), (&state_dir, Path::new(&state)), target.ephemeral)?;
        let private = Mode::from_bits(0o700);
        let journals = create_dir_durably(disk.as_ref(), &state_dir, "journal", private).map_err(unmade)?;
        let first = folder::migrations(disk.as_ref(), &journals)?.is_empty();
        let store = DirectoryStore::open(&disk, Path::new(&archive_path));
        let archive = store.and_then(|store| Archive::open(Arc::new(store)));
        let archive = archive.map_err(|error| match error {
            ArchiveError::Disk(error) if first => unmade(error),
            ArchiveError::Store { doing, name, source } if first && ballast::is_no_room(&source) => {
                unmade(DiskError { doing, path: name, source })
            }
            error => error.into(),
        })?;
        folder::sweep(disk.as_ref(), &journals, &target.root)?;
        let site = Box::new(Site {
            target,
            tree,
            work,
            state: state_dir,
            journals,
            journals_path,
            archive,
            capabilities,
            clock: SharedClock(clock),
            lock,
        });
        if let Some(open) = open_migration(&site)? {
            // Its way back needs no room, and nothing that could be tried: it was tried before it began.
            return Ok(Opened::Interrupted(Interrupted::new(site, open)?));
        }
        cleanup::sweep(&site)?;
        let missing = |source| OpenError::NoRoom { bytes: ballast::SIZE, source };
        unprobed.map_or(Ok(()), |source| Err(missing(source)))?;
        [&site.work, &site.state]
            .into_iter()
            .try_for_each(|dir| ballast::load(site.disk(), dir))
            .map_err(missing)?;
        Ok(Opened::Ready(Self { site }))
    }
}

impl Engine {
    /// Takes what stands at the target and is not as TMP left it for left so, because a person says that it
    /// is right: the modules that `which` names, and the databases. Durable on return; answers what drifted.
    ///
    /// # Errors
    /// The journals or the target cannot be read, or the acceptance cannot be written: nothing is accepted.
    pub fn accept_drift(
        &mut self,
        reason: &str,
        which: &dyn Fn(&ModulePath) -> bool,
        databases: &mut [Box<dyn Database>],
    ) -> Result<Vec<Drift>, HistoryError> {
        let site = &self.site;
        let now = site.clock().now();
        let acceptance = Acceptance { id: new_id(now), root: site.target.root.clone(), at: now, reason };
        let mut left = Left::read(site.tree.disk(), site.state_path(), &site.target.root)?;
        left.modules.retain(|path, _| which(path));
        Ok(accepted::accept(acceptance, &left, &site.tree_now(None)?, &site.state, databases)?)
    }

    /// Runs a plan to its end, whatever that is.
    ///
    /// # Errors
    /// The migration never began ([`EngineError::NotBegun`], [`EngineError::NotReady`],
    /// [`EngineError::OtherTarget`], [`EngineError::Outdated`], [`EngineError::NotCleanedUp`]), or the engine could not go on: drop it, open again in a new process, and recover.
    pub fn migrate(
        &mut self,
        plan: &Plan,
        contents: &dyn Contents,
        party: &mut Party<'_>,
    ) -> Result<Outcome, EngineError> {
        let site = &self.site;
        if plan.target != site.target {
            return Err(EngineError::OtherTarget);
        }
        let newer = later(site, &plan.migration).map_err(|source| EngineError::NotBegun { source })?;
        if let Some(later) = newer {
            return Err(EngineError::Outdated { later });
        }
        let began = site.clock().elapsed();
        let not_begun = |error| EngineError::NotBegun { source: FolderError::Disk(error) };
        if let Some(migration) = cleanup::staged(site).map_err(not_begun)?.into_iter().next() {
            return Err(EngineError::NotCleanedUp { migration });
        }
        let home = Home::of(site.disk(), plan).map_err(not_begun)?;
        let tree = site.tree_now(home.as_ref()).map_err(not_begun)?;
        if home.is_some() && !site.capabilities.exchange {
            let file_system = site.capabilities.file_system.name.clone();
            return Err(EngineError::NoExchange { file_system });
        }
        let times = Times::read(site, (&tree, home.as_ref()), plan).map_err(not_begun)?;
        ready(plan, party)?;
        let begin = |digest| Record {
            at: site.clock().now(),
            fact: Fact::Begin {
                plan: digest,
                root: site.target.root.to_string(),
                boot: boot_id(site.disk()),
                pid: std::process::id(),
            },
        };
        let places = (&site.journals, &site.journals_path);
        let (folder, mut journal) =
            Folder::create(site.tree.disk(), places, plan, contents, begin).map_err(|error| match error {
                FolderError::NotDurable { source, .. } => EngineError::Sync { source },
                source => EngineError::NotBegun { source },
            })?;
        party.observer.event(&Event::Started { migration: plan.migration.clone() });
        let mut run = Run {
            site,
            tree,
            home,
            plan,
            folder: &folder,
            journal: &mut journal,
            memory: Memory::default(),
            party,
            began,
            findings: Vec::new(),
            taken_back: Vec::new(),
            mixture_us: None,
            locked_us: None,
        };
        match run.atomic_part(contents, times) {
            Ok(()) => run.finish(),
            Err(trouble) => run.turn_back(trouble),
        }
    }
}

/// Makes sure that the database can be locked now, before anything is begun that would have to be taken
/// back.
fn ready(plan: &Plan, party: &mut Party<'_>) -> Result<(), EngineError> {
    let planned = plan.database.as_ref().map(|planned| &planned.name);
    let database = party.databases.iter_mut().find(|database| Some(database.name()) == planned);
    // One that is not configured any more is found when it is archived.
    let Some(database) = database else { return Ok(()) };
    database.ready().map_err(|source| {
        database.release();
        EngineError::NotReady { source }
    })
}

/// Probes the file system; where there is no room for that, gives the ballast up first, because an
/// open migration must go back on a full disk too.
fn probed(tree: &Tree, work: &Dir, ephemeral: bool) -> Result<Capabilities, ProbeError> {
    let disk = tree.disk().as_ref();
    match probe(tree, work, ephemeral).map_err(no_room) {
        Ok(capabilities) => Ok(capabilities),
        Err(Err(error)) => Err(error),
        Err(Ok(_)) => {
            let fault = |source| DiskError { doing: "release", path: ballast::NAME.into(), source };
            ballast::release(disk, work).and_then(|()| disk.sync_all(work)).map_err(fault)?;
            probe(tree, work, ephemeral)
        }
    }
}

/// Whether no migration began with this state directory, at any root.
fn never_used(disk: &dyn Disk, journals: &Utf8Path) -> Result<bool, OpenError> {
    match disk.open_root(Path::new(journals)) {
        Ok(journals) => Ok(folder::migrations(disk, &journals)?.is_empty()),
        Err(error) => Ok(error.kind() == io::ErrorKind::NotFound),
    }
}

/// An error of making what no migration has been in.
fn unmade(source: DiskError) -> OpenError {
    if ballast::is_no_room(&source.source) {
        OpenError::NoRoom { bytes: ballast::SIZE, source }
    } else {
        source.into()
    }
}

/// What there was no room for, where that is why a file system could not be probed; else the error itself.
fn no_room(error: ProbeError) -> Result<DiskError, ProbeError> {
    match error {
        ProbeError::Disk(error) if ballast::is_no_room(&error.source) => Ok(error),
        ProbeError::Lacks { what, source: Some(source), .. } if ballast::is_no_room(&source) => {
            Ok(DiskError { doing: what, path: "in the work directory".into(), source })
        }
        error => Err(error),
    }
}

/// The kernel's id of this boot; empty where it tells none.
fn boot_id(disk: &dyn Disk) -> String {
    let read = || {
        let dir = disk.open_root(Path::new("/proc/sys/kernel/random")).ok()?;
        read_whole(disk, At::new(&dir, "boot_id"), 64).ok()
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).trim().to_owned()
}

/// Whether nothing is left to do for a migration, but perhaps to remove what it staged. Nothing is recorded
/// of it any more.
pub(super) const fn is_over(phase: Phase) -> bool {
    matches!(phase, Phase::CleanedUp | Phase::RolledBack | Phase::Resolved)
}

/// The open migration of this root, if there is one: no second can be, because none begins while one
/// is. It is the newest, or one that left its slots.
fn open_migration(site: &Site) -> Result<Option<Replayed>, OpenError> {
    for id in cleanup::staged(site)? {
        let replayed = replay(site, &id)?;
        if !is_over(replayed.phase()) {
            return Ok(Some(replayed));
        }
    }
    Ok(newest(site)?.filter(|replayed| !is_over(replayed.phase())))
}

/// The newest migration of this root.
fn newest(site: &Site) -> Result<Option<Replayed>, OpenError> {
    let ids = folder::migrations(site.disk(), &site.journals)?;
    for id in ids.iter().rev() {
        match replay(site, id) {
            Ok(replayed) if is_ours(site, &replayed.records) => return Ok(Some(replayed)),
            Ok(_) => {}
            // Damage at another root is that root's to be told of.
            Err(_) if is_of_another(site, id) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether the plan of a migration whose journal cannot be relied on is for another root. Where that cannot be
/// read either, it is not known.
fn is_of_another(site: &Site, id: &MigrationId) -> bool {
    let folder = Folder::open(site.disk(), (&site.journals, &site.journals_path), id);
    folder.and_then(|folder| folder.root(site.disk())).is_ok_and(|root| root != site.target.root)
}

/// A migration of this root whose id is not earlier than this: recovery, which looks at the newest, would miss
/// one that began under an earlier id.
fn later(site: &Site, id: &MigrationId) -> Result<Option<MigrationId>, FolderError> {
    for later in folder::migrations(site.disk(), &site.journals)?.into_iter().rev() {
        if later < *id {
            break;
        }
        let folder = Folder::open(site.disk(), (&site.journals, &site.journals_path), &later)?;
        match Journal::read(site.disk(), &folder.dir, &later) {
            Ok((_, records)) if is_ours(site, &records) => return Ok(Some(later)),
            Ok(_) => {}
            Err(_) if is_of_another(site, &later) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn is_ours(site: &Site, records: &[Record]) -> bool {
    records.first().is_some_and(
        |record| matches!(&record.fact, Fact::Begin { root, .. } if Utf8Path::new(root) == site.target.root),
    )
}

/// Takes the lock and writes into it who holds it, for people.
fn lock(disk: &dyn Disk, (work, work_path): (&Dir, &Utf8Path), state: &Utf8Path) -> Result<Lock, OpenError> {
    let at = At::new(work, LOCK);
    let fault = |source| DiskError { doing: "lock", path: LOCK.into(), source };
    let written = read_whole(disk, at, NOTE).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let before = written.unwrap_or_default();
    // A line without its end is one that its holder is still writing.
    let mut lines = before.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    if let Some(other) = lines.find_map(|line| line.strip_prefix("state ")).filter(|other| *other != state) {
        // Whoever moves a state directory says so by removing the lock's file.
        return Err(OpenError::OtherState { work: work_path.to_string(), other: other.to_owned() });
    }
    let note = format!("process {}\nstate {state}\n", std::process::id());
    // On some file systems even what is written over needs room.
    match ballast::with_room(disk, work, || disk.try_lock(at, &note)).map_err(fault)? {
        Some(lock) => Ok(lock),
        None => Err(OpenError::Locked { holder: before.trim().replace('\n', ", ") }),
    }
}
