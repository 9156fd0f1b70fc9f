//! Builds the next tree in the work directory: the whole tree as it will be, to be exchanged with the one at
//! the root by one rename.
//!
//! Directories are made anew with all their attributes. What does not change gets a second name; where it
//! cannot, and where its mode changes or a batch step may write it, it is copied, so that the old tree
//! keeps its own. What was staged is moved in, what is removed is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use globset::GlobSet;
use tmp_core::{
    Mode,
    event::Work,
    module::{Kind, Timestamp},
    plan::{Action, Operation},
};
use tmp_disk::{
    At, Dir, Disk, DiskError, Identity, OpenFile, Rename, Stat, attributes_of, copy_new, set_attributes,
};

use super::{
    error::Trouble,
    run::Run,
    sight::{self, Key, Sight},
    site::TREE,
    stage::{HANDLES, STAGED},
};
use crate::planner::globs;

/// The mode of a directory while it is filled.
const FILLED: Mode = Mode::from_bits(0o700);

/// The next tree, not yet durable.
pub(super) struct Next {
    /// What was seen of the old tree once the next one was built from it.
    pub(super) sight: Sight,
    pub(super) files: Vec<OpenFile>,
    pub(super) dirs: Vec<Dir>,
    /// Whether a symlink was copied.
    pub(super) symlink: bool,
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl Run<'_, '_> {
    /// Builds the next tree in `slots`, where everything that changes is staged. What somebody changed in
    /// the meantime is noticed: `archived` is what was seen before the archive was made.
    pub(super) fn next_tree(&mut self, slots: &Dir, archived: &Sight) -> Result<Next, Trouble> {
        let disk = self.site.disk();
        let old = self.tree.root().clone();
        let before = sight::whole(disk, &old)?;
        if let Some(path) = sight::changed(archived, &sight::sight(&self.tree, self.plan)?) {
            return Err(changed(&path));
        }
        let total = before.len() as u64;
        let mut told = 0;
        let mut tell = |done: u64, bytes: u64| {
            if done >= told + 1000 {
                told = done;
                self.party.observer.progress(&tmp_core::event::Progress {
                    work: Work::Stage,
                    done,
                    total,
                    bytes,
                });
            }
        };
        let mut builder = Builder::new(self.plan, disk, slots, &before, self.site.clock().now())?;
        let fault = DiskError::at("stage", "the next tree");
        let made = disk.create_dir(At::new(slots, TREE), FILLED);
        let new = made.and_then(|()| disk.open_dir(slots, OsStr::new(TREE))).map_err(fault)?;
        builder.directory(&old, &new, &Key::default(), &mut tell)?;
        builder.complete()?;
        let sight = sight::whole(disk, &old)?;
        if let Some(path) = sight::moved(&before, &sight, &builder.linked) {
            return Err(changed(&path));
        }
        let Builder { files, dirs, symlink, count, bytes, .. } = builder;
        Ok(Next { sight, files, dirs, symlink, count, bytes })
    }
}

fn changed(path: &str) -> Trouble {
    Trouble::TurnBack(format!("{path} was changed by somebody else while the next tree was staged"))
}

struct Builder<'a> {
    disk: &'a dyn Disk,
    slots: &'a Dir,
    /// What changes, with its slot, by the directory it stands in.
    changes: BTreeMap<Key, BTreeMap<OsString, (usize, &'a Operation)>>,
    /// Operations that have not been met yet.
    left: BTreeSet<usize>,
    /// Files that get an inode of their own.
    own: BTreeSet<Identity>,
    ignore: GlobSet,
    now: Timestamp,
    /// Inodes that got a second name.
    linked: BTreeSet<Identity>,
    /// The first name of each copy, for the other names of its file.
    copied: BTreeMap<Identity, Key>,
    files: Vec<OpenFile>,
    dirs: Vec<Dir>,
    symlink: bool,
    count: u64,
    bytes: u64,
}

/// An entry of the old tree, and where it is in the next.
struct Entry<'a> {
    from: At<'a>,
    to: At<'a>,
    stat: Stat,
    key: &'a Key,
}

