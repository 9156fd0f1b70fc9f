//! Confined access below the root of a system.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    sync::Arc,
};

use tmp_core::ModulePath;

use crate::{
    disk::{At, Dir, Disk, Stat},
    error::DiskError,
};

/// The tree below a root directory that is held open. Whatever happens to the path of the root
/// meanwhile, this stays the same directory; nothing that is reached through it lies outside of it,
/// behind a symlink, or on another mount.
#[derive(Debug, Clone)]
pub struct Tree {
    disk: Arc<dyn Disk>,
    root: Dir,
    path: PathBuf,
}

/// Where a module stands, or would stand: a name in a directory that is held open.
#[derive(Debug, Clone)]
pub struct Place {
    /// The directory.
    pub dir: Dir,
    /// The module's name in it.
    pub name: OsString,
}

impl Place {
    /// The same, for calls of a [`Disk`].
    pub fn at(&self) -> At<'_> {
        At { dir: &self.dir, name: &self.name }
    }
}

impl Tree {
    /// Holds the directory at an absolute path open, following symlinks in the path.
    ///
    /// # Errors
    /// It is not there, or is no directory.
    pub fn open(disk: &Arc<dyn Disk>, root: &Path) -> Result<Self, DiskError> {
        let dir = disk.open_root(root).map_err(DiskError::at("open the root", root))?;
        Ok(Self { disk: Arc::clone(disk), root: dir, path: root.to_owned() })
    }

    /// Holds the directory at `name` in `parent` open; `path` is where that is, for messages.
    ///
    /// # Errors
    /// It is not there, is no directory but perhaps a symlink to one, or lies on another mount.
    pub fn below(disk: &Arc<dyn Disk>, parent: &Dir, name: &OsStr, path: &Path) -> Result<Self, DiskError> {
        let dir = disk.open_dir(parent, name).map_err(DiskError::at("open the root", path))?;
        Ok(Self { disk: Arc::clone(disk), root: dir, path: path.to_owned() })
    }

    /// The disk it lies on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The root itself.
    pub fn root(&self) -> &Dir {
        &self.root
    }

    /// The path the root was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory that holds a module. `None` where that directory, or one above it, is not
    /// there; whether the module is there is not asked.
    ///
    /// # Errors
    /// A parent is a symlink, is no directory, or lies on another mount; or it cannot be opened.
    pub fn locate(&self, module: &ModulePath) -> Result<Option<Place>, DiskError> {
        let parent = module.parent();
        let parent = parent.as_ref().map_or("", ModulePath::as_str);
        match self.disk.open_dir(&self.root, parent.as_ref()) {
            Ok(dir) => Ok(Some(Place { dir, name: module.name().into() })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let doing = "enter, by directories of one mount and no symlink,";
                Err(DiskError::at(doing, self.path.join(parent))(error))
            }
        }
    }

    /// What stands at a module's path. `None` where nothing does, or a parent is not there.
    ///
    /// # Errors
    /// As [`Tree::locate`]; or it cannot be asked.
    pub fn stat(&self, module: &ModulePath) -> Result<Option<Stat>, DiskError> {
        let Some(place) = self.locate(module)? else { return Ok(None) };
        self.disk.stat(place.at()).map_err(DiskError::at("look at", self.path.join(module.as_str())))
    }
}
