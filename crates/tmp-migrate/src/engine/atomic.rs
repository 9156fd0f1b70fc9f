//! The atomic part: from the archive to the commit point. A crash anywhere in it leaves the target
//! exactly as it was or exactly as it becomes.

use std::{io, time::Duration};

use tmp_core::{
    contents::Contents,
    database::{DatabaseError, Fingerprint, Marker, Settled, SqlText},
    enhancement::{SqlChange, TransactionMode},
    event::Work,
    module::{Kind, Timestamp},
    mutant,
    plan::Action,
};
use tmp_disk::{At, Dir, DiskError};

use super::{
    error::{EngineError, Trouble},
    run::Run,
    sight::{self, Sight},
    site::TREE,
    times::Times,
};
use crate::journal::{Fact, PreparedOperation, PreparedSite, PreparedTree};

/// How often the archive is made again because somebody writes to the database meanwhile.
const ARCHIVE_AGAIN: usize = 3;

/// What the database was and will be.
type Fingerprints = (Option<Fingerprint>, Option<Fingerprint>);

impl Run<'_, '_> {
    /// Archives, stages, runs the SQL, switches, commits. On success the commit point has passed.
    pub(super) fn atomic_part(&mut self, contents: &dyn Contents, times: Times) -> Result<(), Trouble> {
        let archived = self.archive()?;
        let seen = if self.has_modules() { self.stage(contents, &archived)? } else { None };
        let prepared = self.prepare(&archived, times)?;
        self.record(Fact::Prepared(Box::new(prepared.clone())))?;
        let locked = self.site.clock().elapsed();
        let (before, after) = self.sql(prepared.marker.as_ref())?;
        self.still_as_archived(&archived, seen.as_ref())?;
        self.record(Fact::Switch { before, after })?;
        // That took its time. What is noticed before the first move leaves nothing to be moved back.
        if let Err(trouble) = self.still_as_archived(&archived, seen.as_ref()) {
            self.memory.switching = false;
            return Err(trouble);
        }
        if mutant::is("commit-first") {
            self.commit(prepared.marker.as_ref())?;
        }
        let (mixed, moved) =
            if self.has_modules() { self.switch(&prepared)? } else { (Duration::ZERO, Duration::ZERO) };
        // Recovery asks the modules and the database, and does the same after SWITCH as after this.
        self.announce(Fact::Switched)?;
        if !mutant::is("commit-first") {
            self.commit(prepared.marker.as_ref())?;
        }
        let now = self.site.clock().elapsed();
        // Old rows stand beside new modules until the database has committed.
        let unmixed = if prepared.marker.is_some() { now } else { moved };
        self.mixture_us = self.has_modules().then(|| microseconds(unmixed.saturating_sub(mixed)));
        self.locked_us = prepared.marker.is_some().then(|| microseconds(now.saturating_sub(locked)));
        if prepared.marker.is_some() {
            // The database has the commit point; where this is lost, it is asked.
            self.announce(Fact::Applied)?;
        } else {
            self.record(Fact::Applied)?;
        }
        Ok(())
    }

    /// Nobody changed what will be switched since it was archived, or anything in the tree since the next one was
    /// built from it.
    fn still_as_archived(&self, archived: &Sight, built: Option<&Sight>) -> Result<(), Trouble> {
        let changed = match built {
            Some(built) => sight::changed(built, &sight::whole(self.disk(), self.tree.root())?),
            None => sight::changed(archived, &sight::sight(&self.tree, self.plan)?),
        };
        changed.map_or(Ok(()), |path| {
            Err(Trouble::TurnBack(format!("{path} was changed by somebody else after it was archived")))
        })
    }

    /// Names every inode and every time that recovery needs.
    fn prepare(&self, seen: &Sight, times: Times) -> Result<PreparedSite, Trouble> {
        let disk = self.disk();
        let name = super::site::slots(self.migration());
        let mut slots = None;
        if self.has_modules() {
            let open = disk.open_dir(&self.site.work, name.as_ref());
            slots = Some(open.map_err(DiskError::at("open", &name))?);
        }
        let mut operations = Vec::new();
        for (index, operation) in self.plan.operations.iter().enumerate() {
            let slot = match &slots {
                Some(slots) => {
                    disk.stat(At::new(slots, &index.to_string())).map_err(DiskError::at("look at", &name))?
                }
                None => None,
            };
            let parked = sight::identity(seen, &operation.path);
            if parked.is_some() != (operation.replaces != Kind::Absent) {
                let text = format!("{} was changed by somebody else after it was planned", operation.path);
                return Err(Trouble::TurnBack(text));
            }
            if let Action::SetMode { from, .. } = operation.action
                && self.tree.stat(&operation.path)?.is_none_or(|stat| stat.mode != from)
            {
                let text = format!("{} was changed by somebody else after it was planned", operation.path);
                return Err(Trouble::TurnBack(text));
            }
            operations.push(PreparedOperation { staged: slot.map(|stat| stat.identity), parked });
        }
        let tree = match (&slots, times.parent) {
            (Some(slots), Some(parent)) => Some(self.prepared_tree(slots, parent)?),
            _ => None,
        };
        Ok(PreparedSite {
            operations: if tree.is_some() { Vec::new() } else { operations },
            tree,
            directories: times.directories,
            database_directories: times.database_directories,
            exchange: self.site.capabilities.exchange,
            marker: self.plan.database.as_ref().map(|_| self.marker()),
        })
    }

