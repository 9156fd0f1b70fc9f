//! Where the engine works: a target, a state directory, a disk and a clock.

use std::{fmt, sync::Arc};

use camino::Utf8PathBuf;
use tmp_core::{clock::Clock, plan::Target};
use tmp_disk::Disk;

/// Everything an engine is opened with.
#[derive(Clone)]
pub struct Workplace {
    /// The tree of modules, and its work directory.
    pub target: Target,
    /// The state directory, absolute: journals and archive. Made where it is missing.
    pub state: Utf8PathBuf,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Workplace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workplace")
            .field("target", &self.target)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Workplace {
    /// Where the journals of this state directory lie.
    pub fn journals(&self) -> Utf8PathBuf {
        self.state.join("journal")
    }

    /// Where its archive lies.
    pub fn archive(&self) -> Utf8PathBuf {
        self.state.join("archive")
    }
}
