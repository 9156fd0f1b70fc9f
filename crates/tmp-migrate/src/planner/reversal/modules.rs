//! The modules of a reversal: what stood at each path before, from the archive.

use std::collections::BTreeMap;

use tmp_archive::{Entry, EntryPath, Snapshot};
use tmp_core::{
    ModulePath,
    module::{Attributes, Change, Content, ItemKind, ModuleChange},
    plan::{Action, Operation, Plan},
};

use super::super::PlanFault;

/// What becomes of the modules.
#[derive(Default)]
pub(super) struct Back {
    /// Sorted by path.
    pub(super) changes: Vec<ModuleChange>,
    /// Those of modules that come back.
    pub(super) attributes: BTreeMap<ModulePath, Attributes>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn back(plan: &Plan, snapshot: &Snapshot, faults: &mut Vec<PlanFault>) -> Back {
    let mut changes = BTreeMap::new();
    let mut back = Back::default();
    for operation in &plan.operations {
        match &operation.action {
            Action::SetMode { from, .. } => {
                let entry = snapshot.entry(&EntryPath::from(&operation.path));
                let content = match entry {
                    Some(Entry::File(file)) => {
                        Content::File { digest: file.content.digest, size: file.content.size, mode: *from }
                    }
                    _ => Content::Directory { mode: *from },
                };
                changes.insert(operation.path.clone(), Change::Put(content));
            }
            Action::Put { staged } => {
                changes.extend(staged.iter().map(|module| (module.path.clone(), Change::Remove)));
                archived(operation, snapshot, &mut changes, &mut back, faults);
            }
            Action::Remove => archived(operation, snapshot, &mut changes, &mut back, faults),
        }
    }
    back.changes = changes.into_iter().map(|(path, change)| module(path, change)).collect();
    back
}

fn module(path: ModulePath, change: Change) -> ModuleChange {
    ModuleChange { path, change, expected: None, owner: None, kind: ItemKind::Program }
}

/// Everything that the archive holds at and below the operation's path.
fn archived(
    operation: &Operation,
    snapshot: &Snapshot,
    changes: &mut BTreeMap<ModulePath, Change>,
    back: &mut Back,
    faults: &mut Vec<PlanFault>,
) {
    let top = EntryPath::from(&operation.path);
    let entries = snapshot.entries.range(top.clone()..).take_while(|(path, _)| path.is_within(&top));
    for (path, entry) in entries {
        let Some(attributes) = entry.attributes() else { continue };
        let (Ok(path), Some(content)) = (path.to_string().parse::<ModulePath>(), content(entry)) else {
            let why = "its name, or where it points to, is not UTF-8";
            let help = "put it back by `tmp archive restore` once the rest is reversed by hand";
            faults.push(PlanFault::new("reversal", path, why, help));
            continue;
        };
        if let Entry::File(file) = entry
            && file.links > 1
        {
            back.warnings
                .push(format!("{path} had {} names: it comes back as a file of its own", file.links));
        }
        back.attributes.insert(path.clone(), attributes.clone());
        changes.insert(path, Change::Put(content));
    }
}

fn content(entry: &Entry) -> Option<Content> {
    Some(match entry {
        Entry::Absent => return None,
        Entry::File(file) => {
            Content::File { digest: file.content.digest, size: file.content.size, mode: file.attributes.mode }
        }
        Entry::Directory { attributes } => Content::Directory { mode: attributes.mode },
        Entry::Symlink { target, .. } => Content::Symlink { target: String::from_utf8(target.clone()).ok()? },
    })
}
