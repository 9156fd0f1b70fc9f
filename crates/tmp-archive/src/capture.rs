//! Making a snapshot.

use std::{collections::BTreeSet, io, sync::Arc};

use time::OffsetDateTime;
use tmp_core::{
    DatabaseName, EnvironmentName, MigrationId, ModulePath, SiteName, SystemName, database::Fingerprint,
    enhancement::DatabaseEngine,
};
use tmp_disk::{At, Tree};

use crate::{
    Archive, ArchiveError, EntryPath, SnapshotId, SnapshotInfo, SnapshotKind, Totals,
    archive::PACKS,
    index::Index,
    object::Object,
    pack::PackWriter,
    produce::{Produced, Producer},
    snapshot::SCHEMA,
    walk::{Walk, roots},
};

/// A pack ends with the object that takes it past this many bytes. What an interrupted capture has in
/// finished packs need not be stored again by the next.
const PACK: u64 = 64 << 20;

/// What is to be captured.
#[derive(Debug)]
pub struct Capture<'a> {
    /// The new snapshot's id.
    pub id: SnapshotId,
    /// How much it covers. With [`SnapshotKind::System`] it is the whole tree, the root directory
    /// included, and `paths` says nothing; so with [`SnapshotKind::PreRestore`] and no paths.
    pub kind: SnapshotKind,
    /// The snapshot it follows, for people.
    pub parent: Option<SnapshotId>,
    /// The migration it is made for.
    pub migration: Option<MigrationId>,
    /// The system.
    pub system: SystemName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The site.
    pub site: SiteName,
    /// Now.
    pub made: OffsetDateTime,
    /// Where the paths are.
    pub tree: &'a Tree,
    /// What to capture: each path with everything below it, or that it is absent.
    pub paths: &'a [ModulePath],
    /// Copies of databases to take in, each name once.
    pub databases: &'a [DatabaseCopy<'a>],
}

/// A consistent copy of a database, made by its engine.
#[derive(Debug)]
pub struct DatabaseCopy<'a> {
    /// The database's name.
    pub name: DatabaseName,
    /// Its engine.
    pub engine: DatabaseEngine,
    /// The file, on the disk of the tree.
    pub at: At<'a>,
    /// What it holds.
    pub fingerprint: Option<Fingerprint>,
}

/// A snapshot was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Its id.
    pub id: SnapshotId,
    /// What it came to.
    pub totals: Totals,
}

impl Archive {
    /// Makes a snapshot. It is durable on return. `progress` is told entries and bytes so far.
    ///
    /// A file that changes while it is read is read once more. The tree's root-level work directory
    /// `.tmp-work` is left out.
    ///
    /// # Errors
    /// Something cannot be read, keeps changing or cannot be archived; or the store cannot be written.
    /// There is no snapshot of this id then; what was stored for it already serves the next capture.
    pub fn capture(
        &self,
        capture: &Capture<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Captured, ArchiveError> {
        self.refuse_existing(&capture.id)?;
        let packs = self.packs()?;
        let known = Index::load_sound(self.store(), packs.iter().map(String::as_str))?;
        let covered = match capture.kind {
            SnapshotKind::System => vec![EntryPath::root()],
            SnapshotKind::PreRestore if capture.paths.is_empty() => vec![EntryPath::root()],
            SnapshotKind::Portion | SnapshotKind::PreRestore => {
                roots(capture.paths.iter().map(EntryPath::from))
            }
        };
        let walk = Walk::new(capture.tree, covered.clone());
        let disk = &**capture.tree.disk();
        let mut producer = Producer::new(disk, walk, capture.databases, &known, progress)?;
        let mut written = BTreeSet::new();
        let mut numbers = 0_u64..;
        while let Some(first) = producer.next()? {
            let name = numbers
                .by_ref()
                .map(|number| format!("{PACKS}{}-{number}", capture.id))
                .find(|name| packs.binary_search(name).is_err())
                .unwrap_or_default();
            self.write_pack(&name, first, &mut producer)?;
            written.insert(Arc::<str>::from(name));
        }
        let Some(produced) = producer.finish() else {
            return Err(ArchiveError::damaged("the new snapshot", "its manifest was not finished"));
        };
        let info = document(capture, covered, produced, written);
        self.write_info(&info)?;
        Ok(Captured { id: info.id, totals: info.totals })
    }

    fn write_pack(&self, name: &str, first: Object, producer: &mut Producer<'_>) -> Result<(), ArchiveError> {
        let mut failure = None;
        let mut first = Some(first);
        let written = self.store().write(name, &mut |out| {
            let mut pack = PackWriter::new(out)?;
            let mut next = first.take();
            while let Some(object) = next {
                pack.put(&object)?;
                next = if pack.length() < PACK {
                    producer.next().map_err(|error| {
                        failure = Some(error);
                        io::Error::other("the capture failed")
                    })?
                } else {
                    None
                };
            }
            pack.finish()
        });
        written.map_err(|source| failure.unwrap_or_else(|| ArchiveError::store("write", name)(source)))
    }
}

fn document(
    capture: &Capture<'_>,
    roots: Vec<EntryPath>,
    produced: Produced,
    written: BTreeSet<Arc<str>>,
) -> SnapshotInfo {
    let packs: BTreeSet<_> = produced.packs.into_iter().chain(written).collect();
    SnapshotInfo {
        schema: SCHEMA.to_owned(),
        id: capture.id,
        kind: capture.kind,
        parent: capture.parent,
        migration: capture.migration.clone(),
        system: capture.system.clone(),
        environment: capture.environment,
        site: capture.site.clone(),
        made: capture.made,
        roots,
        databases: produced.databases,
        manifest: produced.manifest,
        packs: packs.iter().map(ToString::to_string).collect(),
        totals: produced.totals,
    }
}
