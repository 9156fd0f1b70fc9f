//! A capture that fails or is killed at any effect leaves the store whole.

use std::{fs, path::Path, sync::Arc};

use tmp_archive::{Archive, ArchiveError, DirectoryStore};
use tmp_core::store::ArchiveStore as _;
use tmp_disk::{Disk, Fault, FaultDisk, SimDisk, Tree};

use crate::place::{Place, id, noise, open, paths, portion, quiet};

/// Captures snapshot 2 into a store on this disk.
fn capture(disk: &Arc<FaultDisk>, store: &Path, tree: &Tree) -> Result<(), ArchiveError> {
    let disk: Arc<dyn Disk> = disk.clone();
    let archive = Archive::open(Arc::new(DirectoryStore::open(&disk, store)?))?;
    archive.capture(&portion(2, tree, &paths(&["file"])), &mut quiet).map(drop)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Whether a temporary file is left anywhere.
fn is_littered(store: &Path) -> bool {
    fs::read_dir(store).unwrap().map(Result::unwrap).any(|entry| {
        let name = entry.file_name();
        name.to_str().unwrap().starts_with(".tmp-") || (entry.path().is_dir() && is_littered(&entry.path()))
    })
}

#[test]
fn at_every_effect() {
    let place = Place::new();
    let tree = place.tree("root");
    fs::write(place.path("root/file"), b"before").unwrap();
    place.archive().capture(&portion(1, &tree, &paths(&["file"])), &mut quiet).unwrap();
    fs::write(place.path("root/file"), noise(5000)).unwrap();

    let counted = Arc::new(FaultDisk::new(Arc::clone(&place.disk), Fault::None));
    copy(&place.path("store"), &place.path("counted"));
    capture(&counted, &place.path("counted"), &tree).unwrap();
    let effects = counted.effects();
    assert!(effects > 10, "{effects}");

    let mut absent = 0;
    for at in 1..=effects {
        let transient = Fault::Error { at, errno: 28, persistent: false };
        let persistent = Fault::Error { at, errno: 5, persistent: true };
        for (number, fault) in [Fault::Stop { at }, transient, persistent].into_iter().enumerate() {
            let store = place.path(&format!("store-{at}-{number}"));
            copy(&place.path("store"), &store);
            let disk = Arc::new(FaultDisk::new(Arc::clone(&place.disk), fault));
            let outcome = capture(&disk, &store, &tree);
            let archive = open(&place.disk, &store);
            archive.verify(&id(1), &mut quiet).unwrap();
            let listed = archive.list().unwrap().len();
            match archive.verify(&id(2), &mut quiet) {
                Ok(_) => assert_eq!(listed, 2, "{fault:?}"),
                Err(ArchiveError::NoSuchSnapshot { .. }) => {
                    assert_eq!(listed, 1, "{fault:?}");
                    assert!(outcome.is_err(), "{fault:?}: a snapshot that was promised is not there");
                    absent += 1;
                }
                Err(error) => panic!("{fault:?}: {error}"),
            }
            archive.capture(&portion(3, &tree, &paths(&["file"])), &mut quiet).unwrap();
            archive.verify(&id(3), &mut quiet).unwrap();
            assert!(!is_littered(&store), "{fault:?}");
        }
    }
    assert!(absent > effects, "most faults prevent the snapshot");
}

/// Packs are made durable beside each other: whichever fails, there is no snapshot.
#[test]
fn while_two_packs_are_written() {
    let place = Place::new();
    let tree = place.tree("root");
    fs::write(place.path("root/file"), noise(66 << 20)).unwrap();
    let counted = Arc::new(FaultDisk::new(Arc::clone(&place.disk), Fault::None));
    capture(&counted, &place.path("counted"), &tree).unwrap();
    let effects = counted.effects();
    for at in [effects / 2, effects - 12, effects - 9, effects - 7, effects - 5] {
        let persistent = Fault::Error { at, errno: 28, persistent: true };
        for (number, fault) in [Fault::Stop { at }, persistent].into_iter().enumerate() {
            let store = place.path(&format!("store-{at}-{number}"));
            let disk = Arc::new(FaultDisk::new(Arc::clone(&place.disk), fault));
            capture(&disk, &store, &tree).unwrap_err();
            let archive = open(&place.disk, &store);
            assert_eq!(archive.list().unwrap(), [], "{fault:?}");
            archive.capture(&portion(3, &tree, &paths(&["file"])), &mut quiet).unwrap();
            archive.verify(&id(3), &mut quiet).unwrap();
            assert!(!is_littered(&store), "{fault:?}");
            fs::remove_dir_all(store).unwrap();
        }
    }
}

#[test]
fn at_every_loss_of_power() {
    let place = Place::new();
    let tree = place.tree("root");
    let store = Path::new("/state/archive");
    let prepared = || {
        let sim = SimDisk::new();
        fs::write(place.path("root/file"), b"before").unwrap();
        let archive = open(&(Arc::new(sim.clone()) as Arc<dyn Disk>), store);
        archive.capture(&portion(1, &tree, &paths(&["file"])), &mut quiet).unwrap();
        fs::write(place.path("root/file"), noise(5000)).unwrap();
        sim
    };
    let counted = Arc::new(FaultDisk::new(Arc::new(prepared()), Fault::None));
    capture(&counted, store, &tree).unwrap();

    for at in 1..=counted.effects() + 1 {
        let sim = prepared();
        let stopped = Arc::new(FaultDisk::new(Arc::new(sim.clone()), Fault::Stop { at }));
        let outcome = capture(&stopped, store, &tree);
        for seed in 0..12 {
            let left: Arc<dyn Disk> = Arc::new(sim.power_loss(seed));
            let archive = open(&left, store);
            archive.verify(&id(1), &mut quiet).unwrap();
            match archive.verify(&id(2), &mut quiet) {
                Ok(_) => {}
                Err(ArchiveError::NoSuchSnapshot { .. }) => {
                    assert!(outcome.is_err(), "stop {at}, seed {seed}: a promised snapshot is gone");
                }
                Err(error) => panic!("stop {at}, seed {seed}: {error}"),
            }
            archive.capture(&portion(3, &tree, &paths(&["file"])), &mut quiet).unwrap();
            archive.verify(&id(3), &mut quiet).unwrap();
        }
    }
}

#[test]
fn writers_leave_each_other_alone() {
    let place = Place::new();
    let store = |disk: &Arc<dyn Disk>| DirectoryStore::open(disk, &place.path("store")).unwrap();
    let (one, other) = (store(&place.disk), store(&place.disk));
    one.write("packs/one", &mut |out| {
        out.write_all(b"1")?;
        other.write("packs/other", &mut |out| out.write_all(b"2"))
    })
    .unwrap();
    assert_eq!(one.list("packs/").unwrap(), ["packs/one", "packs/other"]);
    for bad in ["", "..", "packs/../x", "/packs", "packs/", "A", ".tmp-0-1", "packs/.x"] {
        let refused = one.write(bad, &mut |_| Ok(())).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput, "{bad:?}");
        assert!(one.read_at(bad, 0, &mut [0]).is_err(), "{bad:?}");
    }
}
