//! The past of a state directory: what its journals tell, each journal read at most once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::Arc,
};

use camino::{Utf8Path, Utf8PathBuf};
use time::OffsetDateTime;
use tmp_core::{DatabaseName, MigrationId, database::Database, plan::Plan};
use tmp_disk::{Dir, Disk, DiskError};

use crate::{
    accepted,
    folder::{self, Folder, FolderError},
    history::{History, HistoryError, Unreadable, mark_reversed},
    ids::{id_after, new_id},
    journal::Journal,
    left::Left,
    planner::{self, PlanError, PlanRequest, ReversalContents, ReversalRequest},
    trace::{Standing, Trace},
    workplace::Workplace,
};

/// What the journals of a state directory tell. A migration that is over is read once, one that is not each
/// time something is asked, so that whoever asks again while others migrate is told the truth. Takes no lock
/// and changes nothing.
///
/// Whoever plans several migrations one after the other asks one of these; [`crate::plan`] and the other
/// functions make one of their own.
pub struct Past {
    disk: Arc<dyn Disk>,
    state: Utf8PathBuf,
    traces: BTreeMap<MigrationId, Trace>,
    unreadable: Vec<Lost>,
    /// The migration that says what each database is.
    latest: BTreeMap<(Utf8PathBuf, DatabaseName), MigrationId>,
}

