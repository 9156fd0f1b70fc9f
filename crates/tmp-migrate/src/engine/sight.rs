//! A glance at everything below the operations' paths, to notice what somebody changes meanwhile.

use std::{collections::BTreeMap, ffi::OsString};

use tmp_core::{
    ModulePath,
    module::{Kind, Timestamp},
    plan::{Action, Plan},
};
use tmp_disk::{At, Dir, DiskError, Identity, Stat, Tree};

/// Each thing at and below the operations' paths; absent ones are left out.
pub(super) type Sight = BTreeMap<Vec<OsString>, Glance>;

/// What changes with every change of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) identity: Identity,
    kind: Kind,
    size: u64,
    mtime: Timestamp,
    ctime: Timestamp,
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
        let key = operation.path.components().map(OsString::from).collect();
        let below = !matches!(operation.action, Action::SetMode { .. });
        look(tree, &place.dir, &place.name, key, below, &mut sight)?;
    }
    Ok(sight)
}

fn look(
    tree: &Tree,
    dir: &Dir,
    name: &std::ffi::OsStr,
    key: Vec<OsString>,
    below: bool,
    sight: &mut Sight,
) -> Result<(), DiskError> {
    let disk = tree.disk();
    let Some(stat) = disk.stat(At { dir, name }).map_err(DiskError::at("look at", name))? else {
        return Ok(());
    };
    if stat.kind == Kind::Directory && below {
        let inner = disk.open_dir(dir, name).map_err(DiskError::at("open", name))?;
        for name in disk.list(&inner).map_err(DiskError::at("list", name))? {
            let mut key = key.clone();
            key.push(name.clone());
            look(tree, &inner, &name, key, true, sight)?;
        }
    }
    sight.insert(key, stat.into());
    Ok(())
}

/// The operation's path of the first thing that differs between two sights.
pub(super) fn changed(before: &Sight, now: &Sight) -> Option<String> {
    let shown = |key: &[OsString]| {
        let parts: Vec<_> = key.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    };
    let gone_or_other = before.iter().find(|(key, stat)| now.get(*key) != Some(stat));
    let new = || now.iter().find(|(key, _)| !before.contains_key(*key));
    gone_or_other.or_else(new).map(|(key, _)| shown(key))
}

/// Which inode was seen at `path`.
pub(super) fn identity(sight: &Sight, path: &ModulePath) -> Option<Identity> {
    sight.get(&path.components().map(OsString::from).collect::<Vec<_>>()).map(|glance| glance.identity)
}
