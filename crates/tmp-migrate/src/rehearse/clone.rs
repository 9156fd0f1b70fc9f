//! The throw-away clone of a target: its tree and its databases.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use camino::{Utf8Path, Utf8PathBuf};
use globset::GlobSet;
use tmp_core::{
    DatabaseName, ModulePath,
    database::Database,
    enhancement::Enhancement,
    module::{Attributes, Kind, Timestamp},
    path::RESERVED,
    plan::Target,
};
use tmp_disk::{At, Disk, DiskError, Stat, Tree, create_dir_durably, set_attributes};

use super::{
    Databases, RehearsalError,
    copy::{Copying, Leave},
    scratch::Scratch,
    unless_stopped,
};
use crate::{
    planner::{base, forbidden_paths, globs},
    workplace::Workplace,
};

/// A target's clone.
pub(super) struct Clone {
    /// Where an engine works on it.
    pub(super) workplace: Workplace,
    /// The file of each database's copy.
    pub(super) databases: BTreeMap<DatabaseName, Utf8PathBuf>,
    /// What is not as in the target.
    pub(super) notes: Vec<String>,
}

/// Live data, files of databases and TMP's own directory are left out; live data that a batch step writes
/// is not.
struct Without {
    ignored: GlobSet,
    forbidden: Vec<PathBuf>,
    needed: Vec<PathBuf>,
}

impl Leave for Without {
    fn leaves(&self, path: &Path) -> bool {
        let needed = || self.needed.iter().any(|base| path.starts_with(base) || base.starts_with(path));
        path == Path::new(RESERVED)
            || self.forbidden.iter().any(|file| file == path)
            || (self.ignored.is_match(path) && !needed())
    }
}

impl Clone {
    /// Clones the target into the scratch folder. The target is only read; where opening a database
    /// touched the time of the directory it lies in, that is put back. A database whose last process died is
    /// recovered by its engine, as by anybody who opens it.
    pub(super) fn make(
        real: &Workplace,
        enhancement: &Enhancement,
        databases: &mut [Box<dyn Database>],
        scratch: &Scratch,
        stop: &AtomicBool,
    ) -> Result<Self, RehearsalError> {
        let disk = &real.disk;
        let make = |name: &str| {
            create_dir_durably(disk.as_ref(), scratch.dir(), name, tmp_core::Mode::from_bits(0o700))
        };
        let (root, _) = (make("root")?, make("databases")?);
        let tree = Tree::open(disk, Path::new(&real.target.root))?;
        let forbidden = forbidden_paths(&real.target.root, databases);
        let writes = enhancement.batch.iter().flat_map(|step| &step.writes);
        let leave = Without {
            ignored: globs(&real.target.ignore).map_err(|fault| RehearsalError::Plan(fault.into()))?,
            forbidden: forbidden.iter().map(|path| PathBuf::from(path.as_str())).collect(),
            needed: writes.filter_map(|glob| base(glob)).map(|path| path.as_str().into()).collect(),
        };
        let mut copying = Copying::new(disk.as_ref(), &root, &leave, stop);
        copying.run(tree.root())?;
        let notes = std::mem::take(&mut copying.notes);
        let target = Target {
            root: scratch.path().join("root"),
            work: scratch.path().join("work"),
            url: None,
            ..real.target.clone()
        };
        let workplace = Workplace {
            target,
            state: scratch.path().join("state"),
            disk: Arc::clone(disk),
            clock: Arc::clone(&real.clock),
        };
        let mut clone = Self { workplace, databases: BTreeMap::new(), notes };
        for database in databases {
            clone.database(database.as_mut(), enhancement, (&tree, &real.target.root), scratch)?;
            unless_stopped(stop)?;
        }
        Ok(clone)
    }

