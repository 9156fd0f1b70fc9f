//! The same assertions for every [`Disk`]: this machine's, the simulated one, and those of embedders.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test that others call: it says what is wrong by failing"
)]

mod attributes;
mod content;
mod helpers;
mod links;
mod names;
mod renames;

use std::{io, path::Path, sync::Arc};

use tmp_core::Mode;

use crate::{
    dirs::ensure_dirs,
    disk::{At, Dir, Disk, Stat},
    write::{read_whole, write_new},
};

/// Runs every case in a directory of its own below `empty`, an absolute path to an empty directory.
pub fn check(disk: &Arc<dyn Disk>, empty: &Path) {
    let cases =
        [names::CASES, links::CASES, renames::CASES, content::CASES, attributes::CASES, helpers::CASES];
    for (number, case) in cases.into_iter().flatten().enumerate() {
        let path = empty.join(format!("case-{number}"));
        let dir = ensure_dirs(&**disk, &path).unwrap();
        case(&Bench { disk, dir, path: &path });
    }
}

/// One case.
type Case = fn(&Bench<'_>);

/// An empty directory to work in.
struct Bench<'a> {
    disk: &'a Arc<dyn Disk>,
    dir: Dir,
    path: &'a Path,
}

impl Bench<'_> {
    fn at<'a>(&'a self, name: &'a str) -> At<'a> {
        At::new(&self.dir, name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Stat {
        drop(write_new(&**self.disk, self.at(name), Mode::FILE, &mut &*bytes).unwrap());
        self.stat(name)
    }

    fn get(&self, name: &str) -> Vec<u8> {
        read_whole(&**self.disk, self.at(name), 1 << 20).unwrap()
    }

    fn stat(&self, name: &str) -> Stat {
        self.disk.stat(self.at(name)).unwrap().unwrap()
    }

    fn is_there(&self, name: &str) -> bool {
        self.disk.stat(self.at(name)).unwrap().is_some()
    }

    fn make_dir(&self, name: &str) -> Dir {
        self.disk.create_dir(self.at(name), Mode::DIRECTORY).unwrap();
        self.disk.open_dir(&self.dir, name.as_ref()).unwrap()
    }

    fn names(&self) -> Vec<std::ffi::OsString> {
        let mut names = self.disk.list(&self.dir).unwrap();
        names.sort();
        names
    }
}

/// That something fails, and in which way.
fn fails<T>(result: io::Result<T>, kind: io::ErrorKind) {
    let Err(error) = result else { return assert_eq!("success", kind.to_string()) };
    assert_eq!(error.kind(), kind, "{error}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fault, FaultDisk, RealDisk, SimDisk};

    /// On the file system of the target folder: the system's own temporary one may be in memory.
    fn folder() -> tempfile::TempDir {
        let program = std::env::current_exe().unwrap();
        tempfile::tempdir_in(program.parent().unwrap()).unwrap()
    }

    #[test]
    fn this_machine_conforms() {
        let folder = folder();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        check(&disk, folder.path());
    }

    #[test]
    fn the_simulation_conforms() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        check(&disk, Path::new("/"));
    }

    #[test]
    fn a_disk_without_a_fault_conforms() {
        let folder = folder();
        for inner in [Arc::new(RealDisk) as Arc<dyn Disk>, Arc::new(SimDisk::new())] {
            let disk = Arc::new(FaultDisk::new(inner, Fault::None));
            let path = folder.path().join("faultless");
            check(&(disk.clone() as Arc<dyn Disk>), &path);
            assert!(disk.effects() > 100, "effects are counted");
        }
    }
}