/// A migration whose journal cannot be relied on.
struct Lost {
    id: MigrationId,
    /// The root it is at, where its plan tells.
    root: Option<Utf8PathBuf>,
    error: HistoryError,
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Past {
    /// The past of the state directory at an absolute path; there may be none yet. Reads nothing.
    pub fn new(disk: &Arc<dyn Disk>, state: &Utf8Path) -> Self {
        Self {
            disk: Arc::clone(disk),
            state: state.to_owned(),
            traces: BTreeMap::new(),
            unreadable: Vec::new(),
            latest: BTreeMap::new(),
        }
    }

    /// The past of a workplace.
    pub(crate) fn of(workplace: &Workplace) -> Self {
        Self::new(&workplace.disk, &workplace.state)
    }

    /// Every migration; none where there is no state directory. One journal that cannot be read does not hide
    /// the others.
    ///
    /// # Errors
    /// The journals cannot be listed.
    pub fn history(&mut self) -> Result<History, HistoryError> {
        self.refresh()?;
        let mut migrations = self.traces.values().map(|trace| trace.summary.clone()).collect::<Vec<_>>();
        mark_reversed(&mut migrations);
        let unreadable = self.unreadable.iter();
        let unreadable = unreadable
            .map(|lost| Unreadable { id: lost.id.clone(), why: crate::text(&lost.error) })
            .collect();
        Ok(History { migrations, unreadable })
    }

    /// What TMP last left at the target with this root.
    ///
    /// # Errors
    /// A journal of this root cannot be read: then what was left is not known.
    pub fn left(&mut self, root: &Utf8Path) -> Result<Left, HistoryError> {
        let accepted = accepted::read(self.disk.as_ref(), &self.state, root)?;
        Ok(Left::of(self.traces(root)?, accepted, root))
    }

    /// The migrations that have to be reversed so that each of `migrations` can be: those at the target with
    /// this root that are there still and build on one of them or on one another, and themselves; newest
    /// first.
    ///
    /// # Errors
    /// One of them is not there, or a journal of this root cannot be read.
    pub fn reversal_order(
        &mut self,
        root: &Utf8Path,
        migrations: &[MigrationId],
    ) -> Result<Vec<Standing>, HistoryError> {
        let mut standing: Vec<&Trace> = Vec::new();
        for trace in self.traces(root)?.filter(|trace| trace.root == *root && trace.is_committed()) {
            match &trace.summary.reverses {
                Some(reversed) => standing.retain(|earlier| earlier.id() != reversed),
                None => standing.push(trace),
            }
        }
        let missing = migrations.iter().find(|id| !standing.iter().any(|trace| trace.id() == *id));
        if let Some(id) = missing {
            return Err(HistoryError::NoSuchMigration { id: id.clone() });
        }
        let mut set: Vec<&Trace> = Vec::new();
        for later in standing {
            if migrations.contains(later.id()) || set.iter().any(|earlier| later.builds_on(earlier)) {
                set.push(later);
            }
        }
        Ok(set.into_iter().rev().map(Trace::standing).collect())
    }

    /// An id for a new migration: later than every one that was read, also where the clock was set back, because
    /// the order of ids is the order of migrations.
    pub(crate) fn next_id(&self, now: OffsetDateTime) -> MigrationId {
        let id = new_id(now);
        let unreadable = self.unreadable.iter().map(|lost| &lost.id);
        let last = self.traces.keys().chain(unreadable).max();
        last.filter(|last| **last >= id).map_or(id, id_after)
    }

    /// As [`crate::plan`].
    ///
    /// # Errors
    /// Everything that stands in the way.
    pub fn plan(
        &mut self,
        workplace: &Workplace,
        request: &PlanRequest<'_>,
        databases: &mut [Box<dyn Database>],
    ) -> Result<Plan, PlanError> {
        planner::forward(workplace, self, request, databases)
    }

    /// As [`crate::plan_reversal`].
    ///
    /// # Errors
    /// Everything that stands in the way.
    pub fn plan_reversal(
        &mut self,
        workplace: &Workplace,
        request: &ReversalRequest<'_>,
        databases: &mut [Box<dyn Database>],
    ) -> Result<(Plan, ReversalContents), PlanError> {
        planner::backward(workplace, self, request, databases)
    }

    /// Every migration, oldest first, unless one is lost that is or may be of this root.
    fn traces(&mut self, root: &Utf8Path) -> Result<impl Iterator<Item = &Trace>, HistoryError> {
        self.refresh()?;
        let of_here = |lost: &Lost| lost.root.as_deref().is_none_or(|other| other == root);
        match self.unreadable.iter().position(of_here) {
            None => Ok(self.traces.values()),
            Some(lost) => Err(self.unreadable.swap_remove(lost).error),
        }
    }

    /// Reads what is new, and again what was not over.
    fn refresh(&mut self) -> Result<(), HistoryError> {
        let journals = open(self.disk.as_ref(), &self.state)?;
        let ids = match &journals {
            Some(journals) => folder::migrations(self.disk.as_ref(), journals)?,
            None => Vec::new(),
        };
        let there: BTreeSet<&MigrationId> = ids.iter().collect();
        self.traces.retain(|id, trace| trace.is_settled() && there.contains(id));
        self.unreadable.clear();
        let Some(journals) = journals else { return Ok(()) };
        for id in &ids {
            if self.traces.contains_key(id) {
                continue;
            }
            match self.read(&journals, id) {
                Ok(trace) => self.insert(trace),
                Err(error) => {
                    let folder = Folder::open(self.disk.as_ref(), (&journals, &self.state), id).ok();
                    let root = folder.and_then(|folder| folder.root(self.disk.as_ref()).ok());
                    self.unreadable.push(Lost { id: id.clone(), root, error });
                }
            }
        }
        Ok(())
    }

    fn read(&self, journals: &Dir, id: &MigrationId) -> Result<Trace, HistoryError> {
        let disk = self.disk.as_ref();
        let folder = Folder::open(disk, (journals, &self.state.join("journal")), id)?;
        let (phase, records) = Journal::read(disk, &folder.dir, id).map_err(FolderError::from)?;
        let plan = folder.plan(disk, &records)?;
        Ok(Trace::new(&plan, phase, &records))
    }

    /// Of each database only the schema that the latest migration left is kept: the others are not asked for.
    fn insert(&mut self, mut trace: Trace) {
        if trace.is_settled()
            && trace.is_committed()
            && let Some(name) = &trace.database
        {
            let place = (trace.root.clone(), name.clone());
            match self.latest.get(&place) {
                Some(latest) if latest > trace.id() => trace.schema = None,
                latest => {
                    if let Some(older) = latest.and_then(|latest| self.traces.get_mut(latest)) {
                        older.schema = None;
                    }
                    self.latest.insert(place, trace.id().clone());
                }
            }
        }
        self.traces.insert(trace.id().clone(), trace);
    }
}

/// The folder of journals; `None` where there is none yet.
pub(crate) fn open(disk: &dyn Disk, state: &Utf8Path) -> Result<Option<Dir>, DiskError> {
    let path = state.join("journal");
    match disk.open_root(Path::new(&path)) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::at("open", &path)(error)),
    }
}
