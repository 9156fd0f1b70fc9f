//! Looking at a clone: its whole tree by a snapshot in an archive of the rehearsal's own, its database by
//! its fingerprint.

use std::{path::Path, sync::Arc};

use camino::Utf8PathBuf;
use tmp_archive::{Archive, Capture, DirectoryStore, Facet, Snapshot, SnapshotId, SnapshotKind};
use tmp_core::{
    Digest, ModulePath,
    clock::Clock,
    database::Database,
    digest::Hasher,
    plan::{Plan, Switch, Target},
};
use tmp_disk::{Disk, Tree};

use super::{RehearsalError, turn::Seen};
use crate::{ids::new_id, planner::forbidden_paths, workplace::Workplace};

/// Looks at one clone as often as wanted.
#[derive(Clone)]
pub(super) struct View {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    target: Target,
    archive: Utf8PathBuf,
    /// Files that change by other means than a migration's modules.
    except: Vec<ModulePath>,
}

impl View {
    /// A view of the clone that this workplace is for, with its archive in a directory of its own.
    pub(super) fn new(workplace: &Workplace, archive: Utf8PathBuf, databases: &[Box<dyn Database>]) -> Self {
        let Workplace { target, disk, clock, .. } = workplace;
        Self {
            disk: Arc::clone(disk),
            clock: Arc::clone(clock),
            except: forbidden_paths(&target.root, databases),
            target: target.clone(),
            archive,
        }
    }

    fn archive(&self) -> Result<Archive, RehearsalError> {
        let store = DirectoryStore::open(&self.disk, Path::new(&self.archive))?;
        Ok(Archive::open(Arc::new(store))?)
    }

    fn tree(&self) -> Result<Tree, RehearsalError> {
        Ok(Tree::open(&self.disk, Path::new(&self.target.root))?)
    }

    /// What tree and database are now.
    pub(super) fn see(
        &self,
        database: Option<&mut (dyn Database + 'static)>,
    ) -> Result<Seen, RehearsalError> {
        // The database first: opening it may make and remove files beside it, which shows in the tree.
        let database = database.map(|database| {
            let found = database.fingerprint();
            database.release();
            found
        });
        let now = self.clock.now();
        let id = SnapshotId::from_bits(new_id(now).bits());
        let capture = Capture {
            id,
            kind: SnapshotKind::System,
            parent: None,
            migration: None,
            system: self.target.system.clone(),
            environment: self.target.environment,
            site: self.target.site.clone(),
            made: now,
            tree: &self.tree()?,
            paths: &[],
            databases: &[],
        };
        self.archive()?.capture(&capture, &mut |_, _| {})?;
        Ok(Seen { tree: id, database: database.transpose()? })
    }

    /// In what the tree now differs from what was seen, one line for each; with `timeless`, modification
    /// times may differ, and what else says only that a migration was open.
    pub(super) fn differences(&self, seen: &Seen, timeless: bool) -> Result<Vec<String>, RehearsalError> {
        let differences = self.archive()?.compare(&seen.tree, &self.tree()?)?;
        let excepted = |path: &str| self.except.iter().any(|file| file.as_str() == path);
        // Where the whole tree is exchanged, the parked one has a name of each file while a migration is open.
        let passes = |facet: &Facet| match facet {
            Facet::Mtime => timeless,
            Facet::OutsideLinks => timeless && self.target.switch == Switch::Atomic,
            _ => false,
        };
        let told = differences
            .iter()
            .filter(|difference| !excepted(&difference.path.to_string()))
            .filter(|difference| !passes(&difference.facet));
        Ok(told.map(ToString::to_string).collect())
    }

    /// One digest of everything that was seen at the paths that a plan switches: for each path its name,
    /// type, mode, owner, and content or target.
    pub(super) fn touched(&self, seen: &Seen, plan: &Plan) -> Result<Digest, RehearsalError> {
        let Snapshot { entries, .. } = self.archive()?.read(&seen.tree)?;
        let mut hasher = Hasher::new();
        let within = |path: &str, top: &str| {
            path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
        };
        for (path, entry) in &entries {
            let shown = path.to_string();
            if plan.operations.iter().any(|operation| within(&shown, operation.path.as_str())) {
                hasher.update(line(&shown, entry).as_bytes());
            }
        }
        Ok(hasher.finish())
    }
}

fn line(path: &str, entry: &tmp_archive::Entry) -> String {
    use tmp_archive::Entry;
    let content = match entry {
        Entry::File(file) => file.content.digest.to_string(),
        Entry::Symlink { target, .. } => tmp_core::hex::encode(target),
        Entry::Absent | Entry::Directory { .. } => String::new(),
    };
    let attributes = entry.attributes().map_or_else(String::new, |attributes| {
        format!("{} {}:{}", attributes.mode, attributes.uid, attributes.gid)
    });
    format!("{path}\0{}\0{attributes}\0{content}\n", entry.kind())
}