impl<'a> Builder<'a> {
    fn new(
        plan: &'a tmp_core::plan::Plan,
        disk: &'a dyn Disk,
        slots: &'a Dir,
        before: &Sight,
        now: time::OffsetDateTime,
    ) -> Result<Self, Trouble> {
        let glob = |patterns: &[String]| globs(patterns).map_err(|fault| Trouble::TurnBack(fault.message));
        let writes: Vec<String> =
            plan.enhancement.batch.iter().flat_map(|step| step.writes.clone()).collect();
        let writes = glob(&writes)?;
        let mut own: BTreeSet<Identity> =
            plan.also_archived.iter().filter_map(|path| sight::identity(before, path)).collect();
        let written = before.iter().filter(|(key, _)| writes.is_match(sight::shown(key)));
        own.extend(written.map(|(_, glance)| glance.identity));
        let mut changes: BTreeMap<Key, BTreeMap<OsString, (usize, &Operation)>> = BTreeMap::new();
        for (slot, operation) in plan.operations.iter().enumerate() {
            if matches!(operation.action, Action::SetMode { .. }) {
                own.extend(sight::identity(before, &operation.path));
            }
            let parent = operation.path.parent().map(|parent| Key::from(&parent)).unwrap_or_default();
            changes.entry(parent).or_default().insert(operation.path.name().into(), (slot, operation));
        }
        Ok(Self {
            disk,
            slots,
            left: (0..plan.operations.len()).collect(),
            changes,
            own,
            ignore: glob(&plan.target.ignore)?,
            now: (now.unix_timestamp(), now.nanosecond()).into(),
            linked: BTreeSet::new(),
            copied: BTreeMap::new(),
            files: Vec::new(),
            dirs: Vec::new(),
            symlink: false,
            count: 0,
            bytes: 0,
        })
    }

