//! The modification times that a rollback gives back to directories.

use std::{io, path::Path};

use tmp_core::{
    ModulePath,
    module::{Kind, Timestamp},
    plan::{Action, Plan},
};
use tmp_disk::{At, DiskError, Tree};

use super::{home::Home, site::Site};
use crate::planner::{globs, matches_below};

/// The modification times of the directories that a migration disturbs.
pub(super) struct Times {
    pub(super) directories: Vec<(Option<ModulePath>, Timestamp)>,
    pub(super) database_directories: Vec<(String, Timestamp)>,
    /// That of the directory that holds a root which is exchanged.
    pub(super) parent: Option<Timestamp>,
}

impl Times {
    /// Reads them. To be called before the database is opened: in WAL mode that alone makes files beside
    /// it.
    pub(super) fn read(
        site: &Site,
        (tree, home): (&Tree, Option<&Home>),
        plan: &Plan,
    ) -> Result<Self, DiskError> {
        Ok(Self {
            directories: disturbed_directories(tree, plan)?,
            database_directories: database_directories(site, plan)?,
            parent: home.map(|home| home.time(site.disk())).transpose()?,
        })
    }
}

/// Directories whose modification time a rename in them, or of them, disturbs; and those that batch
/// steps write in.
fn disturbed_directories(
    tree: &Tree,
    plan: &Plan,
) -> Result<Vec<(Option<ModulePath>, Timestamp)>, DiskError> {
    let mut paths = Vec::new();
    for operation in &plan.operations {
        let moved = !matches!(operation.action, Action::SetMode { .. });
        paths.push(operation.path.parent());
        if moved && operation.replaces == Kind::Directory {
            paths.push(Some(operation.path.clone()));
        }
    }
    for path in &plan.also_archived {
        paths.push(path.parent());
    }
    let patterns: Vec<String> = plan.enhancement.batch.iter().flat_map(|step| step.writes.clone()).collect();
    let set = globs(&patterns).map_err(|fault| DiskError {
        doing: "match",
        path: patterns.join(", "),
        source: io::Error::new(io::ErrorKind::InvalidInput, fault.message),
    })?;
    for (path, _) in matches_below(tree, &patterns, &set)? {
        paths.push(path.parent());
        paths.push(Some(path));
    }
    paths.sort();
    paths.dedup();
    let mut times = Vec::new();
    for path in paths {
        let stat = match &path {
            None => {
                tree.disk().stat(At::itself(tree.root())).map_err(DiskError::at("look at", "the root"))?
            }
            Some(path) => tree.stat(path)?,
        };
        if let Some(stat) = stat.filter(|stat| stat.kind == Kind::Directory) {
            times.push((path, stat.mtime));
        }
    }
    Ok(times)
}

fn database_directories(site: &Site, plan: &Plan) -> Result<Vec<(String, Timestamp)>, DiskError> {
    let mut times = Vec::new();
    for path in plan.database.iter().flat_map(|planned| &planned.directories) {
        let wrap = DiskError::at("look at", path);
        let stat = site
            .disk()
            .open_root(Path::new(path))
            .and_then(|dir| site.disk().stat(At::itself(&dir)))
            .map_err(wrap)?;
        times.extend(stat.map(|stat| (path.to_string(), stat.mtime)));
    }
    Ok(times)
}
