//! A copy of a tree with everything that a migration could see of it.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use tmp_core::{
    Mode,
    module::{Attributes, Kind},
};
use tmp_disk::{At, Dir, Disk, DiskError, Identity, OpenFile, Stat, set_attributes, write_all_at};

use super::{RehearsalError, unless_stopped};

/// How much of a file is in memory at a time.
const BUFFER: usize = 256 * 1024;

/// What is left out of a copy.
pub(super) trait Leave {
    /// Whether what stands at this path below the root, with everything below it, is left out.
    fn leaves(&self, path: &Path) -> bool;
}

/// Copies one tree. Content is shared where the file system can, hard links within the tree stay links, and
/// modes, owners, times, extended attributes and holes are those of the original.
pub(super) struct Copying<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) leave: &'a dyn Leave,
    pub(super) stop: &'a AtomicBool,
    to: &'a Dir,
    first: HashMap<Identity, PathBuf>,
    /// What could not be copied as it is.
    pub(super) notes: Vec<String>,
    strange_owners: u64,
}

/// A directory whose content is being copied.
struct Level {
    from: Dir,
    to: Dir,
    path: PathBuf,
    names: std::vec::IntoIter<OsString>,
    attributes: Attributes,
}

impl<'a> Copying<'a> {
    pub(super) fn new(disk: &'a dyn Disk, to: &'a Dir, leave: &'a dyn Leave, stop: &'a AtomicBool) -> Self {
        Self { disk, leave, stop, to, first: HashMap::new(), notes: Vec::new(), strange_owners: 0 }
    }

    /// Copies everything in `from` into the empty directory this was made with, and its own attributes. Reads
    /// `from` alone. Nothing is synced.
    ///
    /// # Errors
    /// Something cannot be read or made, or it was asked to stop. What was copied stays.
    pub(super) fn run(&mut self, from: &Dir) -> Result<(), RehearsalError> {
        let fault = |source| DiskError::at("look at", "the root")(source);
        let stat = self.disk.stat(At::itself(from)).map_err(fault)?.ok_or_else(|| fault(absent()))?;
        let mut open = vec![self.level((from, self.to), PathBuf::new(), At::itself(from), &stat)?];
        while let Some(level) = open.last_mut() {
            unless_stopped(self.stop)?;
            let Some(name) = level.names.next() else {
                let Some(done) = open.pop() else { break };
                self.attributes(At::itself(&done.to), Kind::Directory, done.attributes, &done.path)?;
                continue;
            };
            let path = level.path.join(&name);
            if self.leave.leaves(&path) {
                continue;
            }
            let (from, to) = (level.from.clone(), level.to.clone());
            if let Some(below) = self.one(&from, &to, &name, &path, stat.mount)? {
                open.push(below);
            }
        }
        if self.strange_owners > 0 {
            self.notes.push(format!(
                "{} of the clone belong to who rehearses, because only root may give things away",
                self.strange_owners
            ));
        }
        Ok(())
    }

    fn level(
        &self,
        (from, to): (&Dir, &Dir),
        path: PathBuf,
        at: At<'_>,
        stat: &Stat,
    ) -> Result<Level, DiskError> {
        let mut names = self.disk.list(from).map_err(DiskError::at("list", &path))?;
        names.sort_unstable();
        let attributes = self.read_attributes(at, stat, &path)?;
        Ok(Level { from: from.clone(), to: to.clone(), path, names: names.into_iter(), attributes })
    }

