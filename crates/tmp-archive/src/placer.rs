//! Putting one file, symlink or further name of a file in its place.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tmp_core::module::{Attributes, Kind};
use tmp_disk::{
    At, Dir, Disk, DiskError, Identity, Rename, Stat, Tree, digest_of, remove_tree, set_attributes,
    write_all_at,
};

use crate::{
    ArchiveError, Entry, EntryPath, FileEntry, Ignored, Objects,
    parents::Parents,
    reading::{holes, runs},
    restore::PRIVATE,
    trusted::Trusted,
    walk::locate,
};

/// How the names in the staging directory begin of what is about to be put in place.
const STAGED: &str = "tmp-archive-restore";

/// Puts what is no directory in its place; threads share it.
pub(crate) struct Placer<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) tree: &'a Tree,
    staging: Option<&'a Dir>,
    objects: Objects<'a>,
    /// Files that were left where they are.
    kept: Mutex<HashSet<Identity>>,
    /// The selected names of each hard-link group.
    groups: HashMap<u64, Vec<&'a EntryPath>>,
    /// What is left alone.
    ignored: Ignored,
    trusted: Trusted<'a>,
    staged: AtomicU64,
    /// Files that were written.
    pub(crate) written: AtomicU64,
    /// Their bytes.
    pub(crate) bytes: AtomicU64,
}

