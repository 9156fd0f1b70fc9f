//! The directories above entries that are visited in the order of paths.

use std::{ffi::OsStr, io::ErrorKind, os::unix::ffi::OsStrExt as _};

use tmp_core::Mode;
use tmp_disk::{At, Dir, Tree};

use crate::{ArchiveError, EntryPath};

/// Opens the directory that holds an entry; keeps those above it open, because what comes next is
/// likely to be there too.
pub(crate) struct Parents<'a> {
    tree: &'a Tree,
    open: Vec<(EntryPath, Dir)>,
}

impl<'a> Parents<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        Self { tree, open: Vec::new() }
    }

    /// The directory that holds an entry.
    ///
    /// # Errors
    /// It is not there, is no directory, or on another mount.
    pub(crate) fn of(&mut self, path: &EntryPath) -> Result<Dir, ArchiveError> {
        self.enter(path, false).map(|(dir, _)| dir)
    }

    /// Makes the directories above an entry that are not there, with mode 0755. Answers those made.
    pub(crate) fn make(&mut self, path: &EntryPath) -> Result<Vec<EntryPath>, ArchiveError> {
        self.enter(path, true).map(|(_, made)| made)
    }

    fn enter(&mut self, path: &EntryPath, make: bool) -> Result<(Dir, Vec<EntryPath>), ArchiveError> {
        let parent = path.parent().unwrap_or_else(EntryPath::root);
        while self.open.last().is_some_and(|(open, _)| !parent.is_within(open)) {
            self.open.pop();
        }
        let depth = self.open.last().map_or(0, |(open, _)| open.components().count());
        let disk = &**self.tree.disk();
        let mut made = Vec::new();
        for name in parent.components().skip(depth).map(OsStr::from_bytes) {
            let (above, dir) = self.innermost();
            let path = above
                .join(name)
                .map_err(|error| ArchiveError::Name { path: above, fault: error.to_string() })?;
            let opened = match disk.open_dir(&dir, name) {
                Err(error) if make && error.kind() == ErrorKind::NotFound => {
                    made.push(path.clone());
                    disk.create_dir(At::new(&dir, name), Mode::DIRECTORY)
                        .and_then(|()| disk.open_dir(&dir, name))
                }
                opened => opened,
            };
            let opened = opened.map_err(ArchiveError::disk("enter", &path))?;
            self.open.push((path, opened));
        }
        Ok((self.innermost().1, made))
    }

    fn innermost(&self) -> (EntryPath, Dir) {
        self.open.last().cloned().unwrap_or_else(|| (EntryPath::root(), self.tree.root().clone()))
    }
}
