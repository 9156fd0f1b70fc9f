//! Taking the copy of a database out of a snapshot.

use tmp_core::{DatabaseName, Mode};
use tmp_disk::{At, Disk, DiskError};

use crate::{Archive, ArchiveError, SnapshotId, writer::FileWriter};

impl Archive {
    /// Writes the copy of a database to a new file of mode 0600, on which nothing may stand yet. It is
    /// durable on return.
    ///
    /// # Errors
    /// There is no such snapshot or database, or its bytes are damaged, or the file cannot be written;
    /// part of a file may be left at the place.
    pub fn extract_database(
        &self,
        id: &SnapshotId,
        database: &DatabaseName,
        at: At<'_>,
        disk: &dyn Disk,
    ) -> Result<(), ArchiveError> {
        let info = self.info(id)?;
        let content = &info.database(database)?.content;
        let objects = self.objects(&info)?;
        let file = disk.create_file(at, Mode::from_bits(0o600)).map_err(DiskError::at("create", at.name))?;
        objects.copy(content, &mut FileWriter::new(disk, &file))?;
        disk.sync_file(&file).map_err(DiskError::at("make durable", at.name))?;
        disk.sync_dir(at.dir).map_err(DiskError::at("make durable the directory of", at.name))?;
        Ok(())
    }
}
