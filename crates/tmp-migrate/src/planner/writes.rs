//! What batch steps write outside the modules: which paths those are, now and later.

use globset::GlobSet;
use tmp_core::{
    ModulePath,
    enhancement::Enhancement,
    module::Kind,
    plan::{Action, Operation},
};
use tmp_disk::{Dir, DiskError, Tree};

use super::{PlanFault, globs};

/// The paths below the root that match what any batch step writes, with their bytes in all. Where
/// nothing stands at the fixed beginning of a glob, the topmost absent directory is one of them, so that its
/// absence is archived.
pub(super) fn expand(
    tree: &Tree,
    enhancement: &Enhancement,
    (operations, ignore): (&[Operation], &[String]),
    forbidden: &[ModulePath],
    faults: &mut Vec<PlanFault>,
) -> (Vec<ModulePath>, u64) {
    let patterns: Vec<String> = enhancement.batch.iter().flat_map(|step| step.writes.clone()).collect();
    faults.extend(ignored(&patterns, ignore));
    match written(tree, &patterns).and_then(|found| Ok((found, globs(&patterns)?))) {
        Ok(((paths, bytes), set)) => {
            faults.extend(switched(&paths, &set, operations));
            for path in &paths {
                if forbidden.iter().any(|file| file == path || file.is_below(path)) {
                    let help = "a batch step cannot write a database's file; use sql";
                    faults.push(PlanFault::new("database-file", path, "a batch step writes it", help));
                }
            }
            (paths, bytes)
        }
        Err(fault) => {
            faults.push(fault);
            (Vec::new(), 0)
        }
    }
}

/// Globs that reach what an operation switches: putting back what a step wrote would undo the switch.
fn switched(paths: &[ModulePath], set: &GlobSet, operations: &[Operation]) -> Vec<PlanFault> {
    let overlap = |a: &ModulePath, b: &ModulePath| a == b || a.is_below(b) || b.is_below(a);
    let hit = |operation: &&Operation| {
        let staged = match &operation.action {
            Action::Put { staged } => staged.as_slice(),
            Action::Remove | Action::SetMode { .. } => &[],
        };
        let modules = std::iter::once(&operation.path).chain(staged.iter().map(|module| &module.path));
        modules.into_iter().any(|path| set.is_match(path.as_str()))
            || paths.iter().any(|path| overlap(path, &operation.path))
    };
    let help = "a batch step writes beside the modules: name what it writes, and no module, in `writes`";
    let fault = |operation: &Operation| {
        PlanFault::new("writes-module", &operation.path, "a batch step's `writes` reaches this module", help)
    };
    operations.iter().filter(hit).map(fault).collect()
}

/// Globs that may reach live data which tmp.yaml says to leave alone. One that lies within such data names
/// a part of it on purpose.
fn ignored(patterns: &[String], ignore: &[String]) -> Vec<PlanFault> {
    let reaches = |pattern: &&String| {
        let written = base(pattern);
        ignore.iter().any(|live| match (&written, base(live)) {
            (None, _) => true,
            (Some(_), None) => live.contains('/') || live.contains("**"),
            (Some(written), Some(live)) => live == *written || live.is_below(written),
        })
    };
    let help = "name in `writes` only what the step changes, apart from what tmp.yaml ignores";
    let message = "a batch step's `writes` may reach live data that tmp.yaml ignores";
    let fault = |pattern: &String| PlanFault::new("writes-ignored", pattern, message, help);
    patterns.iter().filter(reaches).map(fault).collect()
}

fn written(tree: &Tree, patterns: &[String]) -> Result<(Vec<ModulePath>, u64), PlanFault> {
    let unreadable = |error: DiskError| {
        let help = "TMP must be able to look at what a batch step writes";
        PlanFault::new("unreadable", "batch writes", crate::text(&error), help)
    };
    let set = globs(patterns)?;
    let mut bytes = 0;
    let mut paths = Vec::new();
    for (path, size) in matches_below(tree, patterns, &set).map_err(unreadable)? {
        bytes += size;
        paths.push(path);
    }
    for base in patterns.iter().filter_map(|pattern| base(pattern)) {
        let chain = std::iter::once(base.clone()).chain(base.ancestors());
        let mut absent = None;
        for path in chain {
            if tree.stat(&path).map_err(unreadable)?.is_some() {
                break;
            }
            absent = Some(path);
        }
        paths.extend(absent);
    }
    paths.sort();
    paths.dedup();
    Ok((paths, bytes))
}

/// The part of a glob before its first special character, whole components only.
pub(crate) fn base(pattern: &str) -> Option<ModulePath> {
    let fixed: Vec<&str> =
        pattern.split('/').take_while(|part| !part.contains(['*', '?', '[', '{', '\\'])).collect();
    fixed.join("/").parse().ok()
}

/// The files, symlinks and directories below the root that `set`, made of `patterns`, matches, with
/// their bytes. Sorted, parents before children; only below the fixed beginnings of the patterns.
pub(crate) fn matches_below(
    tree: &Tree,
    patterns: &[String],
    set: &GlobSet,
) -> Result<Vec<(ModulePath, u64)>, DiskError> {
    let mut bases: Vec<Option<ModulePath>> = patterns.iter().map(|pattern| base(pattern)).collect();
    bases.sort();
    bases.dedup();
    let mut found = Vec::new();
    for base in bases {
        let dir = match &base {
            None => Some(tree.root().clone()),
            Some(path) => match (tree.stat(path)?, tree.locate(path)?) {
                (Some(stat), Some(place)) => {
                    if set.is_match(path.as_str()) {
                        found.push((path.clone(), stat.size));
                    }
                    let opened = (stat.kind == Kind::Directory)
                        .then(|| tree.disk().open_dir(&place.dir, &place.name))
                        .transpose();
                    opened.map_err(|source| DiskError { doing: "open", path: path.to_string(), source })?
                }
                _ => None,
            },
        };
        if let Some(dir) = dir {
            walk(tree, &dir, base.as_ref(), set, &mut found)?;
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn walk(
    tree: &Tree,
    dir: &Dir,
    path: Option<&ModulePath>,
    set: &GlobSet,
    found: &mut Vec<(ModulePath, u64)>,
) -> Result<(), DiskError> {
    let shown = path.map_or("the root", ModulePath::as_str);
    let wrap = |doing, source| DiskError { doing, path: shown.to_owned(), source };
    let disk = tree.disk();
    for name in disk.list(dir).map_err(|source| wrap("list", source))? {
        let child = name.to_str().and_then(|name| match path {
            Some(path) => path.join(name).ok(),
            None => name.parse().ok(),
        });
        let Some(child) = child else { continue };
        let at = tmp_disk::At::new(dir, &name);
        let Some(stat) = disk.stat(at).map_err(|source| wrap("stat", source))? else { continue };
        if set.is_match(child.as_str()) {
            found.push((child.clone(), stat.size));
        }
        if stat.kind == Kind::Directory {
            let below = disk.open_dir(dir, &name).map_err(|source| wrap("open", source))?;
            walk(tree, &below, Some(&child), set, found)?;
        }
    }
    Ok(())
}
