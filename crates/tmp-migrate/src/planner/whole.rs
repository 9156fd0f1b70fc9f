//! Whether the whole tree can be exchanged, and what that takes.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use globset::GlobSet;
use tmp_core::{
    ModulePath,
    module::Kind,
    path::RESERVED,
    plan::{Action, Operation, PlannedTree},
};
use tmp_disk::{At, Dir, DiskError, Right, Stat, Tree};

use super::{
    PlanFault,
    obstacle::{FILES, Obstacle, Obstacles},
};
use crate::workplace::Workplace;

/// What a plan knows of the tree.
pub(super) struct Known<'a> {
    pub(super) operations: &'a [Operation],
    /// What batch steps write.
    pub(super) written: (&'a [ModulePath], &'a GlobSet),
    /// Files of databases below the root.
    pub(super) databases: &'a [ModulePath],
    pub(super) ignore: &'a GlobSet,
}

/// Looks at the whole tree: what stands in the way of exchanging it, and what the next one is made of.
pub(super) fn whole(
    workplace: &Workplace,
    tree: &Tree,
    known: &Known<'_>,
    faults: &mut Vec<PlanFault>,
) -> PlannedTree {
    let root = &workplace.target.root;
    let help = format!("keep it outside of the root, {FILES}");
    if let Some(first) = known.databases.first() {
        let message = "it belongs to a database, and the tree that holds it cannot be exchanged under it";
        faults.push(PlanFault::new("atomic-database", first, message, &help));
    }
    own_directories(workplace, &help, faults);
    let moves = |operation: &&Operation| !matches!(operation.action, Action::SetMode { .. });
    let (gone, own): (Vec<_>, Vec<_>) = known.operations.iter().partition(moves);
    let own = own.iter().map(|operation| &operation.path).chain(known.written.0);
    let mut looking = Looking {
        tree,
        known,
        gone: gone.iter().map(|operation| operation.path.as_str()).collect(),
        own: own.map(ModulePath::as_str).collect(),
        planned: PlannedTree::default(),
        met: Obstacles::default(),
        asked: BTreeMap::new(),
        given: BTreeMap::new(),
    };
    let looked = places(workplace, tree, faults).and_then(|()| looking.root());
    if let Err(error) = looked {
        let help = format!("TMP must be able to look at the whole tree: mend its permissions, {FILES}");
        faults.push(PlanFault::new("unreadable", root, crate::text(&error), help));
    }
    for fault in looking.met.faults() {
        // What one operation lacks was said already.
        if !faults.iter().any(|said| (said.rule, &said.subject) == (fault.rule, &fault.subject)) {
            faults.push(fault);
        }
    }
    looking.planned
}

/// TMP's own directories lie elsewhere.
fn own_directories(workplace: &Workplace, help: &str, faults: &mut Vec<PlanFault>) {
    let root = &workplace.target.root;
    let real = |path: &Utf8Path| path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let own = [&workplace.target.work, &workplace.state];
    let message = "it is TMP's own and lies in the tree that would be exchanged";
    for path in own.into_iter().filter(|path| real(path).starts_with(real(root))) {
        faults.push(PlanFault::new("atomic-own", path, message, help));
    }
    let left = root.join(RESERVED);
    if left.exists() && !own.contains(&&left) {
        let help = format!("remove it once no migration is open, {FILES}");
        faults.push(PlanFault::new("atomic-own", left, message, help));
    }
}

/// The root, the directory it stands in and the work directory: one mount, no symlink, and names may change.
fn places(workplace: &Workplace, tree: &Tree, faults: &mut Vec<PlanFault>) -> Result<(), DiskError> {
    let (root, disk) = (&workplace.target.root, workplace.disk.as_ref());
    let (Some(above), Some(name)) = (root.parent(), root.file_name()) else {
        let help = format!("name a directory below it as `root`, {FILES}");
        faults.push(PlanFault::new("atomic-mount", root, "it cannot be renamed", help));
        return Ok(());
    };
    let look = || {
        let dir = disk.open_root(above.as_std_path())?;
        let (parent, named) = (disk.stat(At::itself(&dir))?, disk.stat(At::new(&dir, name))?);
        Ok((dir, parent, named, disk.stat(At::itself(tree.root()))?))
    };
    let (dir, parent, named, itself) = look().map_err(DiskError::at("look at the directory of", root))?;
    if named.is_some_and(|named| named.kind == Kind::Symlink) {
        let message = "the root is a symlink: what it points to cannot be exchanged there";
        let help = format!("name the directory itself as `root`, {FILES}");
        faults.push(PlanFault::new("atomic-symlink", root, message, help));
        return Ok(());
    }
    if parent.as_ref().map(mount) != itself.as_ref().map(mount) {
        let message = "the root is itself a mount or a subvolume, which cannot be renamed";
        let help = format!("name a directory on that mount as `root`, {FILES}");
        faults.push(PlanFault::new("atomic-mount", root, message, help));
        return Ok(());
    }
    let work = &workplace.target.work;
    let existing = work.ancestors().find_map(|place| disk.open_root(place.as_std_path()).ok());
    let existing = existing.and_then(|dir| disk.stat(At::itself(&dir)).ok()?);
    if existing.as_ref().map(mount) != itself.as_ref().map(mount) {
        let message = "it is not on the mount of the root, so the next tree cannot be exchanged from there";
        let help = format!("leave `work` out, or name a directory on that mount, {FILES}");
        faults.push(PlanFault::new("atomic-mount", work, message, help));
    }
    let wanted = [
        (Right::Change(At::itself(&dir)), "exchange names in it"),
        (Right::Adjust(At::itself(&dir)), "give it its modification time back after a rollback"),
    ];
    for (right, what) in wanted {
        if let Err(error) = disk.may(right) {
            let help = format!("let the user that TMP runs as own it, or run TMP as root, {FILES}");
            faults.push(PlanFault::new("rights", above, format!("TMP may not {what}: {error}"), help));
            break;
        }
    }
    Ok(())
}