    /// Copies one name. Answers the directory that it is, whose content and attributes come later.
    fn one(
        &mut self,
        from: &Dir,
        to: &Dir,
        name: &OsStr,
        path: &Path,
        mount: u64,
    ) -> Result<Option<Level>, DiskError> {
        let (source, target) = (At::new(from, name), At::new(to, name));
        let Some(stat) = self.disk.stat(source).map_err(DiskError::at("look at", path))? else {
            return Ok(None);
        };
        match stat.kind {
            Kind::Directory => {
                self.disk.create_dir(target, Mode::from_bits(0o700)).map_err(DiskError::at("copy", path))?;
                if stat.mount != mount {
                    self.notes.push(format!("{} is another mount and empty in the clone", path.display()));
                    return Ok(None);
                }
                let inner = match self.disk.open_dir(from, name) {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        self.notes
                            .push(format!("{} may not be read and is empty in the clone", path.display()));
                        return Ok(None);
                    }
                    opened => opened.map_err(DiskError::at("enter", path))?,
                };
                let made = self.disk.open_dir(to, name).map_err(DiskError::at("copy", path))?;
                return self.level((&inner, &made), path.to_owned(), source, &stat).map(Some);
            }
            Kind::Symlink => {
                let text = self.disk.read_link(source).map_err(DiskError::at("read the link", path))?;
                self.disk.create_symlink(target, &text).map_err(DiskError::at("copy", path))?;
            }
            Kind::File => {
                if let Some(first) = self.first.get(&stat.identity) {
                    self.link(first, target).map_err(DiskError::at("link", path))?;
                    return Ok(None);
                }
                match self.disk.open_file(source) {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        self.notes
                            .push(format!("{} may not be read and is not in the clone", path.display()));
                        return Ok(None);
                    }
                    opened => {
                        let open = opened.map_err(DiskError::at("open", path))?;
                        self.content(&open, target, stat.size).map_err(DiskError::at("copy", path))?;
                    }
                }
                if stat.links > 1 {
                    self.first.insert(stat.identity, path.to_owned());
                }
                let after = self.disk.stat(source).map_err(DiskError::at("look again at", path))?;
                if after.is_none_or(|after| (after.identity, after.ctime) != (stat.identity, stat.ctime)) {
                    self.notes.push(format!("{} was written to while it was cloned", path.display()));
                }
            }
            Kind::Special | Kind::Absent => {
                self.notes.push(format!("{} is no module and not in the clone", path.display()));
                return Ok(None);
            }
        }
        let attributes = self.read_attributes(source, &stat, path)?;
        self.attributes(target, stat.kind, attributes, path)?;
        Ok(None)
    }

    fn link(&self, first: &Path, target: At<'_>) -> io::Result<()> {
        let (Some(parent), Some(name)) = (first.parent(), first.file_name()) else { return Err(absent()) };
        let dir = self.disk.open_dir(self.to, parent.as_os_str())?;
        self.disk.create_link(At::new(&dir, name), target)
    }

    /// Shares the content, or copies the runs that are not holes.
    fn content(&self, from: &OpenFile, target: At<'_>, size: u64) -> io::Result<()> {
        let file = self.disk.create_file(target, Mode::from_bits(0o600))?;
        if self.disk.clone_file(from, &file)? {
            return Ok(());
        }
        let mut buffer = vec![0; BUFFER];
        for extent in self.disk.extents(from, size)? {
            let (mut offset, end) = (extent.offset, extent.offset.saturating_add(extent.length));
            while offset < end {
                let most = usize::try_from(end - offset).unwrap_or(BUFFER).min(BUFFER);
                let read = self.disk.read_at(from, offset, buffer.get_mut(..most).unwrap_or_default())?;
                if read == 0 {
                    break;
                }
                write_all_at(self.disk, &file, offset, buffer.get(..read).unwrap_or_default())?;
                offset += read as u64;
            }
        }
        self.disk.set_len(&file, size)
    }

    fn read_attributes(&self, at: At<'_>, stat: &Stat, path: &Path) -> Result<Attributes, DiskError> {
        let xattrs = self.disk.xattrs(at).map_err(DiskError::at("read the extended attributes of", path))?;
        Ok(Attributes { mode: stat.mode, uid: stat.uid, gid: stat.gid, mtime: stat.mtime, xattrs })
    }

    /// Gives the copy its attributes; with an owner that this process may not give, its own.
    fn attributes(
        &mut self,
        at: At<'_>,
        kind: Kind,
        attributes: Attributes,
        path: &Path,
    ) -> Result<(), DiskError> {
        match set_attributes(self.disk, at, kind, &attributes) {
            Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {}
            set => return set,
        }
        let stat = self.disk.stat(at).map_err(DiskError::at("look at", path))?;
        let stat = stat.ok_or_else(absent).map_err(DiskError::at("look at", path))?;
        self.strange_owners += 1;
        set_attributes(self.disk, at, kind, &Attributes { uid: stat.uid, gid: stat.gid, ..attributes })
    }
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests build their own trees")]

    use std::{
        fs,
        os::unix::fs::{FileExt as _, PermissionsExt as _, symlink},
    };

    use proptest::prelude::*;
    use tmp_disk::RealDisk;
    use tmp_testkit::{trees, walk};

    use super::*;

    struct Named(&'static [&'static str]);

    impl Leave for Named {
        fn leaves(&self, path: &Path) -> bool {
            self.0.iter().any(|name| path == Path::new(name))
        }
    }

    /// Copies `from` into a new directory and answers what was noted.
    fn copied(from: &Path, to: &Path, leave: &[&'static str]) -> Vec<String> {
        fs::create_dir(to).unwrap();
        let (disk, leave) = (RealDisk, Named(Vec::leak(leave.to_vec())));
        let (source, target) = (disk.open_root(from).unwrap(), disk.open_root(to).unwrap());
        let stop = AtomicBool::new(false);
        let mut copying = Copying::new(&disk, &target, &leave, &stop);
        copying.run(&source).unwrap();
        copying.notes
    }

    fn differences(from: &Path, to: &Path) -> Vec<String> {
        walk::diff(&walk::fingerprint(from).unwrap(), &walk::fingerprint(to).unwrap())
    }

    #[test]
    fn everything_of_a_tree_is_in_its_copy() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/one"), "one").unwrap();
        fs::hard_link(from.join("a/one"), from.join("a/b/other")).unwrap();
        symlink("../nowhere", from.join("a/link")).unwrap();
        let sparse = fs::File::create(from.join("sparse")).unwrap();
        sparse.write_all_at(b"end", 3 << 20).unwrap();
        sparse.set_len(5 << 20).unwrap();
        fs::set_permissions(from.join("a/one"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::set_permissions(from.join("a/b"), fs::Permissions::from_mode(0o1777)).unwrap();
        walk::set_xattr(&from.join("sparse"), b"user.note", b"kept").unwrap();
        walk::set_xattr(&from.join("a"), b"user.note", b"kept too").unwrap();
        let to = dir.path().join("to");
        assert_eq!(copied(&from, &to, &[]), Vec::<String>::new());
        assert_eq!(differences(&from, &to), Vec::<String>::new());
    }

    #[test]
    fn what_is_left_out_is_not_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("var/deep")).unwrap();
        fs::write(from.join("kept"), "").unwrap();
        copied(&from, &dir.path().join("to"), &["var"]);
        let names: Vec<_> =
            fs::read_dir(dir.path().join("to")).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["kept"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_tree_is_copied(model in trees::tree(24)) {
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("from"), dir.path().join("to"));
            fs::create_dir(&from).unwrap();
            trees::build(&model, &from).unwrap();
            copied(&from, &to, &[]);
            prop_assert_eq!(differences(&from, &to), Vec::<String>::new());
        }
    }
}
