//! What must not be lost of a tree that was exchanged: what somebody changed in it since, and what exists
//! nowhere else.
//!
//! Most of a parked tree is the very inodes that stand at the root as well, and goes without loss.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::Path,
};

use tmp_archive::{EntryPath, Snapshot};
use tmp_core::{
    Mode,
    module::{Content, Kind},
    plan::{Action, Operation, Plan},
};
use tmp_disk::{
    At, Dir, Disk, DiskError, Identity, ObservedContent, Rename, Tree, create_dir_durably, observe,
};

use super::{
    acl,
    attributes::ACCESS,
    cleanup::{Shape, archived_shape, shape_at},
    sight::{self, Glance, Key, Sight},
    site::{Site, TREE, kept},
};

/// The mode of directories that hold what is kept.
const PRIVATE: Mode = Mode::from_bits(0o700);

/// A parked tree beside the one that stands at the root.
pub(super) struct Parked<'a> {
    disk: &'a dyn Disk,
    plan: &'a Plan,
    dir: &'a Dir,
    /// What was archived before the migration.
    snapshot: Option<&'a Snapshot>,
    live: Sight,
    inodes: BTreeSet<Identity>,
    /// The paths that are switched.
    switched: BTreeSet<Key>,
    /// What was staged.
    staged: BTreeMap<Key, &'a Content>,
}

/// Inodes whose mode TMP changes, from what to what: all names of one have it.
type Modes = BTreeMap<Identity, (Mode, Mode)>;

impl<'a> Parked<'a> {
    /// Looks at the tree that stands at the root.
    pub(super) fn new(
        live: &'a Tree,
        plan: &'a Plan,
        dir: &'a Dir,
        snapshot: Option<&'a Snapshot>,
    ) -> Result<Self, DiskError> {
        let disk = live.disk().as_ref();
        let live = sight::whole(disk, live.root())?;
        let inodes = live.values().map(|glance| glance.identity).collect();
        let moves = |operation: &&Operation| !matches!(operation.action, Action::SetMode { .. });
        let switched = plan.operations.iter().filter(moves).map(|operation| Key::from(&operation.path));
        let staged = plan.operations.iter().flat_map(|operation| match &operation.action {
            Action::Put { staged } => staged.as_slice(),
            Action::Remove | Action::SetMode { .. } => &[],
        });
        let staged = staged.map(|module| (Key::from(&module.path), &module.content)).collect();
        let switched = switched.collect();
        Ok(Self { disk, plan, dir, snapshot, live, inodes, switched, staged })
    }

    /// What is in the old tree of a committed migration and must not go: all that is neither archived nor
    /// stands at the root.
    pub(super) fn of_old(&self) -> Result<BTreeSet<Key>, DiskError> {
        self.all(true, |_| Ok(false))
    }

    /// What is in the next tree of a migration that rolled back and must not go: all that was not put there
    /// by TMP. Before it stood at the root nobody could make a directory in it.
    pub(super) fn of_next(&self, stood: bool) -> Result<BTreeSet<Key>, DiskError> {
        self.all(stood, |key| self.is_staged(key))
    }

    fn all(
        &self,
        directories: bool,
        staged: impl Fn(&Key) -> Result<bool, DiskError>,
    ) -> Result<BTreeSet<Key>, DiskError> {
        let mut found = BTreeSet::new();
        let tree = sight::whole(self.disk, self.dir)?;
        let modes = self.plan.operations.iter().filter_map(|operation| match operation.action {
            Action::SetMode { from, to } => Some((sight::identity(&tree, &operation.path)?, (from, to))),
            Action::Put { .. } | Action::Remove => None,
        });
        let modes: Modes = modes.collect();
        for (key, glance) in &tree {
            // What is kept takes all that is in it along.
            if key.ancestors().any(|above| found.contains(&above)) {
                continue;
            }
            let modes = modes.get(&glance.identity);
            let safe = if glance.kind == Kind::Directory {
                !directories || self.is_known(key)
            } else {
                self.inodes.contains(&glance.identity)
                    || self.is_archived(key, modes)?
                    || self.stands(key, glance)
            };
            if !safe && !staged(key)? {
                found.insert(key.clone());
            }
        }
        Ok(found)
    }

