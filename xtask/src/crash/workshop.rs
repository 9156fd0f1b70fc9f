//! What one worker has: a directory of its own, and the scenes of the packages it has built there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tmp_testkit::{
    matrix::{Matrix, Package},
    stepper::Counting,
};

use crate::Done;

/// The names of calls, in order.
type Calls = Arc<Vec<&'static str>>;

/// One worker's place.
pub(crate) struct Workshop {
    tmp: PathBuf,
    folder: PathBuf,
    built: Mutex<BTreeMap<Package, Arc<Matrix>>>,
    calls: Mutex<BTreeMap<(Package, Counting), Calls>>,
}

impl Workshop {
    /// An empty place below `scratch`.
    pub(crate) fn new(tmp: &Path, scratch: &Path, number: usize) -> Done<Self> {
        let folder = scratch.join(format!("worker-{number}"));
        fs::create_dir(&folder)?;
        Ok(Self { tmp: tmp.into(), folder, built: Mutex::default(), calls: Mutex::default() })
    }

    /// The program that is disturbed.
    pub(crate) fn tmp(&self) -> &Path {
        &self.tmp
    }

    /// A directory of this name, which the caller may fill; it is there.
    pub(crate) fn folder(&self, name: &str) -> Done<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The scene of a package, built once.
    pub(crate) fn matrix(&self, package: Package) -> Done<Arc<Matrix>> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(matrix) = built.get(&package) {
            return Ok(Arc::clone(matrix));
        }
        let matrix = Matrix::prepare(&self.tmp, &self.folder(package.name())?, package)?;
        Ok(Arc::clone(built.entry(package).or_insert(Arc::new(matrix))))
    }

    /// The calls of an undisturbed migration of a package, the same in three runs; counted once.
    pub(crate) fn calls(&self, package: Package, counting: Counting) -> Done<Calls> {
        let matrix = self.matrix(package)?;
        let mut known = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (package, counting);
        if let Some(calls) = known.get(&key) {
            return Ok(Arc::clone(calls));
        }
        let calls = Arc::new(matrix.calls(counting)?);
        Ok(Arc::clone(known.entry(key).or_insert(calls)))
    }
}
