//! Processes that use what a migration replaces or removes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use camino::Utf8PathBuf;
use tmp_core::{
    module::Kind,
    plan::{Action, Plan},
};

/// A process that goes on with an old module until it is started anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InUse {
    /// What it uses, below the root; empty for the root itself.
    pub path: Utf8PathBuf,
    /// Its number.
    pub process: i32,
    /// What it calls itself, without control characters.
    pub name: String,
}

/// The processes that run, map, have open or work in what `plan` replaces or removes, by path, and where a whole tree is
/// exchanged also those that work in it. Reads proc(5): of others' processes only root sees that. A process that begins
/// afterwards is not seen, so this is for people to look at and nothing may rest on it.
pub fn in_use(plan: &Plan) -> Vec<InUse> {
    let Ok(root) = fs::canonicalize(&plan.target.root) else { return Vec::new() };
    let goes = plan.operations.iter().filter(|operation| {
        operation.replaces != Kind::Absent && !matches!(operation.action, Action::SetMode { .. })
    });
    let goes: Vec<&Path> = goes.map(|operation| Path::new(operation.path.as_str())).collect();
    let mut found = BTreeSet::new();
    for process in processes() {
        let folder = PathBuf::from(format!("/proc/{process}"));
        let mut uses = used(&folder);
        uses.retain(|path| {
            path.strip_prefix(&root).is_ok_and(|path| goes.iter().any(|gone| path.starts_with(gone)))
        });
        if plan.tree.is_some() {
            uses.extend(link(&folder.join("cwd")).filter(|path| path.starts_with(&root)));
        }
        for path in uses {
            let Some(path) = path.strip_prefix(&root).ok().and_then(|path| path.to_str()) else { continue };
            found.insert(InUse { path: path.into(), process, name: name(&folder) });
        }
    }
    found.into_iter().collect()
}

/// Every process but this one.
fn processes() -> impl Iterator<Item = i32> {
    let all = fs::read_dir("/proc").into_iter().flatten();
    let numbers = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|process| u32::try_from(*process) != Ok(std::process::id()))
}

/// What a process runs, works in, has open and maps, as far as it can be read.
fn used(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found: BTreeSet<PathBuf> =
        ["exe", "cwd"].iter().filter_map(|name| link(&folder.join(name))).collect();
    let open = fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
    found.extend(open.filter_map(|entry| link(&entry.path())));
    // The sixth column is the path, where there is one.
    let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| line.split_once('/').map(|(_, path)| format!("/{path}")));
    found.extend(mapped.map(PathBuf::from));
    found
}

fn link(path: &Path) -> Option<PathBuf> {
    fs::read_link(path).ok()
}

fn name(folder: &Path) -> String {
    let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
    name.chars().filter(|character| !character.is_control()).collect()
}