    /// Whether a directory stands there at the root, was archived, or was staged.
    fn is_known(&self, key: &Key) -> bool {
        let stands = self.live.get(key).is_some_and(|live| live.kind == Kind::Directory);
        let staged = matches!(self.staged.get(key), Some(Content::Directory { .. }));
        stands || staged || self.archived(key).is_some_and(|(kind, ..)| kind == Kind::Directory)
    }

    fn archived(&self, key: &Key) -> Option<Shape> {
        let path = key.names().try_fold(EntryPath::root(), |path, name| path.join(name));
        archived_shape(self.snapshot?.entry(&path.ok()?)?)
    }

    /// Whether the archive holds it, by type, size and attributes; its mode may be the one that TMP set, with what
    /// that does to an access control list.
    fn is_archived(&self, key: &Key, modes: Option<&(Mode, Mode)>) -> Result<bool, DiskError> {
        let (Some(mut archived), Some((dir, name))) = (self.archived(key), self.parent(key)?) else {
            return Ok(false);
        };
        let there = shape_at(self.disk, At { dir: &dir, name })?;
        if let (Some((_, _, there)), Some((from, to))) = (&there, modes)
            && (there.mode, archived.2.mode) == (*to, *from)
        {
            archived.2.mode = *to;
            if let Some(list) = archived.2.xattrs.get_mut(ACCESS) {
                *list = acl::with_mode(list, *to);
            }
        }
        Ok(there == Some(archived))
    }

    /// Whether it was copied and stands at the root unchanged.
    fn stands(&self, at: &Key, glance: &Glance) -> bool {
        let switched = at.ancestors().any(|at| self.switched.contains(&at));
        !switched && self.live.get(at).is_some_and(|live| live.is_like(glance))
    }

    /// Whether it is what was staged there.
    fn is_staged(&self, at: &Key) -> Result<bool, DiskError> {
        let Some(content) = self.staged.get(at) else { return Ok(false) };
        let Some((dir, name)) = self.parent(at)? else { return Ok(false) };
        let observed = observe(self.disk, At { dir: &dir, name })?;
        Ok(observed.is_some_and(|observed| match (content, &observed.content) {
            (Content::File { digest, .. }, ObservedContent::File { digest: there, .. }) => digest == there,
            (Content::Symlink { target }, ObservedContent::Symlink { target: there }) => {
                target.as_bytes() == there
            }
            _ => false,
        }))
    }

    /// The directory and the name of something in the parked tree.
    fn parent<'k>(&self, at: &'k Key) -> Result<Option<(Dir, &'k OsStr)>, DiskError> {
        let Some((parent, name)) = at.split() else { return Ok(None) };
        let dir = self.disk.open_dir(self.dir, parent.as_os_str());
        Ok(Some((dir.map_err(DiskError::at("open", sight::shown(at)))?, name)))
    }

    /// Moves these aside, below a directory of its own that mirrors the tree.
    pub(super) fn keep(&self, site: &Site, all: &BTreeSet<Key>) -> Result<(), DiskError> {
        all.iter().try_for_each(|at| self.keep_one(site, at))
    }

    fn keep_one(&self, site: &Site, at: &Key) -> Result<(), DiskError> {
        let Some((from, name)) = self.parent(at)? else { return Ok(()) };
        let above = at.split().map(|(above, _)| above.iter());
        let mut to = create_dir_durably(self.disk, &site.work, &kept(&self.plan.migration), PRIVATE)?;
        to = create_dir_durably(self.disk, &to, TREE, PRIVATE)?;
        for parent in above.into_iter().flatten() {
            to = create_dir_durably(self.disk, &to, parent, PRIVATE)?;
        }
        self.disk
            .rename(At { dir: &from, name }, At { dir: &to, name }, Rename::NoReplace)
            // Of both: what is left of the other is about to be removed.
            .and_then(|()| [&to, &from].into_iter().try_for_each(|dir| self.disk.sync_dir(dir)))
            .map_err(DiskError::at("keep", sight::shown(at)))
    }
}

/// The paths of all that is kept of a tree, in `dir`.
pub(super) fn kept_of_tree(disk: &dyn Disk, dir: &Dir) -> Result<Vec<String>, DiskError> {
    let tree = disk.open_dir(dir, TREE.as_ref()).map_err(DiskError::at("open", TREE))?;
    let all = sight::whole(disk, &tree)?;
    let parents: BTreeSet<&Path> = all.keys().filter_map(Key::split).map(|(parent, _)| parent).collect();
    Ok(all.keys().filter(|key| !parents.contains(key.path())).map(sight::shown).collect())
}
