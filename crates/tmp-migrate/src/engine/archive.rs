//! Archives everything the plan touches, reads the archive back, and compares it with what the plan
//! expects: the last look at the target before anything is staged.

use std::path::Path;

use tmp_archive::{Capture, DatabaseCopy, Entry, EntryPath, Snapshot, SnapshotId, SnapshotKind};
use tmp_core::{
    ModulePath,
    event::{Progress, Work},
    module::{Expected, Kind},
    mutant,
    plan::{Action, Operation, Plan},
};
use tmp_disk::{At, DiskError, remove_tree};

use super::{
    error::Trouble,
    run::Run,
    sight::{self, Sight},
};
use crate::journal::Fact;

/// The database's copy in the migration's folder, until it is in the archive.
const COPY: &str = "database-copy";

impl Run<'_, '_> {
    /// Archives, verifies, records. Answers what was seen of the target just before.
    pub(super) fn archive(&mut self) -> Result<Sight, Trouble> {
        let seen = sight::sight(&self.tree, self.plan)?;
        self.snapshot(SnapshotId::from_bits(self.migration().bits()))?;
        Ok(seen)
    }

    /// Archives once more, because somebody wrote to the database after the first time.
    pub(super) fn archive_again(&mut self) -> Result<(), Trouble> {
        let id = crate::ids::new_id(self.site.clock().now());
        self.snapshot(SnapshotId::from_bits(id.bits()))
    }

    fn snapshot(&mut self, id: SnapshotId) -> Result<(), Trouble> {
        let paths = archived_paths(self.plan);
        self.copy_database()?;
        let since = self.site.clock().elapsed();
        let target = &self.plan.target;
        let database = self.plan.database.as_ref().map(|planned| DatabaseCopy {
            name: planned.name.clone(),
            engine: planned.engine,
            at: At::new(&self.folder.dir, COPY),
            fingerprint: None,
        });
        let capture = Capture {
            id,
            kind: SnapshotKind::Portion,
            parent: None,
            migration: Some(self.migration().clone()),
            system: target.system.clone(),
            environment: target.environment,
            site: target.site.clone(),
            made: self.site.clock().now(),
            tree: &self.tree,
            paths: &paths,
            databases: database.as_slice(),
        };
        let site = self.site;
        let captured = site.archive.capture(&capture, &mut |done, bytes| {
            self.party.observer.progress(&Progress { work: Work::Archive, done, total: 0, bytes });
        })?;
        self.done(Work::Archive, captured.totals.entries, captured.totals.bytes, since);
        let since = self.site.clock().elapsed();
        if !mutant::is("archive-verify") {
            site.archive.verify(&id, &mut |done, bytes| {
                self.party.observer.progress(&Progress { work: Work::VerifyArchive, done, total: 0, bytes });
            })?;
        }
        self.done(Work::VerifyArchive, captured.totals.entries, captured.totals.bytes, since);
        remove_tree(self.disk(), At::new(&self.folder.dir, COPY))?;
        let snapshot = self.site.archive.read(&id)?;
        self.expected(&snapshot)?;
        // Nothing is touched before PREPARED, which makes this durable too.
        self.announce(Fact::Archived { snapshot: id })?;
        self.unless_stopped()
    }

    fn copy_database(&mut self) -> Result<(), Trouble> {
        let copy = self.folder.path.join(COPY);
        let Some(database) = self.database().map_err(Trouble::TurnBack)? else { return Ok(()) };
        database.copy_to(Path::new(&copy))?;
        let disk = self.disk();
        let at = At::new(&self.folder.dir, COPY);
        disk.open_file_to_write(at)
            .and_then(|file| disk.sync_file(&file))
            .map_err(DiskError::at("make durable", &copy))?;
        Ok(())
    }

    /// What was archived must be what the plan was made for.
    fn expected(&self, snapshot: &Snapshot) -> Result<(), Trouble> {
        let mut drift = Vec::new();
        for operation in self.plan.operations.iter().filter(|operation| is_archived(operation)) {
            let found = kind(snapshot, &operation.path);
            if found != operation.replaces {
                drift.push(format!("{}: {found} instead of {}", operation.path, operation.replaces));
            }
        }
        for change in &self.plan.enhancement.modules {
            let Some(expected) = &change.expected else { continue };
            if snapshot.entry(&EntryPath::from(&change.path)).is_some_and(|entry| !fits(entry, expected)) {
                drift.push(format!("{}: it is not what the enhancement replaces", change.path));
            }
        }
        if drift.is_empty() {
            Ok(())
        } else {
            Err(Trouble::TurnBack(format!("the target changed after it was planned: {}", drift.join("; "))))
        }
    }
}

/// Everything that is archived.
pub(super) fn archived_paths(plan: &Plan) -> Vec<ModulePath> {
    let operations = plan.operations.iter().filter(|operation| is_archived(operation));
    operations.map(|operation| &operation.path).chain(&plan.also_archived).cloned().collect()
}

/// Whether the archive holds what an operation changes: not for a directory whose mode alone changes,
/// because the plan and the journal know that mode and the archive would take in all it holds.
fn is_archived(operation: &Operation) -> bool {
    !(matches!(operation.action, Action::SetMode { .. }) && operation.replaces == Kind::Directory)
}

fn kind(snapshot: &Snapshot, path: &ModulePath) -> Kind {
    snapshot.entry(&EntryPath::from(path)).map_or(Kind::Absent, Entry::kind)
}

fn fits(entry: &Entry, expected: &Expected) -> bool {
    match (entry, expected) {
        (Entry::Absent, Expected::Absent) | (Entry::Directory { .. }, Expected::Directory) => true,
        (Entry::File(file), Expected::File { digest }) => file.content.digest == *digest,
        (Entry::Symlink { target, .. }, Expected::Symlink { target: wanted }) => target == wanted.as_bytes(),
        _ => false,
    }
}
