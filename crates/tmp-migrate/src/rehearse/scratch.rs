//! The folder of something that is thrown away, and what tells its leftovers.
//!
//! A folder `rehearsal-<id>` lies beside a file `rehearsal-<id>.lock`, which is locked before the folder is
//! made and until it is gone. So whoever gets the lock of a folder has found what a dead process left.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use tmp_core::{MigrationId, Mode};
use tmp_disk::{At, Dir, Disk, DiskError, Lock, create_dir_durably, ensure_dirs, remove_tree};

/// What the names begin with.
const PREFIX: &str = "rehearsal-";

/// What the name of a lock's file ends with.
const LOCK: &str = ".lock";

/// A folder that is thrown away. While this exists nobody else removes it.
#[derive(Debug)]
#[must_use = "it is to be removed"]
pub struct Scratch {
    disk: Arc<dyn Disk>,
    base: Dir,
    dir: Dir,
    name: String,
    path: Utf8PathBuf,
    #[expect(dead_code, reason = "held until the folder is removed")]
    lock: Lock,
}

impl Scratch {
    /// Makes a folder for `id` in the directory `base`, which is made where it is missing. Only this user may
    /// enter it.
    ///
    /// # Errors
    /// It cannot be made or locked. What is left is removed by [`sweep`].
    pub fn create(disk: &Arc<dyn Disk>, base: &Utf8Path, id: &MigrationId) -> Result<Self, DiskError> {
        let dir = ensure_dirs(disk.as_ref(), base.as_std_path())?;
        let name = format!("{PREFIX}{id}");
        let file = format!("{name}{LOCK}");
        let busy = || DiskError::at("lock", &file)(std::io::ErrorKind::WouldBlock.into());
        let note = format!("process {}\n", std::process::id());
        // Whoever sweeps may take the lock's file away between its making and its locking.
        let mut tries = (0..3).map(|_| disk.try_lock(At::new(&dir, &file), &note));
        let lock = tries.find_map(|tried| tried.ok().flatten()).ok_or_else(busy)?;
        let folder = create_dir_durably(disk.as_ref(), &dir, &name, Mode::from_bits(0o700))?;
        let path = base.join(&name);
        Ok(Self { disk: Arc::clone(disk), base: dir, dir: folder, name, path, lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The folder, open.
    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Removes the folder with all it holds, then its lock.
    ///
    /// # Errors
    /// Something cannot be removed: [`sweep`] may be able to later.
    pub fn remove(self) -> Result<(), DiskError> {
        discard(self.disk.as_ref(), &self.base, &self.name)
    }
}

/// The lock's file goes last, so that a folder without one is nobody's.
fn discard(disk: &dyn Disk, base: &Dir, name: &str) -> Result<(), DiskError> {
    remove_tree(disk, At::new(base, name))?;
    remove_tree(disk, At::new(base, &format!("{name}{LOCK}")))
}

/// Removes what dead processes left in a directory, which need not be there. Answers the names of the
/// folders. Folders whose process lives stay.
///
/// # Errors
/// The directory cannot be listed, or something cannot be removed.
pub fn sweep(disk: &dyn Disk, base: &Utf8Path) -> Result<Vec<String>, DiskError> {
    let dir = match disk.open_root(base.as_std_path()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(DiskError::at("open", base))?,
    };
    let mut names: Vec<String> = disk
        .list(&dir)
        .map_err(DiskError::at("list", base))?
        .iter()
        .filter_map(|name| name.to_str())
        .map(|name| name.strip_suffix(LOCK).unwrap_or(name))
        .filter(|name| name.strip_prefix(PREFIX).is_some_and(|id| id.parse::<MigrationId>().is_ok()))
        .map(ToOwned::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut removed = Vec::new();
    for name in names {
        let file = format!("{name}{LOCK}");
        let lock = disk.try_lock(At::new(&dir, &file), "").map_err(DiskError::at("lock", &file))?;
        if lock.is_some() {
            discard(disk, &dir, &name)?;
            removed.push(name);
        }
    }
    Ok(removed)
}
