//! Empties the work directory once nothing in it is needed any more. What somebody changed while TMP
//! had it is kept and reported, never removed.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use tmp_archive::{ArchiveError, Entry, EntryPath, Snapshot};
use tmp_core::{
    MigrationId, Phase,
    event::Work,
    module::{Attributes, Content, Kind},
    mutant,
    plan::{Action, Operation, Plan},
};
use tmp_disk::{
    At, Dir, Disk, DiskError, ObservedContent, Rename, Tree, attributes_of, create_dir_durably, observe,
    remove_tree,
};

use super::{
    error::{EngineError, OpenError},
    memory::{Memory, kept_finding},
    parked::{Parked, kept_of_tree},
    replay::replay,
    run::Run,
    site::{Site, TREE, garbage, kept, slots},
};
use crate::journal::Fact;

impl Run<'_, '_> {
    /// Removes the parked inodes of a committed migration and records that. Where the archive cannot say
    /// what they were, all of them are kept.
    pub(super) fn clean_up(&mut self) -> Result<(), EngineError> {
        let since = self.site.clock().elapsed();
        let archived = self.memory.snapshot.filter(|_| self.has_modules());
        let read = archived.map(|id| self.site.archive.read(&id).map_err(ArchiveError::into_disk));
        let kept = match read {
            // Another time it may well say what they were.
            Some(Err(Ok(source))) => Err(source),
            Some(Err(Err(error))) => {
                self.finding(format!(
                    "the archive of this migration cannot be read: {}",
                    crate::text(&error)
                ));
                empty(self.site, self.plan, &|_, _, _| Ok(true), &|dir| self.parked(dir, None))
            }
            Some(Ok(snapshot)) => {
                let changed = |slots: &Dir, slot: &str, operation: &Operation| {
                    parked_changed(self.disk(), slots, slot, operation, &snapshot)
                };
                empty(self.site, self.plan, &changed, &|dir| self.parked(dir, Some(&snapshot)))
            }
            None => empty(self.site, self.plan, &|_, _, _| Ok(false), &|dir| self.parked(dir, None)),
        };
        let kept = kept.map_err(|source| EngineError::Interrupted { source })?;
        for path in &kept {
            self.finding(kept_finding(path));
        }
        self.record(Fact::CleanedUp { kept })?;
        self.done(Work::CleanUp, self.plan.operations.len() as u64, 0, since);
        Ok(())
    }

    /// Keeps what must not be lost of the old tree.
    fn parked(&self, dir: &Dir, snapshot: Option<&Snapshot>) -> Result<(), DiskError> {
        let parked = Parked::new(&self.tree, self.plan, dir, snapshot)?;
        parked.keep(self.site, &parked.of_old()?)
    }

    /// Removes what was staged by a migration that rolled back. What cannot be removed now goes when
    /// the engine is opened next.
    pub(super) fn clean_up_after_rollback(&mut self) {
        match empty_after_rollback(self.site, &self.tree, self.plan, &self.memory) {
            Ok(kept) => kept.iter().for_each(|path| self.finding(kept_finding(path))),
            Err(error) => {
                self.finding(format!("the work directory is not empty yet: {}", crate::text(&error)));
            }
        }
    }
}

/// The migrations whose slots are still there.
pub(super) fn staged(site: &Site) -> Result<Vec<MigrationId>, DiskError> {
    let names = site.disk().list(&site.work).map_err(DiskError::at("list", &site.target.work))?;
    let names = names.iter().filter_map(|name| name.to_str()?.strip_prefix("slots-"));
    Ok(names.filter_map(|id| id.parse().ok()).collect())
}

/// Finishes what a crash left in the work directory after a migration was over.
pub(super) fn sweep(site: &Site) -> Result<(), OpenError> {
    let names = site.disk().list(&site.work).map_err(DiskError::at("list", &site.target.work))?;
    for name in names.iter().filter_map(|name| name.to_str()) {
        if name.starts_with("gc-") {
            remove_tree(site.disk(), At::new(&site.work, name))?;
        }
    }
    for id in staged(site)? {
        let replayed = replay(site, &id)?;
        let plan = replayed.folder.plan(site.disk(), &replayed.records)?;
        match replayed.phase() {
            Phase::RolledBack => {
                drop(empty_after_rollback(site, &site.tree, &plan, &Memory::of(&replayed.records))?);
            }
            // A person settled it: whatever lies there is theirs to look at.
            Phase::Resolved => set_aside(site, &id)?,
            _ => {}
        }
    }
    Ok(())
}

