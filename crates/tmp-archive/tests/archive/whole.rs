//! Incremental snapshots of whole trees.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    sync::Arc,
};

use proptest::prelude::*;
use tmp_archive::{Archive, Beside, Captured, Ignored, Selection, Whole};
use tmp_disk::{At, Dir, Disk, Fault, FaultDisk, Tree};
use tmp_testkit::{
    trees::{TreeModel, build, tree},
    walk::{diff, fingerprint},
};

use crate::coarse::Coarse;
use crate::place::{Place, add_oddities, id, noise, open, quiet, whole};

/// A place with a cache.
struct Site {
    place: Place,
    work: Dir,
}

impl Site {
    fn new() -> Self {
        let place = Place::new();
        fs::create_dir(place.path("work")).unwrap();
        let work = place.disk.open_root(&place.path("work")).unwrap();
        Self { place, work }
    }

    fn cache(&self) -> PathBuf {
        self.place.path("work/cache")
    }

    fn create(&self, archive: &Archive, number: u128, tree: &Tree, globs: &[&str]) -> Captured {
        let ignored = Ignored::new(globs.iter().map(|glob| (*glob).to_owned())).unwrap();
        let cache = At::new(&self.work, "cache");
        let options = Whole { ignored: &ignored, cache, clock: &self.work, fresh: false };
        archive.capture_whole(&whole(number, tree), &options, &mut |_| {}).unwrap()
    }

    /// The tree that a snapshot holds, by the tests' own eye.
    fn restored(&self, archive: &Archive, number: u128) -> tmp_testkit::walk::TreeFingerprint {
        let to = self.place.tree(&format!("restored-{number}"));
        archive.restore(&id(number), &Selection::All, &to, None, &mut quiet).unwrap();
        fingerprint(to.path()).unwrap()
    }
}

/// Lets the clock of the file system go on, so that what was written before is older than what comes.
fn tick(site: &Site) {
    let now = |name: &str| {
        let path = site.place.path(name);
        fs::write(&path, b"").unwrap();
        let facts = fs::metadata(&path).unwrap();
        fs::remove_file(path).unwrap();
        (facts.ctime(), facts.ctime_nsec())
    };
    let before = now("tick");
    while now("tick") == before {}
}

fn system(site: &Site, files: usize) -> Tree {
    let tree = site.place.tree("root");
    for number in 0..files {
        let folder = tree.path().join(format!("dir-{:02}", number % 23));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("file-{number}")), format!("content {number}\n").repeat(9)).unwrap();
    }
    add_oddities(tree.path());
    tick(site);
    tree
}

