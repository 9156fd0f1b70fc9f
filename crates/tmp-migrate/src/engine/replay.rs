//! A migration's folder and journal, read back.

use tmp_core::{MigrationId, Phase};

use super::{error::OpenError, site::Site};
use crate::{
    folder::Folder,
    journal::{Journal, Record},
};

/// A journal that was read back.
pub(super) struct Replayed {
    pub(super) folder: Folder,
    pub(super) journal: Journal,
    pub(super) records: Vec<Record>,
}

impl Replayed {
    pub(super) const fn phase(&self) -> Phase {
        self.journal.phase()
    }
}

/// Reads the journal of a migration.
pub(super) fn replay(site: &Site, migration: &MigrationId) -> Result<Replayed, OpenError> {
    let folder = Folder::open(site.disk(), (&site.journals, &site.journals_path), migration)?;
    let (journal, records) = Journal::open(site.disk(), &folder.dir, migration)?;
    Ok(Replayed { folder, journal, records })
}