/// What was staged is somebody's to change only once it was all there and could be switched.
fn empty_after_rollback(
    site: &Site,
    live: &Tree,
    plan: &Plan,
    memory: &Memory,
) -> Result<Vec<String>, DiskError> {
    let exposed = memory.prepared.is_some();
    let changed = |slots: &Dir, slot: &str, operation: &Operation| {
        Ok(exposed && staged_changed(site.disk(), slots, slot, operation)?)
    };
    let tree = |dir: &Dir| {
        if !exposed {
            return Ok(());
        }
        let snapshot = memory.snapshot.and_then(|id| site.archive.read(&id).ok());
        let parked = Parked::new(live, plan, dir, snapshot.as_ref())?;
        parked.keep(site, &parked.of_next(memory.switching)?)
    };
    empty(site, plan, &changed, &tree)
}

/// Whether what lies in a slot was changed by somebody.
type Changed<'a> = dyn Fn(&Dir, &str, &Operation) -> Result<bool, DiskError> + 'a;

/// Keeps what must not be lost of the tree in this directory.
type KeepOfTree<'a> = dyn Fn(&Dir) -> Result<(), DiskError> + 'a;

/// Moves what was changed aside, then removes the rest. The folder of slots gets another name first,
/// durably, so that a crash while it is being removed cannot be taken for a migration in progress.
/// Answers the paths of all that is kept, by this call or by one before it.
fn empty(
    site: &Site,
    plan: &Plan,
    changed: &Changed<'_>,
    keep_of_tree: &KeepOfTree<'_>,
) -> Result<Vec<String>, DiskError> {
    let disk = site.disk();
    let (slots_name, garbage_name) = (slots(&plan.migration), garbage(&plan.migration));
    let at = At::new(&site.work, &slots_name);
    if disk.stat(at).map_err(DiskError::at("look at", &slots_name))?.is_some() {
        let slots =
            disk.open_dir(&site.work, slots_name.as_ref()).map_err(DiskError::at("open", &slots_name))?;
        for (index, operation) in plan.operations.iter().enumerate() {
            for slot in [index.to_string(), format!("{index}.old")] {
                let there = disk.stat(At::new(&slots, &slot)).map_err(DiskError::at("look at", &slot))?;
                if there.is_some() && changed(&slots, &slot, operation)? {
                    keep(site, &plan.migration, &slots, &slot)?;
                }
            }
        }
        if disk.stat(At::new(&slots, TREE)).map_err(DiskError::at("look at", TREE))?.is_some() {
            keep_of_tree(&disk.open_dir(&slots, TREE.as_ref()).map_err(DiskError::at("open", TREE))?)?;
        }
        disk.rename(at, At::new(&site.work, &garbage_name), Rename::NoReplace)
            .and_then(|()| if mutant::is("garbage-name") { Ok(()) } else { disk.sync_dir(&site.work) })
            .map_err(DiskError::at("rename", &slots_name))?;
    }
    remove_tree(disk, At::new(&site.work, &garbage_name))?;
    kept_paths(site, plan)
}

/// The paths of the operations of which something is kept.
fn kept_paths(site: &Site, plan: &Plan) -> Result<Vec<String>, DiskError> {
    let name = kept(&plan.migration);
    let disk = site.disk();
    if disk.stat(At::new(&site.work, &name)).map_err(DiskError::at("look at", &name))?.is_none() {
        return Ok(Vec::new());
    }
    let dir = disk.open_dir(&site.work, name.as_ref()).map_err(DiskError::at("open", &name))?;
    let slots = disk.list(&dir).map_err(DiskError::at("list", &name))?;
    let index = |slot: &OsString| slot.to_str()?.trim_end_matches(".old").parse::<usize>().ok();
    let operations: BTreeSet<usize> = slots.iter().filter_map(index).collect();
    let path = |index: &usize| Some(plan.operations.get(*index)?.path.to_string());
    let mut paths: Vec<String> = operations.iter().filter_map(path).collect();
    if slots.iter().any(|name| name == TREE) {
        paths.extend(kept_of_tree(disk, &dir)?);
    }
    Ok(paths)
}

fn keep(site: &Site, migration: &MigrationId, slots: &Dir, slot: &str) -> Result<(), DiskError> {
    let private = tmp_core::Mode::from_bits(0o700);
    let kept = create_dir_durably(site.disk(), &site.work, &kept(migration), private)?;
    site.disk()
        .rename(At::new(slots, slot), At::new(&kept, slot), Rename::NoReplace)
        // Of both: what is left of the other is about to be removed.
        .and_then(|()| [&kept, slots].into_iter().try_for_each(|dir| site.disk().sync_dir(dir)))
        .map_err(DiskError::at("keep", slot))
}

fn set_aside(site: &Site, migration: &MigrationId) -> Result<(), DiskError> {
    let (from, to) = (slots(migration), kept(migration));
    site.disk()
        .rename(At::new(&site.work, &from), At::new(&site.work, &to), Rename::NoReplace)
        .and_then(|()| site.disk().sync_dir(&site.work))
        .map_err(DiskError::at("keep", &from))
}

