//! The step that turns a rehearsed migration round once everything else has been done.

use std::sync::{Arc, Mutex};

use tmp_archive::SnapshotId;
use tmp_core::{
    database::{Database, Fingerprint},
    id::StepName,
    step::{Step, StepContext, StepError},
};

use super::view::View;

/// What a target was at one instant.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Its tree.
    pub(super) tree: SnapshotId,
    /// Its database, where the migration has one.
    pub(super) database: Option<Fingerprint>,
}

/// Looks at everything, and refuses.
pub(super) struct Turn {
    name: StepName,
    view: View,
    database: Option<Box<dyn Database>>,
    seen: Arc<Mutex<Option<Seen>>>,
}

impl Turn {
    /// A step that looks with this view and at this database, and where it leaves what it saw.
    pub(super) fn new(
        name: StepName,
        view: View,
        database: Option<Box<dyn Database>>,
    ) -> (Self, Arc<Mutex<Option<Seen>>>) {
        let seen = Arc::new(Mutex::new(None));
        (Self { name, view, database, seen: Arc::clone(&seen) }, seen)
    }
}

impl Step for Turn {
    fn name(&self) -> &StepName {
        &self.name
    }

    fn describe(&self) -> String {
        "turn the rehearsal round".into()
    }

    fn describe_undo(&self) -> String {
        "nothing".into()
    }

    fn apply(&mut self, _: &StepContext<'_>) -> Result<(), StepError> {
        let seen = self.view.see(self.database.as_deref_mut());
        let seen = seen.map_err(|error| StepError::new(crate::text(&error)))?;
        if let Ok(mut place) = self.seen.lock() {
            *place = Some(seen);
        }
        Err(StepError::new("the rehearsal turns round here"))
    }

    fn undo(&mut self, _: &StepContext<'_>) -> Result<(), StepError> {
        Ok(())
    }
}
