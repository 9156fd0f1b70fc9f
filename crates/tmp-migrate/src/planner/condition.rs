//! The conditions of a migration besides its modules: target, databases, space, rights.

use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use tmp_core::{
    ModulePath,
    database::{Database, DatabaseFacts},
    enhancement::{Enhancement, SqlRollback, TransactionMode},
    module::{Content, Kind},
    path::RESERVED,
    plan::{Action, Needs, Operation, PlannedDatabase, PlannedStep},
};
use tmp_disk::{Tree, keeps};

use super::{Normalised, PlanFault, PlanRequest};
use crate::{drift, past::Past, workplace::Workplace};

/// What a journal record takes besides its operations, generously, in bytes.
const RECORD: u64 = 4096;

/// What one operation takes in the journal, generously, in bytes.
const OPERATION: u64 = 256;

/// Whether the enhancement is for this system, and can be run alone.
pub(super) fn conditions(workplace: &Workplace, request: &PlanRequest<'_>) -> Vec<PlanFault> {
    let target = &workplace.target;
    let mut faults = Vec::new();
    if request.enhancement.system != target.system {
        let message = format!("it is for system {}, this is {}", request.enhancement.system, target.system);
        let help = "take the trigger file that was made for this system";
        faults.push(PlanFault::new("system", &request.enhancement.id, message, help));
    }
    let together = request.enhancement.together_with.iter();
    for other in together {
        let message = format!("it moves as one unit with {other}, and groups cannot be run yet");
        let help = "package both in one enhancement";
        faults.push(PlanFault::new("group", &request.enhancement.id, message, help));
    }
    faults
}

/// Whether everything that is written lies where it stays: the modules, the state directory, the database.
pub(super) fn file_systems(
    workplace: &Workplace,
    tree: &Tree,
    database: Option<&PlannedDatabase>,
    faults: &mut Vec<PlanFault>,
) {
    let (disk, target) = (workplace.disk.as_ref(), &workplace.target);
    let state = workplace.state.ancestors().find(|path| path.is_dir());
    let others = state
        .into_iter()
        .chain(database.iter().flat_map(|planned| &planned.directories).map(Utf8PathBuf::as_path));
    let others = others.filter_map(|path| Some((path, disk.open_root(Path::new(path)).ok()?)));
    let root = std::iter::once((target.root.as_path(), tree.root().clone()));
    for (path, dir) in root.chain(others) {
        if let Err(refusal) = keeps(disk, (&dir, Path::new(path)), target.ephemeral) {
            let help = "put it on a local disk (ext4, XFS, btrfs)";
            faults.push(PlanFault::new("file-system", path, refusal.to_string(), help));
        }
    }
}

/// Paths below the root that belong to databases or to TMP: never modules.
pub(crate) fn forbidden_paths(root: &Utf8Path, databases: &[Box<dyn Database>]) -> Vec<ModulePath> {
    let real_root = root.canonicalize_utf8().unwrap_or_else(|_| root.to_owned());
    let below = |file: &Utf8PathBuf| {
        let relative = file.strip_prefix(&real_root).or_else(|_| file.strip_prefix(root)).ok()?;
        relative.as_str().parse().ok()
    };
    databases.iter().flat_map(|database| database.files()).filter_map(|file| below(&file)).collect()
}

/// A database, and what it said of itself a moment ago where it answered.
pub(super) type Asked = (PlannedDatabase, Option<DatabaseFacts>);

