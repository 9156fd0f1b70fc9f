//! Whether the whole tree can be exchanged, and what that takes.

use std::collections::BTreeSet;

use camino::Utf8Path;
use globset::GlobSet;
use tmp_core::{
    ModulePath,
    module::Kind,
    path::RESERVED,
    plan::{Action, Operation, PlannedTree},
};
use tmp_disk::{At, Dir, DiskError, Stat, Tree};

use super::PlanFault;
use crate::workplace::Workplace;

/// How to do without.
const FILES: &str = "or write `switch: files` for the site";

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
    places(workplace, tree, known.databases, faults);
    let moves = |operation: &&Operation| !matches!(operation.action, Action::SetMode { .. });
    let (gone, own): (Vec<_>, Vec<_>) = known.operations.iter().partition(moves);
    let own = own.iter().map(|operation| &operation.path).chain(known.written.0);
    let mut looking = Looking {
        tree,
        known,
        gone: gone.iter().map(|operation| operation.path.as_str()).collect(),
        own: own.map(ModulePath::as_str).collect(),
        planned: PlannedTree::default(),
        seen: Seen::default(),
    };
    let root = looking.look_at_root();
    if let Err(error) = root {
        let help = "TMP must be able to look at the whole tree; mend its permissions";
        faults.push(PlanFault::new("unreadable", &workplace.target.root, crate::text(&error), help));
    }
    faults.extend(looking.seen.faults());
    looking.planned
}

/// Where the root, the databases and TMP's own directories are.
fn places(workplace: &Workplace, tree: &Tree, databases: &[ModulePath], faults: &mut Vec<PlanFault>) {
    let root = &workplace.target.root;
    let help = format!("keep it outside of the root, {FILES}");
    if let Some(first) = databases.first() {
        let message = "it belongs to a database, and the tree that holds it cannot be exchanged under it";
        faults.push(PlanFault::new("atomic-database", first, message, &help));
    }
    let real = |path: &Utf8Path| path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let own = [&workplace.target.work, &workplace.state];
    let reserved = root.join(RESERVED);
    let inside = own.into_iter().filter(|path| real(path).starts_with(real(root)));
    let left = Some(&reserved).filter(|path| path.exists() && !own.contains(path));
    for path in inside.chain(left) {
        let message = "it is TMP's own and lies in the tree that would be exchanged";
        faults.push(PlanFault::new("atomic-own", path, message, &help));
    }
    let above = || {
        let (parent, name) = (root.parent()?, root.file_name()?);
        let dir = workplace.disk.open_root(parent.as_std_path()).ok()?;
        let above = workplace.disk.stat(At::itself(&dir)).ok()??;
        Some((above, workplace.disk.stat(At::new(&dir, name)).ok()??))
    };
    let itself = workplace.disk.stat(At::itself(tree.root())).ok().flatten();
    match (above(), itself) {
        (Some((_, named)), _) if named.kind == Kind::Symlink => {
            let message = "the root is a symlink: what it points to cannot be exchanged there";
            let help = format!("name the directory itself as `root`, {FILES}");
            faults.push(PlanFault::new("atomic-symlink", root, message, help));
        }
        (Some((above, _)), Some(itself)) if place(&above) == place(&itself) => {}
        _ => {
            let message = "the root is itself a mount or a subvolume, which cannot be renamed";
            let help = format!("name a directory on that mount as `root`, {FILES}");
            faults.push(PlanFault::new("atomic-mount", root, message, help));
        }
    }
}

/// What tells apart between what no rename leads.
const fn place(stat: &Stat) -> (u64, u64) {
    (stat.mount, stat.device)
}

/// What was met that stands in the way: the first of each kind, and how many.
#[derive(Default)]
struct Seen {
    live: Option<(String, u64)>,
    special: Option<(String, u64)>,
    immutable: Option<(String, u64)>,
    mounts: Option<(String, u64)>,
}

impl Seen {
    fn note(what: &mut Option<(String, u64)>, path: &str) {
        what.get_or_insert_with(|| (path.to_owned(), 0)).1 += 1;
    }

    fn faults(self) -> Vec<PlanFault> {
        let mut faults = Vec::new();
        let more = |count: u64| if count > 1 { format!(" ({count} such)") } else { String::new() };
        if let Some((path, count)) = self.live {
            let message = format!("it is live data that tmp.yaml ignores: writes to it would be lost{}", more(count));
            let help = format!("keep live data outside of the root, {FILES}");
            faults.push(PlanFault::new("atomic-live", path, message, help));
        }
        if let Some((path, count)) = self.special {
            let message = format!("it is a device, FIFO or socket: its tree cannot be exchanged{}", more(count));
            let help = format!("remove it, {FILES}");
            faults.push(PlanFault::new("atomic-special", path, message, help));
        }
        if let Some((path, count)) = self.immutable {
            let message = format!("it is marked immutable: it cannot have a second name{}", more(count));
            faults.push(PlanFault::new("immutable", path, message, format!("chattr -i it, {FILES}")));
        }
        if let Some((path, count)) = self.mounts {
            let message = format!("another file system or subvolume is mounted there{}", more(count));
            let help = format!("unmount it, {FILES}");
            faults.push(PlanFault::new("atomic-mount", path, message, help));
        }
        faults
    }
}

struct Looking<'a> {
    tree: &'a Tree,
    known: &'a Known<'a>,
    /// Where an operation puts something else, or nothing.
    gone: BTreeSet<&'a str>,
    /// What gets an inode of its own because it changes in place.
    own: BTreeSet<&'a str>,
    planned: PlannedTree,
    seen: Seen,
}

impl Looking<'_> {
    fn look_at_root(&mut self) -> Result<(), DiskError> {
        let disk = self.tree.disk();
        let wrap = DiskError::at("look at", self.tree.path());
        let stat = disk.stat(At::itself(self.tree.root())).map_err(wrap)?;
        let Some(stat) = stat else { return Ok(()) };
        self.planned.directories += 1;
        self.directory(self.tree.root(), "", &stat, false)
    }

    /// `goes` where an operation puts something else in its place.
    fn directory(&mut self, dir: &Dir, above: &str, root: &Stat, goes: bool) -> Result<(), DiskError> {
        let disk = self.tree.disk();
        let mut names = disk.list(dir).map_err(DiskError::at("list", self.tree.path().join(above)))?;
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
                Seen::note(&mut self.seen.live, &path);
            }
            if stat.immutable {
                Seen::note(&mut self.seen.immutable, &path);
            }
            if place(&stat) != place(root) {
                Seen::note(&mut self.seen.mounts, &path);
                continue;
            }
            let goes = goes || self.gone.contains(path.as_str());
            match stat.kind {
                Kind::Directory => {
                    let below = disk.open_dir(dir, &name).map_err(DiskError::at("open", &path))?;
                    self.planned.directories += u64::from(!goes);
                    self.directory(&below, &path, root, goes)?;
                }
                Kind::Special => Seen::note(&mut self.seen.special, &path),
                Kind::File | Kind::Symlink | Kind::Absent if goes => {}
                Kind::File | Kind::Symlink | Kind::Absent => self.name(&path, &stat),
            }
        }
        Ok(())
    }

    /// Counts a file or a symlink that does not go.
    fn name(&mut self, path: &str, stat: &Stat) {
        let own = self.own.contains(path) || self.known.written.1.is_match(path);
        let planned = &mut self.planned;
        let (count, bytes) = if own {
            (&mut planned.copied, &mut planned.copied_bytes)
        } else {
            (&mut planned.linked, &mut planned.linked_bytes)
        };
        *count += 1;
        *bytes += stat.allocated;
    }
}
