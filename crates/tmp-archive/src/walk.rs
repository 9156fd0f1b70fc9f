//! Going through a tree: each root with everything below it, in the order of paths.

use std::{ffi::OsString, io::ErrorKind, os::unix::ffi::OsStrExt as _};

use tmp_core::{module::Kind, path::RESERVED};
use tmp_disk::{At, Dir, Disk, Stat, Tree};

use crate::{ArchiveError, EntryPath, Ignored};

/// What stands at a path.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where.
    pub(crate) path: EntryPath,
    /// What is known of it; `None` where nothing stands at a root.
    pub(crate) here: Option<Here>,
}

/// Something that stands somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Here {
    dir: Dir,
    name: OsString,
    /// What it is.
    pub(crate) stat: Stat,
}

impl Here {
    pub(crate) fn at(&self) -> At<'_> {
        At::new(&self.dir, &self.name)
    }
}

/// Goes through some roots of a tree. Holds one directory open per level.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    tree: &'a Tree,
    roots: std::vec::IntoIter<EntryPath>,
    ignored: Ignored,
    open: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    path: EntryPath,
    dir: Dir,
    names: std::vec::IntoIter<OsString>,
}

/// The fewest paths that cover the same: sorted, none within another.
pub(crate) fn roots(paths: impl IntoIterator<Item = EntryPath>) -> Vec<EntryPath> {
    let mut roots: Vec<_> = paths.into_iter().collect();
    roots.sort_unstable();
    roots.dedup_by(|path, before| path.is_within(before));
    roots
}

/// Whether nothing that counts happened between two looks at one thing.
pub(crate) fn same(before: &Stat, after: &Stat) -> bool {
    let key = |stat: &Stat| (stat.kind, stat.identity, stat.size, stat.mtime, stat.ctime);
    key(before) == key(after)
}

impl<'a> Walk<'a> {
    pub(crate) fn new(tree: &'a Tree, roots: Vec<EntryPath>, ignored: Ignored) -> Self {
        Self { tree, roots: roots.into_iter(), ignored, open: Vec::new() }
    }

    fn disk(&self) -> &'a dyn Disk {
        &**self.tree.disk()
    }

    /// The next path; a directory comes before what it holds.
    ///
    /// # Errors
    /// Something cannot be looked at, keeps changing, or is on another mount.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, ArchiveError> {
        while let Some(level) = self.open.last_mut() {
            let Some(name) = level.names.next() else {
                self.open.pop();
                continue;
            };
            let path = level
                .path
                .join(&name)
                .map_err(|error| ArchiveError::Name { path: level.path.clone(), fault: error.to_string() })?;
            if self.ignored.has(path.as_bytes()) {
                continue;
            }
            let (dir, within) = (level.dir.clone(), level.path.clone());
            let stat =
                self.disk().stat(At::new(&dir, &name)).map_err(ArchiveError::disk("look at", &path))?;
            let stat = stat.ok_or(ArchiveError::Changed { path: within })?;
            return self.found(path, Here { dir, name, stat }).map(Some);
        }
        let Some(path) = self.roots.next() else { return Ok(None) };
        let Some((dir, name)) = locate(self.tree, &path)? else {
            return Ok(Some(Found { path, here: None }));
        };
        match self.disk().stat(At::new(&dir, &name)).map_err(ArchiveError::disk("look at", &path))? {
            None => Ok(Some(Found { path, here: None })),
            Some(stat) => self.found(path, Here { dir, name, stat }).map(Some),
        }
    }

    fn found(&mut self, path: EntryPath, mut here: Here) -> Result<Found, ArchiveError> {
        if here.stat.kind == Kind::Directory {
            self.enter(&path, &mut here)?;
        }
        Ok(Found { path, here: Some(here) })
    }

    /// Lists a directory; once more where it changed meanwhile.
    fn enter(&mut self, path: &EntryPath, here: &mut Here) -> Result<(), ArchiveError> {
        for _ in 0..2 {
            let dir =
                self.disk().open_dir(&here.dir, &here.name).map_err(ArchiveError::disk("enter", path))?;
            let mut names = self.disk().list(&dir).map_err(ArchiveError::disk("list", path))?;
            let after = self.disk().stat(here.at()).map_err(ArchiveError::disk("look at", path))?;
            let after = after.ok_or_else(|| ArchiveError::Changed { path: path.clone() })?;
            if same(&here.stat, &after) {
                if *path == EntryPath::root() {
                    names.retain(|name| !name.as_bytes().eq_ignore_ascii_case(RESERVED.as_bytes()));
                }
                names.sort_unstable();
                self.open.push(Level { path: path.clone(), dir, names: names.into_iter() });
                return Ok(());
            }
            here.stat = after;
        }
        Err(ArchiveError::Changed { path: path.clone() })
    }
}

/// The directory that holds an entry, open, and the entry's name in it. `None` where that directory is
/// not there. The root is in itself, under the empty name.
pub(crate) fn locate(tree: &Tree, path: &EntryPath) -> Result<Option<(Dir, OsString)>, ArchiveError> {
    let parent = path.parent().unwrap_or_else(EntryPath::root);
    match tree.disk().open_dir(tree.root(), std::ffi::OsStr::from_bytes(parent.as_bytes())) {
        Ok(dir) => Ok(Some((dir, path.name().to_owned()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(ArchiveError::disk("enter, by directories of one mount and no symlink,", &parent)(error))
        }
    }
}