/// What can be seen of a thing without reading its content: type, size, attributes.
pub(super) type Shape = (Kind, u64, Attributes);

/// Whether a parked module differs from what was archived, by type, size and attributes.
fn parked_changed(
    disk: &dyn Disk,
    slots: &Dir,
    slot: &str,
    operation: &Operation,
    snapshot: &Snapshot,
) -> Result<bool, DiskError> {
    let mut found = BTreeMap::new();
    shapes(disk, slots, slot.as_ref(), EntryPath::from(&operation.path), &mut found)?;
    let top = EntryPath::from(&operation.path);
    let archived: BTreeMap<EntryPath, Shape> = snapshot
        .entries
        .range(top.clone()..)
        .take_while(|(path, _)| path.is_within(&top))
        .filter_map(|(path, entry)| Some((path.clone(), archived_shape(entry)?)))
        .collect();
    Ok(found != archived)
}

pub(super) fn archived_shape(entry: &Entry) -> Option<Shape> {
    let size = match entry {
        Entry::File(file) => file.content.size,
        Entry::Symlink { target, .. } => target.len() as u64,
        Entry::Absent | Entry::Directory { .. } => 0,
    };
    Some(shape(entry.kind(), size, entry.attributes()?.clone()))
}

/// The shape of what stands somewhere.
pub(super) fn shape_at(disk: &dyn Disk, at: At<'_>) -> Result<Option<Shape>, DiskError> {
    let Some(stat) = disk.stat(at).map_err(DiskError::at("look at", at.name))? else { return Ok(None) };
    Ok(Some(shape(stat.kind, stat.size, attributes_of(disk, at, &stat)?)))
}

fn shape(kind: Kind, size: u64, attributes: Attributes) -> Shape {
    match kind {
        // Its time says no more than the names in it.
        Kind::Directory => (kind, 0, Attributes { mtime: (0, 0).into(), ..attributes }),
        kind => (kind, size, attributes),
    }
}

fn shapes(
    disk: &dyn Disk,
    dir: &Dir,
    name: &std::ffi::OsStr,
    path: EntryPath,
    found: &mut BTreeMap<EntryPath, Shape>,
) -> Result<(), DiskError> {
    let Some(shape) = shape_at(disk, At { dir, name })? else { return Ok(()) };
    if shape.0 == Kind::Directory {
        let below = disk.open_dir(dir, name).map_err(DiskError::at("open", name))?;
        for name in disk.list(&below).map_err(DiskError::at("list", name))? {
            // A name that no snapshot can hold is one that was not archived.
            let child = path.join(&name).unwrap_or_else(|_| EntryPath::root());
            shapes(disk, &below, &name, child, found)?;
        }
    }
    found.insert(path, shape);
    Ok(())
}

/// Whether a staged module differs from what the plan says it is.
fn staged_changed(
    disk: &dyn Disk,
    slots: &Dir,
    slot: &str,
    operation: &Operation,
) -> Result<bool, DiskError> {
    let Action::Put { staged } = &operation.action else { return Ok(false) };
    let planned: BTreeMap<Vec<OsString>, &Content> = staged
        .iter()
        .map(|module| {
            let below = module.path.below(&operation.path).unwrap_or_default();
            (below.split('/').filter(|part| !part.is_empty()).map(OsString::from).collect(), &module.content)
        })
        .collect();
    Ok(!as_planned(disk, slots, slot.as_ref(), &[], &planned)?)
}

fn as_planned(
    disk: &dyn Disk,
    dir: &Dir,
    name: &std::ffi::OsStr,
    key: &[OsString],
    planned: &BTreeMap<Vec<OsString>, &Content>,
) -> Result<bool, DiskError> {
    let (Some(content), Some(observed)) = (planned.get(key), observe(disk, At { dir, name })?) else {
        return Ok(false);
    };
    let same = match (content, &observed.content) {
        (Content::File { digest, .. }, ObservedContent::File { digest: there, .. }) => digest == there,
        (Content::Symlink { target }, ObservedContent::Symlink { target: there }) => {
            target.as_bytes() == there
        }
        (Content::Directory { .. }, ObservedContent::Directory) => true,
        _ => false,
    };
    if observed.stat.kind == Kind::Directory {
        let below = disk.open_dir(dir, name).map_err(DiskError::at("open", name))?;
        for name in disk.list(&below).map_err(DiskError::at("list", name))? {
            let key = [key, std::slice::from_ref(&name)].concat();
            if !as_planned(disk, &below, &name, &key, planned)? {
                return Ok(false);
            }
        }
    }
    Ok(same)
}