#[test]
fn reads_only_what_changed() {
    let site = Site::new();
    let tree = system(&site, 500);
    let archive = site.place.archive();
    let first = site.create(&archive, 1, &tree, &[]);
    assert_eq!(site.restored(&archive, 1), fingerprint(tree.path()).unwrap());
    let plain = archive.capture(&whole(100, &tree), &mut quiet).unwrap();
    assert_eq!((plain.totals.entries, plain.totals.bytes), (first.totals.entries, first.totals.bytes));
    assert_eq!(archive.info(&id(100)).unwrap().manifest, archive.info(&id(1)).unwrap().manifest);

    tick(&site);
    let second = site.create(&archive, 2, &tree, &[]);
    assert_eq!((second.totals.new_objects, second.totals.entries), (0, first.totals.entries));
    assert_eq!(second.totals.bytes, first.totals.bytes);
    let (one, two) = (archive.info(&id(1)).unwrap(), archive.info(&id(2)).unwrap());
    assert_eq!((one.manifest, two.parent), (two.manifest, Some(id(1))));

    fs::write(tree.path().join("dir-03/file-3"), b"changed").unwrap();
    fs::remove_file(tree.path().join("dir-05/file-5")).unwrap();
    fs::write(tree.path().join("dir-05/new"), b"new").unwrap();
    fs::set_permissions(tree.path().join("dir-07/file-7"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(tree.path().join("dir-09/file-9"), tree.path().join("dir-00/a link")).unwrap();
    tick(&site);
    let third = site.create(&archive, 3, &tree, &[]);
    assert_eq!(site.restored(&archive, 3), fingerprint(tree.path()).unwrap());
    assert!(third.totals.new_objects < 12, "{third:?}");
    assert!(third.totals.new_bytes * 2 < first.totals.new_bytes, "{first:?} {third:?}");
    archive.capture(&whole(101, &tree), &mut quiet).unwrap();
    let (fast, slow) = (archive.read(&id(3)).unwrap(), archive.read(&id(101)).unwrap());
    assert_eq!((fast.entries, fast.info.totals.bytes), (slow.entries, slow.info.totals.bytes));
    for number in [1, 2, 3, 100] {
        archive.verify(&id(number), &mut quiet).unwrap();
    }
}

/// Reading a file is refused: whoever captures without reading does not notice.
#[test]
fn what_is_unchanged_is_not_opened() {
    let site = Site::new();
    let tree = system(&site, 40);
    let archive = site.place.archive();
    site.create(&archive, 1, &tree, &[]);
    tick(&site);
    site.create(&archive, 2, &tree, &[]);
    let before = fs::metadata(tree.path().join("dir-01/file-1")).unwrap().atime_nsec();
    let pack = |number: u128| site.place.path("store/packs").join(format!("{}-0", id(number)));
    assert!(pack(1).exists() && !pack(2).exists(), "nothing new, no pack");
    assert_eq!(fs::metadata(tree.path().join("dir-01/file-1")).unwrap().atime_nsec(), before);
}

#[test]
fn a_change_in_the_same_tick_is_seen() {
    let mut site = Site::new();
    let tree = system(&site, 1);
    // A file system whose clock stands still for seconds, as some do.
    site.place.disk = Arc::new(Coarse(Arc::clone(&site.place.disk)));
    let tree = Tree::open(&site.place.disk, tree.path()).unwrap();
    site.work = site.place.disk.open_root(&site.place.path("work")).unwrap();
    let file = tree.path().join("file");
    let archive = site.place.archive();
    let looks = || {
        let stat = site.place.disk.stat(At::new(tree.root(), "file")).unwrap().unwrap();
        (stat.size, stat.mtime, stat.ctime, stat.identity)
    };
    let mut unseen = 0;
    for round in 0..8_u128 {
        fs::write(&file, format!("{round:04} before")).unwrap();
        let before = looks();
        site.create(&archive, round * 2 + 1, &tree, &[]);
        fs::write(&file, format!("{round:04} after!")).unwrap();
        unseen += u32::from(looks() == before);
        site.create(&archive, round * 2 + 2, &tree, &[]);
        let to = site.place.tree("to");
        archive.restore(&id(round * 2 + 2), &Selection::All, &to, None, &mut quiet).unwrap();
        assert_eq!(fs::read(to.path().join("file")).unwrap(), format!("{round:04} after!").as_bytes());
    }
    assert!(unseen > 4, "nothing but the content tells the change: {unseen}");
}

#[test]
fn a_cache_that_is_no_good_only_costs_time() {
    let site = Site::new();
    let tree = system(&site, 60);
    let archive = site.place.archive();
    site.create(&archive, 1, &tree, &[]);
    let good = fs::read(site.cache()).unwrap();
    let expected = fingerprint(tree.path()).unwrap();
    let mut number = 1;
    let mut check = |bytes: &[u8]| {
        number += 1;
        fs::write(site.cache(), bytes).unwrap();
        let captured = site.create(&archive, number, &tree, &[]);
        assert_eq!(captured.totals.new_objects, 0);
        let info = archive.info(&id(number)).unwrap();
        assert_eq!(info.manifest, archive.info(&id(1)).unwrap().manifest);
    };
    check(b"");
    check(&good[..good.len() / 2]);
    check(&[&good[..], b"x"].concat());
    for at in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        check(&bad);
    }
    // One of a snapshot that is no more.
    check(&good);
    fs::remove_file(site.place.path("store/snapshots").join(id(1).to_string())).unwrap();
    fs::write(site.cache(), &good).unwrap();
    site.create(&archive, 1, &tree, &[]);
    assert_eq!(site.restored(&archive, 1), expected);
}

#[test]
fn what_is_ignored_is_left_out_and_left_alone() {
    let site = Site::new();
    let tree = site.place.tree("root");
    let write = |path: &str, text: &str| {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("bin/tool", "tool");
    write("var/data", "live");
    write("lib/a.log", "log");
    let archive = site.place.archive();
    site.create(&archive, 1, &tree, &["var/**", "**/*.log"]);
    let names: Vec<_> =
        archive.read(&id(1)).unwrap().entries.into_keys().map(|path| path.to_string()).collect();
    assert_eq!(names, ["the root", "bin", "bin/tool", "lib", "var"]);

    write("bin/tool", "other");
    write("bin/extra", "goes");
    write("var/data", "newer");
    write("new/deep/b.log", "kept with its directories");
    write("new/deep/c", "goes");
    archive.restore(&id(1), &Selection::All, &tree, None, &mut quiet).unwrap();
    let found = fingerprint(tree.path()).unwrap();
    let names: Vec<_> = found.entries.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    assert_eq!(
        names,
        ["", "bin", "bin/tool", "lib", "lib/a.log", "new", "new/deep", "new/deep/b.log", "var", "var/data"]
    );
    assert_eq!(fs::read(tree.path().join("var/data")).unwrap(), b"newer");
    assert_eq!(fs::read(tree.path().join("bin/tool")).unwrap(), b"tool");
    let differences: Vec<_> =
        archive.compare(&id(1), &tree).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        differences,
        ["new: a directory instead of nothing", "new/deep: a directory instead of nothing"]
    );
}

#[test]
fn a_database_that_changed_in_places_is_stored_in_places() {
    let site = Site::new();
    let tree = site.place.tree("root");
    let mut bytes = noise(24 << 20);
    fs::write(tree.path().join("base"), &bytes).unwrap();
    let archive = site.place.archive();
    site.create(&archive, 1, &tree, &[]);
    bytes[5 << 20] ^= 1;
    bytes[17 << 20] ^= 1;
    fs::write(tree.path().join("base"), &bytes).unwrap();
    fs::write(tree.path().join("copy"), &bytes).unwrap();
    let second = site.create(&archive, 2, &tree, &[]);
    assert_eq!(second.totals.new_objects, 2 + 1, "two pieces and the manifest: {second:?}");
    assert_eq!(site.restored(&archive, 2), fingerprint(tree.path()).unwrap());
}

#[test]
fn killed_at_any_effect_it_leaves_the_store_whole() {
    let site = Site::new();
    let tree = system(&site, 30);
    site.create(&site.place.archive(), 1, &tree, &[]);
    fs::write(tree.path().join("dir-03/file-3"), b"changed").unwrap();
    tick(&site);
    let again = |disk: Arc<dyn Disk>| {
        let archive = Archive::open(Arc::new(
            tmp_archive::DirectoryStore::open(&disk, &site.place.path("store")).unwrap(),
        ))?;
        let (tree, work) =
            (Tree::open(&disk, tree.path())?, disk.open_root(&site.place.path("work")).unwrap());
        let ignored = Ignored::default();
        let cache = At::new(&work, "cache");
        let options = Whole { ignored: &ignored, cache, clock: &work, fresh: false };
        archive.capture_whole(&whole(2, &tree), &options, &mut |_| {}).map(drop)
    };
    let keep = |from: &str, to: &str| {
        let _ = fs::remove_dir_all(site.place.path(to));
        let copied = std::process::Command::new("cp")
            .args(["-a", "--"])
            .args([site.place.path(from), site.place.path(to)])
            .status()
            .unwrap();
        assert!(copied.success());
    };
    keep("store", "store-kept");
    keep("work", "work-kept");
    let expected = fingerprint(tree.path()).unwrap();
    let mut at = 0;
    loop {
        at += 1;
        let stopped = Arc::new(FaultDisk::new(Arc::clone(&site.place.disk), Fault::Stop { at }));
        let outcome = again(Arc::clone(&stopped) as Arc<dyn Disk>);
        let archive = open(&site.place.disk, &site.place.path("store"));
        archive.verify(&id(1), &mut quiet).unwrap();
        let there = archive.listing().unwrap().ids.contains(&id(2));
        assert!(there || outcome.is_err(), "stop {at}: a promised snapshot is not there");
        if there {
            archive.verify(&id(2), &mut quiet).unwrap();
        }
        site.create(&archive, 3, &tree, &[]);
        assert_eq!(site.restored(&archive, 3), expected, "stop {at}");
        drop(archive);
        fs::remove_dir_all(site.place.path("restored-3")).unwrap();
        if stopped.effects() < at {
            break;
        }
        for name in ["store", "work"] {
            fs::remove_dir_all(site.place.path(name)).unwrap();
            keep(&format!("{name}-kept"), name);
        }
    }
    assert!(at > 12, "{at}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// A chain of random trees over one another: each snapshot is its tree, whatever was read again.
    #[test]
    fn a_chain_of_random_trees(models in prop::collection::vec(tree(12), 2..5)) {
        let site = Site::new();
        let archive = site.place.archive();
        let tree = site.place.tree("root");
        for (number, model) in models.iter().enumerate() {
            let number = number as u128 + 1;
            over(&site, &archive, number, model, &tree);
            site.create(&archive, number, &tree, &[]);
            let now = fingerprint(tree.path()).unwrap();
            prop_assert_eq!(diff(&now, &site.restored(&archive, number)), [""; 0]);
        }
    }
}

/// Makes the tree what a model says, leaving in place what is right already.
fn over(site: &Site, archive: &Archive, number: u128, model: &TreeModel, tree: &Tree) {
    let fresh = site.place.tree(&format!("fresh-{number}"));
    build(model, fresh.path()).unwrap();
    archive.capture(&whole(1000 + number, &fresh), &mut quiet).unwrap();
    archive.restore(&id(1000 + number), &Selection::All, tree, None, &mut quiet).unwrap();
}

/// Restores over the tree with the cache's help.
fn put_back(site: &Site, archive: &Archive, number: u128, tree: &Tree) -> tmp_archive::Restored {
    let ignored = Ignored::default();
    let beside = Beside { ignored: &ignored, cache: Some(At::new(&site.work, "cache")) };
    let staging = site.place.tree("staging");
    archive
        .restore_beside(&id(number), &Selection::All, tree, Some(staging.root()), &beside, &mut quiet)
        .unwrap()
}

#[test]
fn putting_back_writes_only_what_differs_and_touches_nothing_else() {
    let site = Site::new();
    let tree = system(&site, 300);
    let archive = site.place.archive();
    site.create(&archive, 1, &tree, &[]);
    let before = fingerprint(tree.path()).unwrap();
    tick(&site);
    let untouched = || fs::metadata(tree.path().join("dir-02/file-2")).unwrap().ctime_nsec();
    let ctime = untouched();
    fs::write(tree.path().join("dir-03/file-3"), b"changed").unwrap();
    fs::remove_file(tree.path().join("dir-05/file-5")).unwrap();
    fs::write(tree.path().join("dir-05/new"), b"new").unwrap();
    fs::set_permissions(tree.path().join("dir-07/file-7"), fs::Permissions::from_mode(0o600)).unwrap();
    let same_size = fs::read(tree.path().join("dir-09/file-9")).unwrap();
    fs::write(tree.path().join("dir-09/file-9"), vec![b'x'; same_size.len()]).unwrap();
    for round in [1, 2] {
        if round == 2 {
            // With the cache of another snapshot than the one that is put back.
            fs::write(tree.path().join("dir-03/file-3"), b"changed again").unwrap();
            tick(&site);
            site.create(&archive, 2, &tree, &[]);
        }
        let restored = put_back(&site, &archive, 1, &tree);
        assert_eq!(restored.written, if round == 1 { 3 } else { 1 });
        assert_eq!(diff(&before, &fingerprint(tree.path()).unwrap()), [""; 0]);
        assert_eq!(archive.compare(&id(1), &tree).unwrap(), []);
        assert_eq!(untouched(), ctime, "what was right was not touched");
    }
}

#[test]
fn putting_back_does_not_believe_a_cache_that_lies() {
    let mut site = Site::new();
    system(&site, 3);
    site.place.disk = Arc::new(Coarse(Arc::clone(&site.place.disk)));
    let tree = Tree::open(&site.place.disk, &site.place.path("root")).unwrap();
    site.work = site.place.disk.open_root(&site.place.path("work")).unwrap();
    let file = tree.path().join("file");
    fs::write(&file, b"before").unwrap();
    let archive = site.place.archive();
    site.create(&archive, 1, &tree, &[]);
    // Within the tick: it looks the same and is another.
    fs::write(&file, b"after!").unwrap();
    put_back(&site, &archive, 1, &tree);
    assert_eq!(fs::read(&file).unwrap(), b"before");
}
