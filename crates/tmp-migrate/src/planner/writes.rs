//! What batch steps write outside the modules: which paths those are, now and later.

use globset::GlobSet;
use tmp_core::{ModulePath, enhancement::Enhancement, module::Kind};
use tmp_disk::{Dir, DiskError, Tree};

use super::{PlanFault, globs};

/// The paths below the root that match what any batch step writes, with their bytes in all. Where
/// nothing stands at the fixed beginning of a glob, the topmost absent directory is one of them, so that its
/// absence is archived.
pub(super) fn expand(
    tree: &Tree,
    enhancement: &Enhancement,
    forbidden: &[ModulePath],
    faults: &mut Vec<PlanFault>,
) -> (Vec<ModulePath>, u64) {
    let patterns: Vec<String> = enhancement.batch.iter().flat_map(|step| step.writes.clone()).collect();
    match written(tree, &patterns) {
        Ok((paths, bytes)) => {
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
fn base(pattern: &str) -> Option<ModulePath> {
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