/// The one database whose COMMIT will be the commit point, and what it said of itself.
pub(super) fn database(
    enhancement: &Enhancement,
    databases: &mut [Box<dyn Database>],
    faults: &mut Vec<PlanFault>,
) -> Option<Asked> {
    let mut names: Vec<_> = enhancement.sql.iter().map(|change| &change.database).collect();
    names.sort();
    names.dedup();
    let name = match names.as_slice() {
        [] => return None,
        [name] => *name,
        several => {
            let message = format!("it changes {} databases", several.len());
            let help = "one database is the commit point; make one enhancement for each database";
            faults.push(PlanFault::new("several-databases", &enhancement.id, message, help));
            return None;
        }
    };
    let Some(database) = databases.iter_mut().find(|database| database.name() == name) else {
        let help = "configure it under `databases` of the site in tmp.yaml";
        faults.push(PlanFault::new("database", name, "this site has no such database", help));
        return None;
    };
    let engine = database.engine();
    if let Some(wanted) = enhancement.databases.get(name).filter(|wanted| **wanted != engine) {
        let message = format!("the enhancement was written for {wanted}, this is {engine}");
        faults.push(PlanFault::new("engine", name, message, "package it for the engine of this site"));
    }
    let inspected = database.inspect();
    let notes = inspected.iter().flat_map(|facts| std::iter::once(&facts.version).chain(&facts.notes));
    let notes = notes.cloned().collect();
    if let Err(error) = &inspected {
        let help = "the database must answer before a migration is planned";
        faults.push(PlanFault::new("database", name, crate::text(error), help));
    }
    database.release();
    let mut directories: Vec<_> =
        database.files().iter().filter_map(|file| file.parent().map(Utf8Path::to_owned)).collect();
    directories.sort();
    directories.dedup();
    Some((PlannedDatabase { name: name.clone(), engine, notes, directories }, inspected.ok()))
}

/// Whether everything that is touched is as TMP last left it.
pub(super) fn drift(
    (workplace, past): (&Workplace, &mut Past),
    (tree, operations): (&Tree, &[Operation]),
    (planned, databases): (Option<&Asked>, &mut [Box<dyn Database>]),
    faults: &mut Vec<PlanFault>,
) {
    let left = match past.left(&workplace.target.root) {
        Ok(left) => left,
        Err(error) => {
            let help = "what TMP last left there is not known; see `tmp status`";
            faults.push(PlanFault::new("journal", &workplace.state, crate::text(&error), help));
            return;
        }
    };
    let mut found = Vec::new();
    for (path, module) in operations.iter().flat_map(|operation| left.within(&operation.path)) {
        match module.drift(tree, path) {
            Ok(drift) => found.extend(drift),
            Err(error) => {
                let help = "TMP must be able to look at the module; mend its permissions or its parent";
                faults.push(PlanFault::new("unreadable", path, crate::text(&error), help));
            }
        }
    }
    let database = planned.and_then(|(planned, facts)| {
        let left = left.databases.get(&planned.name)?;
        let database = databases.iter_mut().find(|database| *database.name() == planned.name)?;
        drift::schema(database.as_mut(), facts.as_ref(), left)
    });
    found.extend(database);
    for drift in found {
        let message = format!("{}, and migration {} left it otherwise", drift.what, drift.left_by);
        let help = "put it back, or accept what is there: tmp drift SITE --accept --reason …";
        // Where the enhancement was made against something else, that is said already.
        if !faults.iter().any(|fault| fault.rule == "drift" && fault.subject == drift.subject) {
            faults.push(PlanFault::new("drift", &drift.subject, message, help));
        }
    }
}

/// What the migration takes, generously.
pub(super) fn needs(
    normalised: &Normalised,
    written: u64,
    steps: &[PlannedStep],
    database: Option<&DatabaseFacts>,
) -> Needs {
    let mut needs = Needs::default();
    for operation in &normalised.operations {
        needs.journal += OPERATION + operation.path.as_str().len() as u64;
        let Action::Put { staged } = &operation.action else { continue };
        needs.inodes += staged.len() as u64;
        for module in staged {
            if let Content::File { size, .. } = module.content {
                needs.staged += size.next_multiple_of(4096);
            }
        }
    }
    needs.journal += RECORD * (16 + 4 * steps.len() as u64);
    needs.archive = normalised.replaced + written;
    // The copy beside the archive, and the archive.
    needs.archive += database.map_or(0, |facts| 2 * facts.size);
    needs
}

