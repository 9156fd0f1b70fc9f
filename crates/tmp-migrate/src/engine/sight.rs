//! A glance at everything below the operations' paths, or in the whole tree, to notice what somebody
//! changes meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use tmp_core::{
    ModulePath,
    module::{Kind, Timestamp},
    plan::{Action, Plan},
};
use tmp_disk::{At, Dir, Disk, DiskError, Identity, Stat, Tree};

/// Where something is below a root, name by name; the root itself has no names.
pub(super) type Key = Vec<OsString>;

/// Each thing that was looked at; absent ones are left out.
pub(super) type Sight = BTreeMap<Key, Glance>;

/// What changes with every change of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) identity: Identity,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) mtime: Timestamp,
    ctime: Timestamp,
}

impl Glance {
    /// Whether two things look alike, be they one or not.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.kind, self.size, self.mtime) == (other.kind, other.size, other.mtime)
    }
}

impl From<Stat> for Glance {
    fn from(stat: Stat) -> Self {
        let Stat { identity, kind, size, mtime, ctime, .. } = stat;
        Self { identity, kind, size, mtime, ctime }
    }
}

/// Looks at everything the plan switches.
pub(super) fn sight(tree: &Tree, plan: &Plan) -> Result<Sight, DiskError> {
    let mut sight = Sight::new();
    for operation in &plan.operations {
        let Some(place) = tree.locate(&operation.path)? else { continue };
        let key = key(&operation.path);
        let below = !matches!(operation.action, Action::SetMode { .. });
        look(tree.disk().as_ref(), At { dir: &place.dir, name: &place.name }, key, below, &mut sight)?;
    }
    Ok(sight)
}

/// Looks at a directory and everything in it.
pub(super) fn whole(disk: &dyn Disk, root: &Dir) -> Result<Sight, DiskError> {
    let mut sight = Sight::new();
    look(disk, At::itself(root), Key::new(), true, &mut sight)?;
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
            let mut key = key.clone();
            key.push(name.clone());
            look(disk, At { dir: &inner, name: &name }, key, true, sight)?;
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
pub(super) fn shown(key: &[OsString]) -> String {
    if key.is_empty() {
        return "the root".to_owned();
    }
    key.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Where a module is.
pub(super) fn key(path: &ModulePath) -> Key {
    path.components().map(OsString::from).collect()
}

/// Which inode was seen at `path`.
pub(super) fn identity(sight: &Sight, path: &ModulePath) -> Option<Identity> {
    sight.get(&key(path)).map(|glance| glance.identity)
}
