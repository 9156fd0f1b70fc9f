//! Where a root stands that is exchanged as a whole.

use std::{io, path::PathBuf, sync::Arc};

use camino::Utf8Path;
use tmp_core::{
    module::Timestamp,
    plan::{Plan, Switch},
};
use tmp_disk::{At, Disk, DiskError, Place, Tree};

/// The name of a root in its parent directory, which is held open: whatever is exchanged there, it stays
/// the same place.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) place: Place,
    path: PathBuf,
}

impl Home {
    /// The home of the plan's root, where the plan exchanges the whole tree.
    pub(super) fn of(disk: &dyn Disk, plan: &Plan) -> Result<Option<Self>, DiskError> {
        match plan.target.switch {
            // Without modules there is nothing to exchange.
            Switch::Atomic if plan.operations.is_empty() => Ok(None),
            Switch::Files => Ok(None),
            Switch::Atomic => Self::open(disk, &plan.target.root).map(Some),
        }
    }

    /// Holds the directory open that `root` stands in.
    fn open(disk: &dyn Disk, root: &Utf8Path) -> Result<Self, DiskError> {
        let wrap = DiskError::at("open the directory of", root);
        let open = || {
            let (Some(parent), Some(name)) = (root.parent(), root.file_name()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            Ok(Place { dir: disk.open_root(parent.as_std_path())?, name: name.into() })
        };
        Ok(Self { place: open().map_err(wrap)?, path: root.into() })
    }

    /// The tree that stands there now: no symlink, and on the mount of its parent.
    pub(super) fn tree(&self, disk: &Arc<dyn Disk>) -> Result<Tree, DiskError> {
        Tree::below(disk, &self.place.dir, &self.place.name, &self.path)
    }

    /// The modification time of the directory that holds the root.
    pub(super) fn time(&self, disk: &dyn Disk) -> Result<Timestamp, DiskError> {
        let stat = disk.stat(At::itself(&self.place.dir));
        let stat = stat.and_then(|stat| stat.ok_or_else(|| io::ErrorKind::NotFound.into()));
        stat.map(|stat| stat.mtime).map_err(DiskError::at("look at the directory of", &self.path))
    }

    /// The root, for messages.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }
}
