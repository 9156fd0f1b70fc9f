//! Histories of snapshots, restores and prunes, with plain copies of the tree as the model; and death at
//! every effect of a restore and of a prune.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

use proptest::prelude::*;
use tmp_archive::{Archive, ArchiveError, DirectoryStore, Ignored, Pruner, Selection, SnapshotId, Whole};
use tmp_core::store::ArchiveStore;
use tmp_disk::{At, Disk, Fault, FaultDisk, Tree};
use tmp_testkit::{
    trees::{TreeModel, build, tree},
    walk::{TreeFingerprint, diff, fingerprint},
};

use crate::place::{Place, add_oddities, id, noise, open, quiet, whole};

#[derive(Debug, Clone)]
enum Act {
    /// The tree becomes another, where a file of it is changed in place as well.
    Change(TreeModel),
    /// A whole capture, by the cache or not.
    Capture { fresh: bool },
    /// A snapshot is put back in place.
    Restore(prop::sample::Index),
    /// Some snapshots go, the pruning killed at this effect if it comes so far.
    Prune { remove: Vec<bool>, kill: Option<u64> },
}

fn act() -> impl Strategy<Value = Act> {
    let kill = prop_oneof![Just(None), (1_u64..24).prop_map(Some)];
    prop_oneof![
        3 => tree(8).prop_map(Act::Change),
        4 => any::<bool>().prop_map(|fresh| Act::Capture { fresh }),
        2 => any::<prop::sample::Index>().prop_map(Act::Restore),
        2 => (prop::collection::vec(any::<bool>(), 8), kill)
            .prop_map(|(remove, kill)| Act::Prune { remove, kill }),
    ]
}

struct History {
    place: Place,
    tree: Tree,
    /// What the tree was at each snapshot.
    model: BTreeMap<u128, TreeFingerprint>,
    next: u128,
}

impl History {
    fn new() -> Self {
        let place = Place::new();
        fs::create_dir(place.path("work")).unwrap();
        let tree = place.tree("root");
        Self { place, tree, model: BTreeMap::new(), next: 1 }
    }

    fn number(&mut self) -> u128 {
        self.next += 1;
        self.next
    }

    fn now(&self) -> TreeFingerprint {
        fingerprint(self.tree.path()).unwrap()
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Change(model) => {
                let fresh = self.place.tree("fresh");
                build(model, fresh.path()).unwrap();
                replace(&self.place, self.tree.path(), fresh.path());
                // One file that keeps its inode, too.
                let mut files = fs::read_dir(self.tree.path()).unwrap().map(|entry| entry.unwrap().path());
                if let Some(file) = files.find(|path| path.symlink_metadata().unwrap().is_file()) {
                    let mut bytes = fs::read(&file).unwrap();
                    bytes.push(b'!');
                    fs::write(file, bytes).unwrap();
                }
                let _ = fs::remove_dir_all(fresh.path());
            }
            Act::Capture { fresh } => {
                let number = self.number();
                self.capture(&self.place.archive(), number, *fresh);
                self.model.insert(number, self.now());
            }
            Act::Restore(index) => {
                let Some(number) = self.model.keys().nth(index.index(self.model.len().max(1))).copied()
                else {
                    return;
                };
                let archive = self.place.archive();
                let staging = self.place.tree("staging");
                archive
                    .restore(&id(number), &Selection::All, &self.tree, Some(staging.root()), &mut quiet)
                    .unwrap();
                assert_eq!(diff(&self.model[&number], &self.now()), [""; 0]);
                assert_eq!(archive.compare(&id(number), &self.tree).unwrap(), []);
            }
            Act::Prune { remove, kill } => self.prune(remove, *kill),
        }
        self.check();
    }

    fn capture(&self, archive: &Archive, number: u128, fresh: bool) {
        let work = self.place.disk.open_root(&self.place.path("work")).unwrap();
        let ignored = Ignored::default();
        let options = Whole { ignored: &ignored, cache: At::new(&work, "cache"), clock: &work, fresh };
        archive.capture_whole(&whole(number, &self.tree), &options, &mut |_| {}).unwrap();
    }

    fn prune(&mut self, remove: &[bool], kill: Option<u64>) {
        let chosen: BTreeSet<u128> =
            self.model.keys().zip(remove).filter(|(_, remove)| **remove).map(|(number, _)| *number).collect();
        let gone: BTreeSet<SnapshotId> = chosen.iter().map(|number| id(*number)).collect();
        let disk: Arc<dyn Disk> = match kill {
            Some(at) => Arc::new(FaultDisk::new(Arc::clone(&self.place.disk), Fault::Stop { at })),
            None => Arc::clone(&self.place.disk),
        };
        // An empty store becomes an archive first.
        drop(self.place.archive());
        let number = self.number();
        let store = Arc::new(DirectoryStore::open(&disk, &self.place.path("store")).unwrap());
        let pruned = alone(&store).and_then(|pruner| pruner.prune(&gone, id(number), &mut quiet));
        assert!(pruned.is_ok() || kill.is_some(), "{pruned:?}");
        let left: BTreeSet<_> = self.place.archive().listing().unwrap().ids.into_iter().collect();
        assert!(pruned.is_err() || left.is_disjoint(&gone));
        self.model.retain(|number, _| left.contains(&id(*number)) || !chosen.contains(number));
    }

    /// Every snapshot of the model is there and is what the tree was; there are no others.
    fn check(&self) {
        let archive = self.place.archive();
        let ids: Vec<_> = self.model.keys().map(|number| id(*number)).collect();
        assert_eq!(archive.listing().unwrap().ids, ids);
        for (number, expected) in &self.model {
            archive.verify(&id(*number), &mut quiet).unwrap();
            let to = self.place.tree("to");
            archive.restore(&id(*number), &Selection::All, &to, None, &mut quiet).unwrap();
            assert_eq!(diff(expected, &fingerprint(to.path()).unwrap()), [""; 0], "snapshot {number}");
        }
    }
}