    /// The two trees that will be exchanged, where they are.
    fn prepared_tree(&self, slots: &Dir, parent: Timestamp) -> Result<PreparedTree, DiskError> {
        let identity = |at: At<'_>, shown: &str| {
            let stat =
                self.disk().stat(at).and_then(|stat| stat.ok_or_else(|| io::ErrorKind::NotFound.into()));
            stat.map(|stat| stat.identity).map_err(DiskError::at("look at", shown))
        };
        let parked = identity(At::itself(self.tree.root()), "the root")?;
        let staged = identity(At::new(slots, TREE), "the next tree")?;
        Ok(PreparedTree { parked, staged, parent })
    }

    fn marker(&self) -> Marker {
        let nonce = tmp_core::hex::encode(uuid::Uuid::new_v4().as_bytes());
        Marker { migration: self.migration().clone(), payload: self.plan.provenance.payload, nonce }
    }

    /// Runs the transactional SQL up to its marker; nothing is committed. When somebody wrote to the
    /// database since it was archived, archives it again.
    fn sql(&mut self, marker: Option<&Marker>) -> Result<Fingerprints, Trouble> {
        let Some(marker) = marker else { return Ok((None, None)) };
        let since = self.site.clock().elapsed();
        let before = self.begin()?;
        let plan = self.plan;
        let shared = |change: &&SqlChange| change.transaction == TransactionMode::Shared;
        let changes: Vec<&SqlChange> = plan.enhancement.sql.iter().filter(shared).collect();
        let mut scripts = Vec::new();
        for change in &changes {
            let apply = self.folder.script(self.disk(), &change.apply)?;
            let verify = match &change.verify {
                Some(verify) => Some(self.folder.script(self.disk(), &verify.script)?),
                None => None,
            };
            scripts.push((*change, apply, verify));
        }
        for (done, (change, apply, verify)) in scripts.iter().enumerate() {
            self.progress(Work::Sql, done as u64, scripts.len() as u64, 0);
            let Some(database) = self.database().map_err(Trouble::TurnBack)? else { break };
            database.apply(&SqlText { name: &change.apply.name, text: apply })?;
            if let (Some(verify), Some(text)) = (&change.verify, verify) {
                database.verify(&SqlText { name: &verify.script.name, text }, verify.assert)?;
            }
            self.unless_stopped()?;
        }
        let Some(database) = self.database().map_err(Trouble::TurnBack)? else { return Ok((None, None)) };
        database.mark(marker)?;
        let after = database.fingerprint()?;
        if let Some(reversed) = plan.reverses.as_ref().and_then(|reversal| reversal.database.as_ref()) {
            reversed.judge(&before, &after).map_err(Trouble::TurnBack)?;
        }
        self.done(Work::Sql, changes.len() as u64, 0, since);
        Ok((Some(before), Some(after)))
    }

    fn begin(&mut self) -> Result<Fingerprint, Trouble> {
        for _ in 0..ARCHIVE_AGAIN {
            let Some(database) = self.database().map_err(Trouble::TurnBack)? else { break };
            match database.begin() {
                Err(DatabaseError::Moved { .. }) => self.archive_again()?,
                begun => return Ok(begun?),
            }
        }
        Err(Trouble::TurnBack(format!(
            "the database was written to during {ARCHIVE_AGAIN} attempts to archive it"
        )))
    }

    /// The commit point. A COMMIT that answers with an error is settled by asking the database.
    fn commit(&mut self, marker: Option<&Marker>) -> Result<(), Trouble> {
        let (Some(marker), Some(database)) = (marker, self.database().map_err(Trouble::TurnBack)?) else {
            return Ok(());
        };
        let Err(error) = database.commit() else {
            database.release();
            return Ok(());
        };
        if matches!(error, DatabaseError::Disk { .. }) {
            // It may be a sync that failed: whoever starts anew from the disk finds out what it says.
            return Err(EngineError::DatabaseDisk { source: error }.into());
        }
        match database.settle(marker) {
            Ok(Settled::Committed) => {
                database.release();
                Ok(())
            }
            Ok(Settled::NotCommitted) => Err(error.into()),
            Err(unknown) => Err(Trouble::InDoubt(format!(
                "whether the database committed ({}) cannot be asked: {}",
                crate::text(&error),
                crate::text(&unknown)
            ))),
        }
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