/// What tells apart between what no rename leads.
const fn mount(stat: &Stat) -> (u64, u64) {
    (stat.mount, stat.device)
}

struct Looking<'a> {
    tree: &'a Tree,
    known: &'a Known<'a>,
    /// Where an operation puts something else, or nothing.
    gone: BTreeSet<&'a str>,
    /// What gets an inode of its own because it changes in place.
    own: BTreeSet<&'a str>,
    planned: PlannedTree,
    met: Obstacles,
    /// Whether what belongs to this user may have a second name.
    asked: BTreeMap<u32, bool>,
    /// Whether what TMP makes may belong to this user and group.
    given: BTreeMap<(u32, u32), bool>,
}

impl Looking<'_> {
    fn root(&mut self) -> Result<(), DiskError> {
        let disk = self.tree.disk();
        let wrap = DiskError::at("look at", self.tree.path());
        let Some(stat) = disk.stat(At::itself(self.tree.root())).map_err(wrap)? else { return Ok(()) };
        let shown = self.tree.path().to_string_lossy().into_owned();
        if stat.immutable {
            self.met.note(Obstacle::Immutable, &shown);
        }
        self.made(&shown, &stat);
        self.directory(self.tree.root(), (&shown, ""), &stat, false)
    }

    /// `above` is how the directory is told of, and where it is; `goes` says that an operation puts something
    /// else in its place.
    fn directory(
        &mut self,
        dir: &Dir,
        (shown, above): (&str, &str),
        root: &Stat,
        goes: bool,
    ) -> Result<(), DiskError> {
        let disk = self.tree.disk();
        if disk.may(Right::Enter(At::itself(dir))).is_err() {
            self.met.note(Obstacle::Unlisted, shown);
            return Ok(());
        }
        // What is parked of it is removed in the end, and to move the root its own `..` is written.
        if disk.may(Right::Change(At::itself(dir))).is_err() {
            self.met.note(Obstacle::Unchanged, shown);
        }
        let mut names = disk.list(dir).map_err(DiskError::at("list", shown))?;
        names.sort();
        for name in names {
            let shown = name.to_string_lossy();
            let path = if above.is_empty() { shown.into_owned() } else { format!("{above}/{shown}") };
            let wrap = DiskError::at("look at", &path);
            let Some(stat) = disk.stat(At { dir, name: &name }).map_err(wrap)? else { continue };
            if above.is_empty() && name == RESERVED {
                continue;
            }
            if self.known.ignore.is_match(&path) {
                self.met.note(Obstacle::Live, &path);
            }
            if stat.immutable {
                self.met.note(Obstacle::Immutable, &path);
            }
            if mount(&stat) != mount(root) {
                self.met.note(Obstacle::Mount, &path);
                continue;
            }
            let goes = goes || self.gone.contains(path.as_str());
            match stat.kind {
                Kind::Directory => {
                    let below = disk.open_dir(dir, &name).map_err(DiskError::at("open", &path))?;
                    if !goes {
                        self.made(&path, &stat);
                    }
                    self.directory(&below, (&path, &path), root, goes)?;
                }
                Kind::Special => self.met.note(Obstacle::Special, &path),
                Kind::File | Kind::Symlink | Kind::Absent if goes => {}
                Kind::File | Kind::Symlink | Kind::Absent => self.name(At { dir, name: &name }, &path, &stat),
            }
        }
        Ok(())
    }

    /// Counts a directory that is made anew.
    fn made(&mut self, path: &str, stat: &Stat) {
        self.planned.directories += 1;
        self.gives(path, stat);
    }

    /// Counts a file or a symlink that does not go.
    fn name(&mut self, at: At<'_>, path: &str, stat: &Stat) {
        if self.own.contains(path) || self.known.written.1.is_match(path) {
            self.planned.copied += 1;
            self.planned.copied_bytes += stat.allocated;
            self.gives(path, stat);
            if stat.kind == Kind::File && self.tree.disk().may(Right::Read(at)).is_err() {
                self.met.note(Obstacle::Unread, path);
            }
        } else {
            self.planned.linked += 1;
            self.planned.linked_bytes += stat.allocated;
            let ask = || self.tree.disk().may(Right::Adjust(at)).is_ok();
            if !stat.immutable && !*self.asked.entry(stat.uid).or_insert_with(ask) {
                self.met.note(Obstacle::Unlinked, path);
            }
        }
    }

    /// What TMP makes in the next tree belongs to whom it belongs in this one.
    fn gives(&mut self, path: &str, stat: &Stat) {
        let (uid, gid) = (stat.uid, stat.gid);
        let ask = || self.tree.disk().may(Right::Give { uid, gid }).is_ok();
        if !*self.given.entry((uid, gid)).or_insert_with(ask) {
            self.met.note(Obstacle::Ungiven, path);
        }
    }
}
