//! A glance at everything below the operations' paths, or in the whole tree, to notice what somebody
//! changes meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::Path,
};

use tmp_core::{
    Mode, ModulePath,
    module::{Kind, Timestamp},
    plan::{Action, Plan},
};
use tmp_disk::{At, Dir, Disk, DiskError, Identity, Stat, Tree};

/// Where something is below a root; the root itself is the empty path. One for each name of a tree may be
/// alive at once, so it is one piece of memory, compared byte by byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Box<OsStr>);

impl Key {
    /// Something in this directory.
    pub(super) fn join(&self, name: &OsStr) -> Self {
        Self(self.path().join(name).into_os_string().into())
    }

    /// The path relative to the root.
    pub(super) fn path(&self) -> &Path {
        Path::new(&*self.0)
    }

    /// This, and what it stands in, but for the root.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Self> {
        let paths = self.path().ancestors().filter(|path| !path.as_os_str().is_empty());
        paths.map(|path| Self(path.as_os_str().into()))
    }

    /// The names on the way to it.
    pub(super) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.path().iter()
    }

    /// The directory it stands in, as a path, and its name there; `None` of the root.
    pub(super) fn split(&self) -> Option<(&Path, &OsStr)> {
        Some((self.path().parent()?, self.path().file_name()?))
    }
}

impl From<&ModulePath> for Key {
    fn from(path: &ModulePath) -> Self {
        Self(OsStr::new(path.as_str()).into())
    }
}

/// Each thing that was looked at; absent ones are left out.
pub(super) type Sight = BTreeMap<Key, Glance>;

/// What changes with every change of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) identity: Identity,
    pub(super) kind: Kind,
    size: u64,
    mode: Mode,
    owner: (u32, u32),
    mtime: Timestamp,
    ctime: Timestamp,
}

impl Glance {
    /// Whether two things look alike, be they one or not.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let look = |it: &Self| (it.kind, it.size, it.mode, it.owner, it.mtime);
        look(self) == look(other)
    }
}

impl From<Stat> for Glance {
    fn from(stat: Stat) -> Self {
        let Stat { identity, kind, size, mode, uid, gid, mtime, ctime, .. } = stat;
        Self { identity, kind, size, mode, owner: (uid, gid), mtime, ctime }
    }
}

/// Looks at everything the plan switches.
pub(super) fn sight(tree: &Tree, plan: &Plan) -> Result<Sight, DiskError> {
    let mut sight = Sight::new();
    for operation in &plan.operations {
        let Some(place) = tree.locate(&operation.path)? else { continue };
        let key = Key::from(&operation.path);
        let below = !matches!(operation.action, Action::SetMode { .. });
        look(tree.disk().as_ref(), At { dir: &place.dir, name: &place.name }, key, below, &mut sight)?;
    }
    Ok(sight)
}

/// Looks at a directory and everything in it.
pub(super) fn whole(disk: &dyn Disk, root: &Dir) -> Result<Sight, DiskError> {
    let mut sight = Sight::new();
    look(disk, At::itself(root), Key::default(), true, &mut sight)?;
    Ok(sight)
}

fn look(disk: &dyn Disk, at: At<'_>, key: Key, below: bool, sight: &mut Sight) -> Result<(), DiskError> {
    let At { dir, name } = at;
    let Some(stat) = disk.stat(at).map_err(DiskError::at("look at", name))? else {
        return Ok(());
    };
    if stat.kind == Kind::Directory && below {
        let inner = disk.open_dir(dir, name).map_err(DiskError::at("open", name))?;
        for name in disk.list(&inner).map_err(DiskError::at("list", name))? {
            look(disk, At { dir: &inner, name: &name }, key.join(&name), true, sight)?;
        }
    }
    sight.insert(key, stat.into());
    Ok(())
}

/// The path of the first thing that differs between two sights.
pub(super) fn changed(before: &Sight, now: &Sight) -> Option<String> {
    moved(before, now, &BTreeSet::new())
}

/// The same where TMP gave these inodes second names meanwhile, which changes nothing else of them.
pub(super) fn moved(before: &Sight, now: &Sight, linked: &BTreeSet<Identity>) -> Option<String> {
    let same = |old: &Glance, new: &Glance| {
        let ctime = if linked.contains(&old.identity) { new.ctime } else { old.ctime };
        *new == Glance { ctime, ..*old }
    };
    let gone_or_other = before.iter().find(|(key, old)| !now.get(*key).is_some_and(|new| same(old, new)));
    let new = || now.iter().find(|(key, _)| !before.contains_key(*key));
    gone_or_other.or_else(new).map(|(key, _)| shown(key))
}

/// A path for messages.
pub(super) fn shown(key: &Key) -> String {
    if key.0.is_empty() { "the root".to_owned() } else { key.0.to_string_lossy().into_owned() }
}

/// Which inode was seen at `path`.
pub(super) fn identity(sight: &Sight, path: &ModulePath) -> Option<Identity> {
    sight.get(&Key::from(path)).map(|glance| glance.identity)
}