    /// Fills `new` with what `old` holds and becomes, then gives it its attributes.
    fn directory(
        &mut self,
        old: &Dir,
        new: &Dir,
        at: &Key,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Trouble> {
        let wrap = |doing| DiskError::at(doing, sight::shown(at));
        let changes = self.changes.remove(at).unwrap_or_default();
        let mut names = self.disk.list(old).map_err(wrap("list"))?;
        names.sort();
        let mut disturbed = false;
        for name in &names {
            let mode = match changes.get(name).map(|(_, operation)| &operation.action) {
                Some(Action::Put { .. } | Action::Remove) => continue,
                Some(Action::SetMode { to, .. }) => Some(*to),
                None => None,
            };
            let key = at.join(name);
            let (from, to) = (At { dir: old, name }, At { dir: new, name });
            let stat = self.disk.stat(from).map_err(wrap("look at what is in"))?;
            let stat = stat.ok_or_else(|| changed(&sight::shown(&key)))?;
            self.entry(&Entry { from, to, stat, key: &key }, mode, tell)?;
            self.count += 1;
            tell(self.count, self.bytes);
        }
        for (name, (slot, operation)) in &changes {
            self.left.remove(slot);
            disturbed |= !matches!(operation.action, Action::SetMode { .. });
            if matches!(operation.action, Action::Put { .. }) {
                let slot = slot.to_string();
                self.disk
                    .rename(At::new(self.slots, &slot), At { dir: new, name }, Rename::NoReplace)
                    .map_err(DiskError::at("stage", operation.path.as_str()))?;
            }
        }
        let itself = At::itself(old);
        let stat = self.disk.stat(itself).map_err(wrap("look at"))?;
        let stat = stat.ok_or_else(|| changed(&sight::shown(at)))?;
        let mut attributes = attributes_of(self.disk, itself, &stat)?;
        if disturbed {
            attributes.mtime = self.now;
        }
        set_attributes(self.disk, At::itself(new), Kind::Directory, &attributes)?;
        if self.dirs.len() < HANDLES {
            self.dirs.push(new.clone());
        }
        Ok(())
    }

    fn entry(
        &mut self,
        entry: &Entry<'_>,
        mode: Option<Mode>,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Trouble> {
        let shown = sight::shown(entry.key);
        if self.ignore.is_match(&shown) {
            let text = format!("{shown} is live data that tmp.yaml ignores: its tree cannot be exchanged");
            return Err(Trouble::TurnBack(text));
        }
        match entry.stat.kind {
            Kind::Directory => {
                let fault = DiskError::at("stage", &shown);
                let open = || {
                    self.disk.create_dir(entry.to, FILLED)?;
                    let old = self.disk.open_dir(entry.from.dir, entry.from.name)?;
                    Ok((old, self.disk.open_dir(entry.to.dir, entry.to.name)?))
                };
                let (old, new) = open().map_err(fault)?;
                self.directory(&old, &new, entry.key, tell)?;
            }
            Kind::File | Kind::Symlink => {
                if self.own.contains(&entry.stat.identity) || !self.link(entry)? {
                    self.copy(entry)?;
                }
            }
            Kind::Special | Kind::Absent => {
                let text = format!("{shown} is a special file: its tree cannot be exchanged");
                return Err(Trouble::TurnBack(text));
            }
        }
        if let Some(mode) = mode {
            self.disk.set_mode(entry.to, mode).map_err(DiskError::at("set the mode of", &shown))?;
        }
        Ok(())
    }

    /// Gives a file or symlink its second name; `false` where that cannot be.
    fn link(&mut self, entry: &Entry<'_>) -> Result<bool, DiskError> {
        match self.disk.create_link(entry.from, entry.to) {
            Ok(()) => {
                self.linked.insert(entry.stat.identity);
                Ok(true)
            }
            Err(error) if cannot_link(&error) => Ok(false),
            Err(error) => Err(DiskError::at("give a second name to", sight::shown(entry.key))(error)),
        }
    }

    /// Copies a file or symlink with all its attributes; another name of one that was copied becomes another
    /// name of the copy.
    fn copy(&mut self, entry: &Entry<'_>) -> Result<(), DiskError> {
        let shown = sight::shown(entry.key);
        if let Some(first) = self.copied.get(&entry.stat.identity) {
            return self.link_to_copy(first, entry).map_err(DiskError::at("stage", &shown));
        }
        let attributes = attributes_of(self.disk, entry.from, &entry.stat)?;
        if entry.stat.kind == Kind::Symlink {
            let target = self.disk.read_link(entry.from);
            let made = target.and_then(|target| self.disk.create_symlink(entry.to, &target));
            made.map_err(DiskError::at("stage", &shown))?;
            self.symlink = true;
        } else {
            let file = copy_new(self.disk, entry.from, entry.to, STAGED)?;
            self.bytes += entry.stat.size;
            if self.files.len() < HANDLES {
                self.files.push(file);
            }
        }
        set_attributes(self.disk, entry.to, entry.stat.kind, &attributes)?;
        if entry.stat.links > 1 {
            self.copied.insert(entry.stat.identity, entry.key.clone());
        }
        Ok(())
    }

    fn link_to_copy(&self, first: &Key, entry: &Entry<'_>) -> io::Result<()> {
        let Some((parent, name)) = first.split() else { return Err(io::ErrorKind::InvalidInput.into()) };
        let dir = self
            .disk
            .open_dir(self.slots, Path::new(TREE).iter().chain(parent).collect::<PathBuf>().as_os_str())?;
        self.disk.create_link(At { dir: &dir, name }, entry.to)
    }

    /// Every operation found its directory.
    fn complete(&self) -> Result<(), Trouble> {
        if self.left.is_empty() {
            Ok(())
        } else {
            Err(Trouble::TurnBack("a directory of the enhancement's modules is gone".to_owned()))
        }
    }
}

/// Whether an inode can have no second name: the file system has none, it has too many already, or the
/// kernel allows none to what belongs to somebody else (`fs.protected_hardlinks`).
fn cannot_link(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), PermissionDenied | TooManyLinks | Unsupported | CrossesDevices)
}
