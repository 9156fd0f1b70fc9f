//! Who works on a target: the lock in its work directory, asked and not taken.

use std::path::Path;

use camino::Utf8Path;
use tmp_disk::{At, Disk, DiskError, read_whole};

/// The lock's file in the work directory.
pub(crate) const LOCK: &str = "lock";

/// The longest note in a lock, in bytes.
pub(crate) const NOTE: u64 = 4096;

/// A process that works on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its number, as its own namespace has it; `None` where it has not written it yet.
    pub process: Option<u32>,
}

/// Who works on the target with this work directory at this instant; `None` where nobody does. Changes
/// nothing, and keeps nobody from beginning.
///
/// # Errors
/// The lock cannot be looked at.
pub fn holder(disk: &dyn Disk, work: &Utf8Path) -> Result<Option<Holder>, DiskError> {
    let dir = match disk.open_root(Path::new(work)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        dir => dir.map_err(DiskError::at("open", work))?,
    };
    let at = At::new(&dir, LOCK);
    if !disk.is_locked(at).map_err(DiskError::at("look at", work.join(LOCK)))? {
        return Ok(None);
    }
    let note = read_whole(disk, at, NOTE)?;
    let note = String::from_utf8_lossy(&note);
    // A line without its end is one that its holder is still writing.
    let mut lines = note.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let process = lines.find_map(|line| line.strip_prefix("process ")?.parse().ok());
    Ok(Some(Holder { process }))
}
