//! What TMP last left at a target, by the journals of its state directory.
//!
//! The journals are read oldest first; the last committed migration that named a module, or changed a
//! database, says what it must be now. Where a person settled a migration nothing is known of what it
//! named. What a person accepted since counts as left by TMP.

use std::{collections::BTreeMap, sync::Arc};

use camino::Utf8Path;
use tmp_core::{DatabaseName, Digest, MigrationId, ModulePath, Phase, module::Content};
use tmp_disk::Disk;

use crate::{accepted::Accepted, history::HistoryError, past::Past, trace::Trace};

/// What TMP last left at one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Each module that TMP put or removed.
    pub modules: BTreeMap<ModulePath, LeftModule>,
    /// Each database that TMP changed.
    pub databases: BTreeMap<DatabaseName, LeftDatabase>,
}

/// A module as a migration left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftModule {
    /// What it is; `None` where it was removed.
    pub content: Option<Content>,
    /// The migration that left it so, or the acceptance.
    pub by: MigrationId,
}

/// A database as a migration left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftDatabase {
    /// Each schema object with the digest of its definition.
    pub schema: BTreeMap<String, Digest>,
    /// The migration that left it so, or the acceptance.
    pub by: MigrationId,
}

impl Left {
    /// Reads the journals in the state directory `state` of migrations at `root`. Takes no lock and changes nothing.
    ///
    /// # Errors
    /// A journal of this target cannot be read: then what was left is not known.
    pub fn read(disk: &Arc<dyn Disk>, state: &Utf8Path, root: &Utf8Path) -> Result<Self, HistoryError> {
        Past::new(disk, state).left(root)
    }

    /// What these migrations, oldest first, and these acceptances left.
    pub(crate) fn of<'a>(
        traces: impl Iterator<Item = &'a Trace>,
        accepted: Vec<(MigrationId, Accepted)>,
        root: &Utf8Path,
    ) -> Self {
        let mut left = Self::default();
        let mut accepted = accepted.into_iter().peekable();
        for trace in traces {
            // The ids of both begin with the time.
            while let Some((by, accepted)) = accepted.next_if(|(by, _)| by < trace.id()) {
                left.accept(&accepted, &by);
            }
            if trace.root == root {
                left.absorb(trace);
            }
        }
        accepted.for_each(|(by, accepted)| left.accept(&accepted, &by));
        left
    }

    /// What is left below, at or above `path`, as far as a switch of `path` touches it.
    pub fn within<'a>(
        &'a self,
        path: &'a ModulePath,
    ) -> impl Iterator<Item = (&'a ModulePath, &'a LeftModule)> {
        self.modules.range(path.clone()..).take_while(move |(at, _)| *at == path || at.is_below(path))
    }

    fn accept(&mut self, accepted: &Accepted, by: &MigrationId) {
        for (path, content) in &accepted.modules {
            let left = LeftModule { content: content.clone(), by: by.clone() };
            self.modules.insert(path.clone(), left);
        }
        for path in &accepted.forgotten {
            self.modules.remove(path);
        }
        for (name, schema) in &accepted.databases {
            self.databases.insert(name.clone(), LeftDatabase { schema: schema.clone(), by: by.clone() });
        }
    }

    fn absorb(&mut self, trace: &Trace) {
        let known = match trace.summary.phase {
            Phase::Committed | Phase::CleanedUp => true,
            // A person put something there that TMP does not know.
            Phase::Resolved => false,
            _ => return,
        };
        for (path, content) in &trace.modules {
            if known {
                let left = LeftModule { content: content.clone(), by: trace.id().clone() };
                self.modules.insert(path.clone(), left);
            } else {
                self.modules.remove(path);
            }
        }
        let Some(name) = &trace.database else { return };
        match &trace.schema {
            Some(schema) if known => {
                let left = LeftDatabase { schema: schema.clone(), by: trace.id().clone() };
                self.databases.insert(name.clone(), left);
            }
            _ => drop(self.databases.remove(name)),
        }
    }
}
