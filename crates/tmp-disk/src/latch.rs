//! A disk that is written to no more once a sync has failed.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use crate::{disk::Disk, gate::Gate};

/// Another disk, which nothing changes any more after a sync of it failed: not another sync either. What is durable is
/// unknown from then on, and on Linux the next sync may say that all is well although what the one before could not
/// write is lost (fsync(2), and <https://www.usenix.org/conference/atc20/presentation/rebello>). So whoever has this one
/// cannot go on by mistake, and what was on the disk is found out by whoever opens it next.
#[derive(Debug)]
pub struct LatchedDisk {
    inner: Arc<dyn Disk>,
    /// What the sync that failed said.
    failed: OnceLock<String>,
}

impl LatchedDisk {
    /// Wraps a disk.
    pub fn new(inner: Arc<dyn Disk>) -> Self {
        Self { inner, failed: OnceLock::new() }
    }
}

impl Gate for LatchedDisk {
    fn read(&self) -> io::Result<&dyn Disk> {
        Ok(&*self.inner)
    }

    fn effect(&self) -> io::Result<&dyn Disk> {
        match self.failed.get() {
            Some(said) => {
                Err(io::Error::other(format!("nothing more is written, because a sync failed: {said}")))
            }
            None => Ok(&*self.inner),
        }
    }

    fn sync(&self, sync: &dyn Fn(&dyn Disk) -> io::Result<()>) -> io::Result<()> {
        sync(self.effect()?).inspect_err(|error| {
            // Of several at once the first is told.
            let _ = self.failed.set(error.to_string());
        })
    }
}