impl<'a> Placer<'a> {
    pub(crate) fn new(
        tree: &'a Tree,
        staging: Option<&'a Dir>,
        objects: Objects<'a>,
        groups: HashMap<u64, Vec<&'a EntryPath>>,
        ignored: Ignored,
        trusted: Trusted<'a>,
    ) -> Self {
        Self {
            disk: &**tree.disk(),
            tree,
            staging,
            objects,
            kept: Mutex::default(),
            groups,
            ignored,
            trusted,
            staged: AtomicU64::new(0),
            written: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashSet<Identity>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what stands at a path, and below it, is none of ours.
    pub(crate) fn leaves_alone(&self, path: &EntryPath) -> bool {
        self.ignored.has(path.as_bytes())
    }

    /// The name of the same file that comes first, where that is another.
    pub(crate) fn first_name(&self, path: &EntryPath, entry: &Entry) -> Option<&'a EntryPath> {
        let Entry::File(FileEntry { link_group: Some(group), .. }) = entry else { return None };
        self.groups.get(group)?.first().copied().filter(|first| *first != path)
    }

    /// Puts an entry that is no directory in its place. Into a `fresh` directory, which was made for it, without
    /// looking for what stands there.
    pub(crate) fn put(
        &self,
        path: &EntryPath,
        entry: &Entry,
        fresh: bool,
        parents: &mut Parents<'_>,
    ) -> Result<(), ArchiveError> {
        let dir = parents.of(path)?;
        let at = At::new(&dir, path.name());
        let found =
            if fresh { None } else { self.disk.stat(at).map_err(ArchiveError::disk("look at", path))? };
        if let Some(stat) = found
            && self.trusted.vouches(path, &stat)
            && self.kept().insert(stat.identity)
        {
            return Ok(());
        }
        match entry {
            Entry::Absent | Entry::Directory { .. } => Ok(()),
            Entry::Symlink { target, attributes } => self.symlink(path, at, found, target, attributes),
            Entry::File(file) => match self.first_name(path, entry) {
                Some(first) => self.link(first, path, at, found),
                None => self.file(path, at, found, file),
            },
        }
    }

    fn symlink(
        &self,
        path: &EntryPath,
        at: At<'_>,
        found: Option<Stat>,
        target: &[u8],
        attributes: &Attributes,
    ) -> Result<(), ArchiveError> {
        let right = found.is_some_and(|stat| stat.kind == Kind::Symlink && stat.links == 1)
            && self.disk.read_link(at).map_err(DiskError::at("read the link", at.name))? == target;
        if right {
            return settle(self.disk, at, Kind::Symlink, attributes);
        }
        self.place(path, at, found, &mut |disk, at| {
            disk.create_symlink(at, target).map_err(DiskError::at("create", at.name))?;
            Ok(set_attributes(disk, at, Kind::Symlink, attributes)?)
        })
    }

    fn file(
        &self,
        path: &EntryPath,
        at: At<'_>,
        found: Option<Stat>,
        file: &FileEntry,
    ) -> Result<(), ArchiveError> {
        if let Some(stat) = found
            && self.is_right(path, at, &stat, file)?
            && self.kept().insert(stat.identity)
        {
            return settle(self.disk, at, Kind::File, &file.attributes);
        }
        let objects = &self.objects;
        self.place(path, at, found, &mut |disk, at| write(disk, at, path, file, objects))?;
        self.written.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(file.content.size, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a file has the archived bytes already and is not one file with another that was kept.
    fn is_right(
        &self,
        path: &EntryPath,
        at: At<'_>,
        stat: &Stat,
        file: &FileEntry,
    ) -> Result<bool, ArchiveError> {
        let alike = stat.kind == Kind::File
            && stat.size == file.content.size
            && !self.kept().contains(&stat.identity);
        if !alike || !self.has_right_links(path, stat, file)? {
            return Ok(false);
        }
        let read = || {
            let open = self.disk.open_file(at)?;
            let holes = holes(self.disk.extents(&open, stat.size)?, stat.size);
            Ok(holes.is_some() == file.extents.is_some()
                && digest_of(self.disk, &open)?.0 == file.content.digest)
        };
        read().map_err(ArchiveError::disk("read", path))
    }

    /// Whether a file has as many names outside of the selection as it had.
    fn has_right_links(&self, path: &EntryPath, stat: &Stat, file: &FileEntry) -> Result<bool, ArchiveError> {
        let itself = [path];
        let group = file.link_group.and_then(|group| self.groups.get(&group));
        let names = group.map_or(&itself[..], Vec::as_slice);
        let mut here = 0;
        for name in names {
            let Some((dir, last)) = locate(self.tree, name)? else { continue };
            let found = self.disk.stat(At::new(&dir, &last)).map_err(ArchiveError::disk("look at", name))?;
            here += u64::from(found.is_some_and(|found| found.identity == stat.identity));
        }
        Ok(stat.links.checked_sub(here) == file.links.checked_sub(names.len() as u64))
    }

    /// Makes another name of a file that was restored before.
    fn link(
        &self,
        first: &EntryPath,
        path: &EntryPath,
        at: At<'_>,
        found: Option<Stat>,
    ) -> Result<(), ArchiveError> {
        let missing = || ArchiveError::Changed { path: first.clone() };
        let (dir, name) = locate(self.tree, first)?.ok_or_else(missing)?;
        let from = At::new(&dir, &name);
        let stat = self.disk.stat(from).map_err(ArchiveError::disk("look at", first))?;
        let stat = stat.ok_or_else(missing)?;
        if found.is_some_and(|found| found.identity == stat.identity) {
            return Ok(());
        }
        self.place(path, at, found, &mut |disk, at| {
            disk.create_link(from, at).map_err(DiskError::at("link", at.name))?;
            Ok(())
        })
    }

    /// Makes something at a place, beside it first where something else stands there.
    fn place(
        &self,
        path: &EntryPath,
        at: At<'_>,
        found: Option<Stat>,
        make: &mut dyn FnMut(&dyn Disk, At<'_>) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let Some(stat) = found else { return make(self.disk, at) };
        let Some(staging) = self.staging else {
            self.clear(path, at)?;
            return make(self.disk, at);
        };
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let name = format!("{STAGED}-{number}");
        let beside = At::new(staging, name.as_str());
        remove_tree(self.disk, beside)?;
        make(self.disk, beside)?;
        if stat.kind == Kind::Directory {
            self.clear(path, at)?;
        }
        self.disk.rename(beside, at, Rename::Replace).map_err(DiskError::at("put in place", at.name))?;
        Ok(())
    }

    /// Removes what stands at a place, but for what is ignored and the directories that hold it.
    pub(crate) fn clear(&self, path: &EntryPath, at: At<'_>) -> Result<(), ArchiveError> {
        if self.ignored.is_empty() {
            return Ok(remove_tree(self.disk, at)?);
        }
        if self.ignored.has(path.as_bytes()) {
            return Ok(());
        }
        let found = self.disk.stat(at).map_err(ArchiveError::disk("look at", path))?;
        match found.map(|stat| stat.kind) {
            None => Ok(()),
            Some(Kind::Directory) => {
                let dir = self.disk.open_dir(at.dir, at.name).map_err(ArchiveError::disk("enter", path))?;
                for name in self.disk.list(&dir).map_err(ArchiveError::disk("list", path))? {
                    let inner = path.join(&name).map_err(|error| ArchiveError::Name {
                        path: path.clone(),
                        fault: error.to_string(),
                    })?;
                    self.clear(&inner, At::new(&dir, &name))?;
                }
                if self.disk.list(&dir).map_err(ArchiveError::disk("list", path))?.is_empty() {
                    self.disk.remove_dir(at).map_err(ArchiveError::disk("remove", path))?;
                }
                Ok(())
            }
            Some(_) => self.disk.remove_file(at).map_err(ArchiveError::disk("remove", path)),
        }
    }
}

/// Makes the attributes of what stands at a place these, where they are not. What is right is not set again:
/// that would change its change time, and the next archive would read it.
pub(crate) fn settle(
    disk: &dyn Disk,
    at: At<'_>,
    kind: Kind,
    wanted: &Attributes,
) -> Result<(), ArchiveError> {
    let right = || {
        let Some(stat) = disk.stat(at)? else { return Ok(false) };
        let same = (kind == Kind::Symlink || stat.mode == wanted.mode)
            && (stat.uid, stat.gid, stat.mtime) == (wanted.uid, wanted.gid, wanted.mtime);
        Ok::<_, std::io::Error>(same && (kind == Kind::Symlink || disk.xattrs(at)? == wanted.xattrs))
    };
    if right().map_err(DiskError::at("look at", at.name))? {
        return Ok(());
    }
    Ok(set_attributes(disk, at, kind, wanted)?)
}

/// Makes a file with content and attributes where nothing stands.
fn write(
    disk: &dyn Disk,
    at: At<'_>,
    path: &EntryPath,
    file: &FileEntry,
    objects: &Objects<'_>,
) -> Result<(), ArchiveError> {
    let open = disk.create_file(at, PRIVATE).map_err(ArchiveError::disk("create", path))?;
    objects.each_piece(&file.content, &mut |offset, length, bytes| {
        let Some(bytes) = bytes else { return Ok(()) };
        for (begin, run) in runs(file.extents.as_deref(), offset, length) {
            let run = bytes.get(run).unwrap_or_default();
            write_all_at(disk, &open, begin, run).map_err(ArchiveError::disk("write", path))?;
        }
        Ok(())
    })?;
    if file.extents.is_some() {
        disk.set_len(&open, file.content.size).map_err(ArchiveError::disk("set the length of", path))?;
    }
    let inode = open.itself();
    set_attributes(disk, At::itself(&inode), Kind::File, &file.attributes).map_err(|error| {
        let DiskError { doing, source, .. } = error;
        ArchiveError::disk(doing, path)(source)
    })
}