    /// Copies a database that the enhancement changes, or that lies in the tree, to the same place there.
    fn database(
        &mut self,
        database: &mut dyn Database,
        enhancement: &Enhancement,
        (tree, root): (&Tree, &Utf8Path),
        scratch: &Scratch,
    ) -> Result<(), RehearsalError> {
        let name = database.name().clone();
        let inside = inside(database, root);
        let file = match &inside {
            Some(path) => self.workplace.target.root.join(path.as_str()),
            None if enhancement.sql.iter().any(|change| change.database == name) => {
                scratch.path().join("databases").join(format!("{name}.db"))
            }
            None => return Ok(()),
        };
        let disk = tree.disk().as_ref();
        let copied = quietly(disk, &database.files(), || {
            let copied = database.inspect().and_then(|_| database.copy_to(file.as_std_path()));
            database.release();
            copied
        })?;
        copied?;
        if let Some(path) = &inside {
            let clone = Tree::open(tree.disk(), Path::new(&self.workplace.target.root))?;
            alike(tree, &clone, path)?;
        }
        self.databases.insert(name, file);
        Ok(())
    }

    /// The databases of the clone, not yet connected.
    pub(super) fn open(&self, databases: &Databases<'_>) -> Vec<Box<dyn Database>> {
        self.databases.iter().map(|(name, file)| databases(name, file)).collect()
    }
}

/// Where a database's file lies in the tree, if it lies there.
fn inside(database: &dyn Database, root: &Utf8Path) -> Option<ModulePath> {
    let real_root = root.canonicalize_utf8().unwrap_or_else(|_| root.to_owned());
    let file = database.files().into_iter().next()?;
    let relative = file.strip_prefix(&real_root).or_else(|_| file.strip_prefix(root)).ok()?;
    relative.as_str().parse().ok()
}

/// Gives the copy of a database's file, and the directory it lies in, the attributes of the original.
fn alike(tree: &Tree, clone: &Tree, path: &ModulePath) -> Result<(), DiskError> {
    let disk = tree.disk().as_ref();
    let (Some(from), Some(to)) = (tree.locate(path)?, clone.locate(path)?) else { return Ok(()) };
    let stat = disk.stat(from.at()).map_err(DiskError::at("look at", path.as_str()))?;
    let xattrs = disk.xattrs(from.at()).map_err(DiskError::at("look at", path.as_str()))?;
    let Some(Stat { mode, uid, gid, mtime, .. }) = stat else { return Ok(()) };
    set_attributes(disk, to.at(), Kind::File, &Attributes { mode, uid, gid, mtime, xattrs })?;
    match disk.stat(At::itself(&from.dir)).map_err(DiskError::at("look at", path.as_str()))? {
        Some(stat) => disk
            .set_mtime(At::itself(&to.dir), stat.mtime)
            .map_err(DiskError::at("set the modification time of the directory of", path.as_str())),
        None => Ok(()),
    }
}

/// Does something that may make and remove names beside these paths, and puts the times of the directories
/// back, those that are there before.
pub(super) fn quietly<T>(
    disk: &dyn Disk,
    files: &[Utf8PathBuf],
    work: impl FnOnce() -> T,
) -> Result<T, DiskError> {
    let mut directories: Vec<(&Utf8Path, Timestamp)> = Vec::new();
    let time = |path: &Utf8Path| {
        let dir = disk.open_root(path.as_std_path()).map_err(DiskError::at("open", path))?;
        let stat = disk.stat(At::itself(&dir)).map_err(DiskError::at("look at", path))?;
        Ok::<_, DiskError>((dir, stat.map(|stat| stat.mtime).unwrap_or_default()))
    };
    for path in files.iter().filter_map(|file| file.parent()) {
        if path.is_dir() && directories.iter().all(|(known, _)| *known != path) {
            directories.push((path, time(path)?.1));
        }
    }
    let done = work();
    for (path, before) in directories {
        let (dir, now) = time(path)?;
        if now != before {
            disk.set_mtime(At::itself(&dir), before)
                .map_err(DiskError::at("set the modification time of", path))?;
        }
    }
    Ok(done)
}
