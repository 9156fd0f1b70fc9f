//! Space set aside so that the way back never fails for want of it.
//!
//! On a copy-on-write file system even a rename needs room (measured on btrfs: 13 of 15 recoveries on
//! a full disk failed without this).

use std::io;

use tmp_core::{Mode, mutant};
use tmp_disk::{At, Dir, Disk, DiskError};

use super::{error::Stuck, run::Run};

/// The file's name in a work directory or state directory.
pub(super) const NAME: &str = "ballast";

/// Its size in bytes.
pub(super) const SIZE: u64 = 16 << 20;

/// Sets the space aside where that was not done yet.
pub(super) fn load(disk: &dyn Disk, dir: &Dir) -> Result<(), DiskError> {
    let at = At::new(dir, NAME);
    let fault = |doing| move |source| DiskError { doing, path: NAME.into(), source };
    if disk.stat(at).map_err(fault("look at"))?.is_some_and(|stat| stat.size == SIZE) {
        return Ok(());
    }
    release(disk, dir).map_err(fault("remove"))?;
    let made = disk.create_file(at, Mode::from_bits(0o600)).and_then(|file| disk.allocate(&file, SIZE));
    if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
        // The engine of another root with the same state directory was faster.
        return Ok(());
    }
    if made.is_err() {
        // A ballast of another size is no ballast.
        release(disk, dir).map_err(fault("remove"))?;
    }
    made.map_err(fault("allocate"))
}

/// Gives the space back.
pub(super) fn release(disk: &dyn Disk, dir: &Dir) -> io::Result<()> {
    match disk.remove_file(At::new(dir, NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether an error says that there is no room.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Run<'_, '_> {
    /// Does something of the way back; when there is no room for it, gives both ballasts up, because a database
    /// may lie beside either, and does it again.
    pub(super) fn with_all_room<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, Stuck>,
    ) -> Result<T, Stuck> {
        match work(self) {
            Err(stuck) if stuck.is_no_room() && !mutant::is("ballast") => {
                for dir in [&self.site.work, &self.site.state] {
                    release(self.disk(), dir)
                        .and_then(|()| self.disk().sync_all(dir))
                        .map_err(DiskError::at("release", NAME))?;
                }
                work(self)
            }
            done => done,
        }
    }
}

/// Does something of the way back; when there is no room for it, gives the ballast up and does it
/// again.
pub(super) fn with_room<T>(
    disk: &dyn Disk,
    dir: &Dir,
    mut work: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    match work() {
        Err(error) if is_no_room(&error) && !mutant::is("ballast") => {
            release(disk, dir)?;
            disk.sync_all(dir)?;
            work()
        }
        done => done,
    }
}
