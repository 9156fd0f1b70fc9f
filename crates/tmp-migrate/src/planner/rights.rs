//! Whether TMP may do what the plan says, and take it back: asked of the disk for every path before
//! anything is touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use camino::Utf8Path;
use tmp_core::{
    ModulePath,
    module::{Kind, Timestamp},
    plan::{Action, Operation, StagedModule},
};
use tmp_disk::{At, Disk, DiskError, Place, Right, Tree};

use super::PlanFault;
use crate::{
    engine::{staged_attributes, surroundings},
    workplace::Workplace,
};

const TIME_BACK: &str = "give it its modification time back after a rollback";

/// How a directory in which names change is made right.
const OWN: &str = "let the user that TMP runs as own the directory, or run TMP as root";
const READ: &str = "what changes is archived first: give the user that TMP runs as the right to read it";
const WRITE: &str = "give the user that TMP runs as the right to write and search there, or run TMP as root";

/// Asks for every right of the operations, of what is archived beside them, and of TMP's own directories.
pub(super) fn rights(
    workplace: &Workplace,
    tree: &Tree,
    operations: &[Operation],
    also_archived: &[ModulePath],
    faults: &mut Vec<PlanFault>,
) {
    let mut asking = Asking { tree, parents: BTreeSet::new(), faults };
    for operation in operations {
        asking.unless_unreadable(&operation.path, |asking| asking.operation(operation));
    }
    let mut covered: Option<&ModulePath> = None;
    for path in also_archived {
        if covered.is_none_or(|top| !path.is_below(top)) {
            covered = Some(path);
            asking.unless_unreadable(path, |asking| match tree.locate(path)? {
                Some(place) => asking.archived(path, &place, false),
                None => Ok(()),
            });
        }
    }
    for place in [&workplace.target.work, &workplace.state] {
        let fault = own_directory(workplace.disk.as_ref(), place);
        // Both may have to be made in one directory.
        let fault = fault.filter(|fault| !asking.faults.contains(fault));
        asking.faults.extend(fault);
    }
}

/// Whether TMP may make its own directory, or work in the one that is there.
fn own_directory(disk: &dyn Disk, wanted: &Utf8Path) -> Option<PlanFault> {
    for place in wanted.ancestors() {
        let asked =
            disk.open_root(Path::new(place)).and_then(|dir| disk.may(Right::Change(At::itself(&dir))));
        match asked {
            Ok(()) => return None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("TMP may not add and remove names in it: {error}");
                return Some(PlanFault::new("rights", place, message, WRITE));
            }
        }
    }
    None
}

struct Asking<'a> {
    tree: &'a Tree,
    /// The directories that were asked about already.
    parents: BTreeSet<Option<ModulePath>>,
    faults: &'a mut Vec<PlanFault>,
}

impl Asking<'_> {
    /// One right; what is wrong without it, and how to mend that.
    fn ask(&mut self, right: Right<'_>, subject: &str, what: &str, help: &str) -> bool {
        let asked = self.tree.disk().may(right);
        if let Err(error) = &asked {
            let message = format!("TMP may not {what}: {error}");
            self.faults.push(PlanFault::new("rights", subject, message, help));
        }
        asked.is_ok()
    }

    fn unless_unreadable(&mut self, path: &ModulePath, ask: impl FnOnce(&mut Self) -> Result<(), DiskError>) {
        if let Err(error) = ask(self) {
            let help = "TMP must be able to look at the module; mend its permissions or its parent";
            self.faults.push(PlanFault::new("unreadable", path, crate::text(&error), help));
        }
    }

    fn operation(&mut self, operation: &Operation) -> Result<(), DiskError> {
        let path = &operation.path;
        let Some(place) = self.tree.locate(path)? else { return Ok(()) };
        match &operation.action {
            Action::SetMode { .. } => {
                let help = "let the user that TMP runs as own it, or run TMP as root";
                self.ask(Right::Adjust(place.at()), path.as_str(), "set its mode", help);
                // A directory is not archived for its mode, but opened to make that durable.
                if operation.replaces == Kind::Directory {
                    self.ask(Right::Enter(place.at()), path.as_str(), "list it", READ);
                } else {
                    self.archived(path, &place, false)?;
                }
            }
            Action::Put { .. } | Action::Remove => {
                self.parent(path, &place);
                self.archived(path, &place, true)?;
                if operation.replaces == Kind::Directory {
                    self.ask(Right::Adjust(place.at()), path.as_str(), TIME_BACK, OWN);
                }
            }
        }
        if let Action::Put { staged } = &operation.action { self.owners(path, staged) } else { Ok(()) }
    }

    /// The directory in which a module appears, goes or is exchanged. After a rollback it gets its
    /// modification time back, which only its owner may set.
    fn parent(&mut self, path: &ModulePath, place: &Place) {
        let parent = path.parent();
        if !self.parents.insert(parent.clone()) {
            return;
        }
        let root = self.tree.path().display().to_string();
        let shown = parent.as_ref().map_or(root.as_str(), ModulePath::as_str);
        let at = At::itself(&place.dir);
        if self.ask(Right::Change(at), shown, "add and remove names in it", WRITE) {
            self.ask(Right::Adjust(at), shown, TIME_BACK, OWN);
        }
    }

    /// What is read into the archive; `moves` where it is parked and removed later as well. To move a
    /// directory its own `..` is written.
    fn archived(&mut self, path: &ModulePath, place: &Place, moves: bool) -> Result<(), DiskError> {
        let disk = self.tree.disk();
        let wrap = |doing, source| DiskError { doing, path: path.to_string(), source };
        let found = disk.stat(place.at()).map_err(|source| wrap("look at", source))?;
        match found.map(|stat| stat.kind) {
            Some(Kind::File) => {
                self.ask(Right::Read(place.at()), path.as_str(), "read it", READ);
            }
            Some(Kind::Directory) => {
                if !self.ask(Right::Enter(place.at()), path.as_str(), "list it", READ) {
                    return Ok(());
                }
                if moves {
                    self.ask(Right::Change(place.at()), path.as_str(), "add and remove names in it", WRITE);
                }
                let dir = disk.open_dir(&place.dir, &place.name).map_err(|source| wrap("open", source))?;
                let mut names = disk.list(&dir).map_err(|source| wrap("list", source))?;
                names.sort();
                for name in names {
                    // Another name is refused elsewhere.
                    let Some(child) = name.to_str().and_then(|name| path.join(name).ok()) else { continue };
                    self.archived(&child, &Place { dir: dir.clone(), name }, moves)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The owners of what is staged: each pair is asked for once.
    fn owners(&mut self, path: &ModulePath, staged: &[StagedModule]) -> Result<(), DiskError> {
        let Some(surroundings) = surroundings(self.tree, &[], path)? else { return Ok(()) };
        let mut asked = BTreeMap::new();
        for (module, attributes) in
            staged.iter().zip(staged_attributes(staged, &surroundings, Timestamp::default()))
        {
            match attributes {
                Ok(attributes) => {
                    asked.entry((attributes.uid, attributes.gid)).or_insert(&module.path);
                }
                Err(error) => {
                    let help = "make the user or the group known to this machine, or name another `owner`";
                    self.faults.push(PlanFault::new("owner", &module.path, crate::text(&error), help));
                }
            }
        }
        for ((uid, gid), path) in asked {
            let what = format!("make {uid}:{gid} its owner and group");
            let help = "run TMP as root, or as that user and a member of that group, or name another `owner`";
            self.ask(Right::Give { uid, gid }, path.as_str(), &what, help);
        }
        Ok(())
    }
}
