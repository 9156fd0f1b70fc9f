//! Putting a snapshot back.

use std::collections::{BTreeMap, HashMap, HashSet};

use tmp_core::{
    Mode,
    module::{Attributes, Kind},
    path::RESERVED,
};
use tmp_disk::{
    At, Dir, Disk, DiskError, Identity, Rename, Stat, Tree, digest_of, remove_tree, set_attributes,
    write_all_at,
};

use crate::{
    Archive, ArchiveError, Entry, EntryPath, FileEntry, Ignored, Objects, Snapshot, SnapshotId,
    parents::Parents,
    reading::{holes, runs},
    walk::{locate, roots},
};

/// Which part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it.
    All,
    /// These paths, each with everything below it.
    Paths(Vec<EntryPath>),
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Entries that are now as they were archived.
    pub entries: u64,
    /// Files that had to be written for it.
    pub written: u64,
    /// Bytes of these files.
    pub bytes: u64,
}

impl Archive {
    /// Makes the selected paths of a tree what the snapshot says, in an empty root or over what stands
    /// there: what is right is kept, what was absent is removed, and so is what an archived directory
    /// did not hold. Missing parents are made, as archived where they are, else with mode 0755. The
    /// root-level work directory `.tmp-work` is never touched. Hard links are made among the selected
    /// names. Durable on return. `progress` is told entries and bytes so far.
    ///
    /// With a `staging` directory, on the tree's own mount and outside of what is restored, a file or
    /// symlink that replaces another is made there as `tmp-archive-restore` and renamed into place;
    /// without, the other is removed first.
    ///
    /// # Errors
    /// There is no such snapshot, it does not cover a path or is damaged, or the tree cannot be
    /// changed. Part of the selection may have been restored; restoring again mends that.
    pub fn restore(
        &self,
        id: &SnapshotId,
        selection: &Selection,
        to: &Tree,
        staging: Option<&Dir>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Restored, ArchiveError> {
        let snapshot = self.read(id)?;
        let selected = match selection {
            Selection::All => snapshot.info.roots.clone(),
            Selection::Paths(paths) => roots(paths.iter().cloned()),
        };
        if let Some(path) = selected.iter().find(|path| !snapshot.info.covers(path)) {
            return Err(ArchiveError::NotCovered { id: *id, path: path.clone() });
        }
        let mut restore = Restore {
            disk: &**to.disk(),
            tree: to,
            staging,
            snapshot: &snapshot,
            objects: self.objects(&snapshot.info)?,
            parents: Parents::new(to),
            kept: HashSet::new(),
            groups: HashMap::new(),
            directories: BTreeMap::new(),
            restored: Restored::default(),
            ignored: Ignored::new(snapshot.info.ignored.iter().cloned())?,
        };
        for (path, entry) in &snapshot.entries {
            if let Entry::File(FileEntry { link_group: Some(group), .. }) = entry
                && selected.iter().any(|root| path.is_within(root))
            {
                restore.groups.entry(*group).or_default().push(path);
            }
        }
        for root in &selected {
            restore.root(root, progress)?;
        }
        restore.finish()
    }
}

struct Restore<'a> {
    disk: &'a dyn Disk,
    tree: &'a Tree,
    staging: Option<&'a Dir>,
    snapshot: &'a Snapshot,
    objects: Objects<'a>,
    parents: Parents<'a>,
    /// Files that were left where they are.
    kept: HashSet<Identity>,
    /// The selected names of each hard-link group.
    groups: HashMap<u64, Vec<&'a EntryPath>>,
    /// Directories, whose attributes are set last.
    directories: BTreeMap<EntryPath, &'a Attributes>,
    restored: Restored,
    /// What is left alone.
    ignored: Ignored,
}

