//! The releases and the database of the case.

use std::path::{Path, PathBuf};

use crate::{Done, download};

/// The older release.
pub(super) const OLD: &str = "ansible==2.4.0.0";
/// The feature release after it.
pub(super) const NEW: &str = "ansible==2.5.0";
/// What holds the database.
pub(super) const DATABASE: &str = "pyproj==3.6.1";
const DATABASE_INSIDE: &str = "pyproj/proj_dir/share/proj/proj.db";

/// Unpacked inputs, not to be changed.
pub(super) struct Inputs {
    pub(super) old: PathBuf,
    pub(super) new: PathBuf,
    pub(super) database: PathBuf,
}

/// The inputs below `folder`; what is there already is used again.
pub(super) fn inputs(folder: &Path) -> Done<Inputs> {
    Ok(Inputs {
        old: download::source(folder, OLD)?,
        new: download::source(folder, NEW)?,
        database: download::wheel(folder, DATABASE)?.join(DATABASE_INSIDE),
    })
}