/// Whether there is room for it.
pub(super) fn space(workplace: &Workplace, tree: &Tree, needs: &Needs, faults: &mut Vec<PlanFault>) {
    let mut room = |place: &Utf8Path, dir: &tmp_disk::Dir, bytes: u64, inodes: u64| {
        let Ok(system) = workplace.disk.file_system(dir) else { return };
        if system.free_bytes < bytes || system.free_inodes.is_some_and(|free| free < inodes) {
            let message =
                format!("{bytes} bytes and {inodes} inodes are needed, {} bytes are free", system.free_bytes);
            faults.push(PlanFault::new("space", place, message, "make room, or move the state directory"));
        }
    };
    room(&workplace.target.root, tree.root(), needs.staged, needs.inodes);
    let existing = workplace.state.ancestors().find(|path| path.is_dir());
    if let Some(existing) = existing
        && let Ok(dir) = workplace.disk.open_root(Path::new(existing))
    {
        room(existing, &dir, needs.archive + needs.journal, 8);
    }
}

/// What a person should know before the migration runs.
pub(super) fn warnings(tree: &Tree, enhancement: &Enhancement, normalised: &Normalised) -> Vec<String> {
    let mut warnings = Vec::new();
    for change in &enhancement.sql {
        if let SqlRollback::Irreversible { why } = &change.rollback {
            warnings.push(format!(
                "SQL change {} cannot be taken back by a script once it is committed ({why}); until others \
                 write to the database, the archive can",
                change.name
            ));
        }
        if change.transaction == TransactionMode::None {
            warnings.push(format!(
                "SQL change {} runs outside the transaction: it has no single commit point with the files",
                change.name
            ));
        }
    }
    for step in enhancement.batch.iter().filter(|step| step.rollback.is_none() && step.writes.is_empty()) {
        warnings.push(format!("batch step {} declares no way back", step.name));
    }
    let linked = |operation: &&Operation| {
        operation.replaces == Kind::File
            && tree.stat(&operation.path).is_ok_and(|stat| stat.is_some_and(|stat| stat.links > 1))
    };
    let linked: Vec<&Operation> = normalised.operations.iter().filter(linked).collect();
    if let Some(first) = linked.first() {
        let (count, first) = (linked.len(), &first.path);
        warnings.push(format!(
            "modules that are one of several names of a file: {count}, such as {first}; what other names the file \
             has keep the old content unless the enhancement lists them too"
        ));
    }
    warnings.extend(normalised.operations.iter().filter_map(|operation| widened(tree, operation)));
    for operation in &normalised.operations {
        if let Action::Put { staged } = &operation.action {
            for module in staged {
                if matches!(&module.content, Content::File { mode, .. } if mode.changes_identity()) {
                    warnings.push(format!(
                        "{} runs with another identity (set-user-id or set-group-id)",
                        module.path
                    ));
                }
            }
        }
    }
    if !rustix::process::geteuid().is_root() {
        warnings.push("TMP does not run as root: owners that differ from its own cannot be restored".into());
    }
    if tree.path().join(RESERVED).exists() {
        warnings.push(format!("{RESERVED} lies in the root: it is TMP's work directory"));
    }
    warnings
}

/// Whether group, others, or whoever runs it may do more with a module than with what it replaces.
fn widened(tree: &Tree, operation: &Operation) -> Option<String> {
    let (from, to) = match &operation.action {
        Action::SetMode { from, to } => (*from, *to),
        Action::Put { staged } if operation.replaces == Kind::File => match staged.first()?.content {
            Content::File { mode, .. } => (tree.stat(&operation.path).ok()??.mode, mode),
            _ => return None,
        },
        Action::Put { .. } | Action::Remove => return None,
    };
    let more = to.bits() & !from.bits() & 0o6077 != 0;
    more.then(|| format!("{} gets wider rights than what it replaces: mode {from} -> {to}", operation.path))
}
