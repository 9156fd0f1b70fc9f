//! The directory of an imported enhancement, which comes to be whole or not at all.

use std::{ffi::OsStr, io::Read};

use camino::{Utf8Path, Utf8PathBuf};
use tmp_core::{Mode, ModulePath};
use tmp_disk::{At, Dir, Disk as _, DiskError, RealDisk, Rename, ensure_dirs, remove_tree, write_new};
use tmp_trigger::source::FILE;

use crate::{exit::Exit, failure::Failure, files};

/// Where the files of modules lie in the directory.
pub(super) const FILES: &str = "files";

/// A hidden directory beside the one that it becomes.
#[derive(Debug)]
#[must_use = "it stays hidden until it is published or discarded"]
pub(super) struct Scaffold {
    parent: Dir,
    part: String,
    hidden: Utf8PathBuf,
    target: Utf8PathBuf,
}

impl Scaffold {
    /// Makes sure that `target` is free, and begins. One that a killed process of the same number left goes
    /// first.
    pub(super) fn begin(target: &Utf8Path) -> Result<Self, Failure> {
        if !files::is_free(target).map_err(Failure::unexpected)? {
            let message = format!("{target} is not empty; nothing was changed");
            return Err(Failure::new(Exit::Usage, message)
                .rule("never-overwritten")
                .help("-o names another"));
        }
        let (Some(above), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Failure::new(Exit::Usage, format!("{target} cannot be made")));
        };
        let part = format!(".{name}.{}.part", std::process::id());
        let parent = ensure_dirs(&RealDisk, above.as_std_path()).map_err(Failure::unexpected)?;
        remove_tree(&RealDisk, At::new(&parent, &part)).map_err(Failure::unexpected)?;
        Ok(Self { hidden: above.join(&part), parent, part, target: target.to_owned() })
    }

    /// Writes the file of a module.
    pub(super) fn file(&self, source: &ModulePath, mode: Mode, reader: &mut dyn Read) -> Result<(), Failure> {
        let (dir, name) = self.place(source)?;
        write_new(&RealDisk, At::new(&dir, name), mode, reader).map(drop).map_err(Failure::unexpected)
    }

    /// Makes the symlink of a module.
    pub(super) fn symlink(&self, source: &ModulePath, target: &str) -> Result<(), Failure> {
        let (dir, name) = self.place(source)?;
        RealDisk
            .create_symlink(At::new(&dir, name), target.as_bytes())
            .map_err(DiskError::at("link", source.as_str()))
            .map_err(Failure::unexpected)
    }

    /// Writes `enhancement.yaml`.
    pub(super) fn description(&self, text: &str) -> Result<(), Failure> {
        files::create(&self.hidden.join(FILE), Mode::FILE, text.as_bytes()).map_err(Failure::unexpected)
    }

    fn place<'a>(&self, source: &'a ModulePath) -> Result<(Dir, &'a OsStr), Failure> {
        let folder = self.hidden.join(FILES);
        let folder = source.parent().map_or(folder.clone(), |parent| folder.join(parent.as_str()));
        let dir = ensure_dirs(&RealDisk, folder.as_std_path()).map_err(Failure::unexpected)?;
        Ok((dir, OsStr::new(source.name())))
    }

    /// Gives it the name it is meant to have, which must still be free.
    pub(super) fn publish(self) -> Result<(), Failure> {
        let name = self.target.file_name().unwrap_or_default();
        let named = RealDisk
            .rename(At::new(&self.parent, &self.part), At::new(&self.parent, name), Rename::Replace)
            .map_err(DiskError::at("name", &self.target));
        named.map_err(|error| {
            self.discard();
            Failure::unexpected(error)
        })
    }

    /// Removes what was written. What cannot be removed stays hidden.
    pub(super) fn discard(&self) {
        let _ = remove_tree(&RealDisk, At::new(&self.parent, &self.part));
    }
}