impl<'a> Restore<'a> {
    fn root(&mut self, root: &EntryPath, progress: &mut dyn FnMut(u64, u64)) -> Result<(), ArchiveError> {
        let snapshot = self.snapshot;
        if matches!(snapshot.entry(root), None | Some(Entry::Absent)) {
            if let Some((dir, name)) = locate(self.tree, root)? {
                remove_tree(self.disk, At::new(&dir, &name))?;
            }
            self.restored.entries += 1;
        } else {
            for path in self.parents.make(root)? {
                if let Some(Entry::Directory { attributes }) = snapshot.entries.get(&path) {
                    self.directories.insert(path, attributes);
                }
            }
            let below = snapshot.entries.range(root.clone()..);
            for (path, entry) in below.take_while(|(path, _)| path.is_within(root)) {
                self.entry(path, entry)?;
                self.restored.entries += 1;
                progress(self.restored.entries, self.restored.bytes);
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &EntryPath, entry: &'a Entry) -> Result<(), ArchiveError> {
        let dir = self.parents.of(path)?;
        let at = At::new(&dir, path.name());
        let found = self.disk.stat(at).map_err(ArchiveError::disk("look at", path))?;
        match entry {
            Entry::Absent => Ok(()),
            Entry::Directory { attributes } => {
                self.directories.insert(path.clone(), attributes);
                self.directory(path, at, found)
            }
            Entry::Symlink { target, attributes } => self.symlink(path, at, found, target, attributes),
            Entry::File(file) => {
                let first = file.link_group.and_then(|group| self.groups.get(&group)?.first().copied());
                match first {
                    Some(first) if first != path => self.link(first, path, at, found),
                    _ => self.file(path, at, found, file),
                }
            }
        }
    }

    fn directory(&mut self, path: &EntryPath, at: At<'_>, found: Option<Stat>) -> Result<(), ArchiveError> {
        match found {
            Some(stat) if stat.kind == Kind::Directory => {
                if stat.mode.bits() & 0o700 != 0o700 {
                    self.disk.set_mode(at, PRIVATE).map_err(ArchiveError::disk("open up", path))?;
                }
                self.remove_others(path, at)
            }
            found => {
                if found.is_some() {
                    self.disk.remove_file(at).map_err(ArchiveError::disk("remove", path))?;
                }
                self.disk.create_dir(at, PRIVATE).map_err(ArchiveError::disk("create", path))
            }
        }
    }

    /// Removes what the archived directory did not hold.
    fn remove_others(&self, path: &EntryPath, at: At<'_>) -> Result<(), ArchiveError> {
        let dir = self.disk.open_dir(at.dir, at.name).map_err(ArchiveError::disk("enter", path))?;
        for name in self.disk.list(&dir).map_err(ArchiveError::disk("list", path))? {
            let work = *path == EntryPath::root() && name.eq_ignore_ascii_case(RESERVED);
            let inner = path
                .join(&name)
                .map_err(|error| ArchiveError::Name { path: path.clone(), fault: error.to_string() })?;
            if !work && !self.snapshot.entries.contains_key(&inner) {
                self.clear(&inner, At::new(&dir, &name))?;
            }
        }
        Ok(())
    }

    /// Removes what stands at a place, but for what is ignored and the directories that hold it.
    fn clear(&self, path: &EntryPath, at: At<'_>) -> Result<(), ArchiveError> {
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

    fn symlink(
        &mut self,
        path: &EntryPath,
        at: At<'_>,
        found: Option<Stat>,
        target: &[u8],
        attributes: &Attributes,
    ) -> Result<(), ArchiveError> {
        let right = found.is_some_and(|stat| stat.kind == Kind::Symlink && stat.links == 1)
            && self.disk.read_link(at).map_err(DiskError::at("read the link", at.name))? == target;
        if right {
            return Ok(set_attributes(self.disk, at, Kind::Symlink, attributes)?);
        }
        self.place(path, at, found, &mut |disk, at| {
            disk.create_symlink(at, target).map_err(DiskError::at("create", at.name))?;
            Ok(set_attributes(disk, at, Kind::Symlink, attributes)?)
        })
    }

    fn file(
        &mut self,
        path: &EntryPath,
        at: At<'_>,
        found: Option<Stat>,
        file: &FileEntry,
    ) -> Result<(), ArchiveError> {
        if let Some(stat) = found
            && self.is_right(path, at, &stat, file)?
        {
            self.kept.insert(stat.identity);
            return Ok(set_attributes(self.disk, at, Kind::File, &file.attributes)?);
        }
        let objects = &self.objects;
        self.place(path, at, found, &mut |disk, at| {
            write(disk, at, path, file, objects)?;
            Ok(set_attributes(disk, at, Kind::File, &file.attributes)?)
        })?;
        self.restored.written += 1;
        self.restored.bytes += file.content.size;
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
        let alike =
            stat.kind == Kind::File && stat.size == file.content.size && !self.kept.contains(&stat.identity);
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
        &mut self,
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
        let (Some(stat), Some(staging)) = (found, self.staging) else {
            self.clear(path, at)?;
            return make(self.disk, at);
        };
        let beside = At::new(staging, STAGED);
        remove_tree(self.disk, beside)?;
        make(self.disk, beside)?;
        if stat.kind == Kind::Directory {
            self.clear(path, at)?;
        }
        self.disk.rename(beside, at, Rename::Replace).map_err(DiskError::at("put in place", at.name))?;
        Ok(())
    }

    /// Sets the attributes of directories, innermost first, and makes everything durable.
    fn finish(self) -> Result<Restored, ArchiveError> {
        for (path, attributes) in self.directories.iter().rev() {
            let place = locate(self.tree, path)?;
            let (dir, name) = place.ok_or_else(|| ArchiveError::Changed { path: path.clone() })?;
            set_attributes(self.disk, At::new(&dir, &name), Kind::Directory, attributes)?;
        }
        self.disk
            .sync_all(self.tree.root())
            .map_err(ArchiveError::disk("make durable", &EntryPath::root()))?;
        Ok(self.restored)
    }
}

/// The mode of what is not finished.
const PRIVATE: Mode = Mode::from_bits(0o700);

/// The name in the staging directory of what is about to be put in place.
const STAGED: &str = "tmp-archive-restore";

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
    disk.set_len(&open, file.content.size).map_err(ArchiveError::disk("set the length of", path))
}