/// Opens a store for pruning. What another test starts meanwhile has this process's locks until it is itself.
fn alone(store: &Arc<DirectoryStore>) -> Result<Pruner, ArchiveError> {
    loop {
        match Pruner::open(Arc::clone(store) as Arc<dyn ArchiveStore>) {
            Err(ArchiveError::Held { .. }) => std::thread::sleep(std::time::Duration::from_millis(5)),
            opened => return opened,
        }
    }
}

/// Makes one directory a copy of another.
fn replace(place: &Place, old: &std::path::Path, new: &std::path::Path) {
    let archive = open(&place.disk, &place.path("other-store"));
    let number = u128::from(std::process::id()) << 64
        | std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() & u128::from(u64::MAX);
    let (old, new) = (Tree::open(&place.disk, old).unwrap(), Tree::open(&place.disk, new).unwrap());
    archive.capture(&whole(number, &new), &mut quiet).unwrap();
    archive.restore(&id(number), &Selection::All, &old, None, &mut quiet).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_histories(acts in prop::collection::vec(act(), 4..12)) {
        let mut history = History::new();
        for act in &acts {
            history.act(act);
        }
    }
}

/// A store with three snapshots of a tree with everything odd, and the tree at the second.
fn prepared() -> (History, TreeFingerprint) {
    let mut history = History::new();
    add_oddities(history.tree.path());
    for number in 0..12_u8 {
        fs::write(history.tree.path().join(format!("file-{number}")), noise(900 + usize::from(number)))
            .unwrap();
    }
    history.act(&Act::Capture { fresh: false });
    fs::write(history.tree.path().join("file-3"), b"changed").unwrap();
    fs::remove_file(history.tree.path().join("file-4")).unwrap();
    history.act(&Act::Capture { fresh: false });
    let second = history.now();
    fs::write(history.tree.path().join("file-5"), noise(5000)).unwrap();
    history.act(&Act::Capture { fresh: false });
    (history, second)
}

fn copy(place: &Place, from: &str, to: &str) {
    let _ = fs::remove_dir_all(place.path(to));
    let copied = std::process::Command::new("cp")
        .args(["-a", "--"])
        .args([place.path(from), place.path(to)])
        .status()
        .unwrap();
    assert!(copied.success());
}

#[test]
fn a_prune_killed_at_any_effect_loses_nothing_that_stays() {
    let (mut history, _) = prepared();
    copy(&history.place, "store", "kept");
    let model = history.model.clone();
    let gone = [id(*model.keys().next().unwrap()), id(*model.keys().nth(2).unwrap())].into();
    let mut at = 0;
    loop {
        at += 1;
        let disk = Arc::new(FaultDisk::new(Arc::clone(&history.place.disk), Fault::Stop { at }));
        let seen: Arc<dyn Disk> = disk.clone();
        let store = Arc::new(DirectoryStore::open(&seen, &history.place.path("store")).unwrap());
        let outcome = alone(&store).and_then(|pruner| pruner.prune(&gone, id(77), &mut quiet));
        let left = history.place.archive().listing().unwrap().ids;
        history.model.retain(|number, _| left.contains(&id(*number)));
        assert!(left.contains(&id(*model.keys().nth(1).unwrap())), "killed at {at}");
        history.check();
        // The next one ends what this one began.
        history.prune(&[true, false, true][3 - history.model.len()..], None);
        history.check();
        let packs = fs::read_dir(history.place.path("store/packs")).unwrap().count();
        assert!(packs <= 2, "killed at {at}: {packs} packs are left");
        if outcome.is_ok() {
            break;
        }
        history.model = model.clone();
        copy(&history.place, "kept", "store");
    }
    assert!(at > 6, "{at}");
}

#[test]
fn a_restore_killed_at_any_effect_is_ended_by_the_next() {
    let (history, second) = prepared();
    let number = *history.model.keys().nth(1).unwrap();
    copy(&history.place, "root", "kept");
    let mut at = 0;
    loop {
        at += 1;
        let disk = Arc::new(FaultDisk::new(Arc::clone(&history.place.disk), Fault::Stop { at }));
        let seen: Arc<dyn Disk> = disk.clone();
        let over = Tree::open(&seen, history.tree.path()).unwrap();
        let staging = history.place.tree("staging");
        let archive = history.place.archive();
        let restore =
            |to: &Tree| archive.restore(&id(number), &Selection::All, to, Some(staging.root()), &mut quiet);
        let outcome = restore(&over);
        archive.verify(&id(number), &mut quiet).unwrap();
        let tree = Tree::open(&history.place.disk, history.tree.path()).unwrap();
        restore(&tree).unwrap();
        assert_eq!(diff(&second, &history.now()), [""; 0], "killed at {at}");
        if outcome.is_ok() {
            break;
        }
        drop((over, tree));
        copy(&history.place, "kept", "root");
    }
    assert!(at > 6, "{at}");
}
