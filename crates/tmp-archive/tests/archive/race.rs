//! Every way in which the disk, and the archive over it, reads or changes a tree, against somebody who exchanges
//! directories and files of it with symlinks that lead out, all the while. Each has a control: done without care
//! it gets out, or the race is none.
//!
//! `cargo xtask race` runs each for five seconds, and until a million attempts were made of all.

use std::{
    cell::Cell,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tmp_archive::{Archive, EntryPath, Selection};
use tmp_core::{Digest, Mode, ModulePath};
use tmp_disk::{At, Dir, Disk, ObservedContent, RealDisk, Rename, Tree, observe, write_new};

use crate::place::{Place, id, paths, portion, quiet};

const INSIDE: &[u8] = b"inside";
const SECRET: &[u8] = b"secret";

/// How long each way is tried, and how many attempts of all it takes.
fn length() -> (Duration, u64) {
    match std::env::var("TMP_RACE_SECONDS").ok().and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => (Duration::from_secs(seconds), 1_000_000),
        None => (Duration::from_millis(250), 1),
    }
}

/// A tree with a directory `dir` and a file `kept` in it, a twin of the directory outside, and symlinks that
/// are exchanged with both.
struct Scene {
    place: Place,
    disk: Arc<dyn Disk>,
    archive: Archive,
    captures: Cell<u128>,
    /// How often the tree could be entered: a race that is always refused proves nothing.
    entered: Cell<u64>,
    tree: Tree,
    /// `dir` and the root, held open.
    dir: Dir,
    root: Dir,
    outside: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        let root = place.path("race");
        let outside = place.path("outside");
        for dir in [&root.join("dir"), &outside] {
            fs::create_dir_all(dir).unwrap();
        }
        fs::write(root.join("dir/kept"), INSIDE).unwrap();
        fs::write(outside.join("kept"), SECRET).unwrap();
        fs::set_permissions(outside.join("kept"), fs::Permissions::from_mode(0o640)).unwrap();
        // Relative ones: absolute ones are stopped by every flag of openat2 by itself.
        symlink("../outside", root.join("other")).unwrap();
        symlink("../../outside/kept", root.join("dir/other")).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        Self {
            tree: Tree::open(&disk, &root).unwrap(),
            dir: disk.open_root(&root.join("dir")).unwrap(),
            root: disk.open_root(&root).unwrap(),
            archive: place.archive(),
            captures: Cell::new(1),
            entered: Cell::new(0),
            disk,
            place,
            outside,
        }
    }

    fn enter(&self) {
        self.entered.set(self.entered.get() + 1);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path("race/dir").join(name)
    }

    /// Whether anything was done outside. It is put right again.
    fn escaped(&self) -> bool {
        let kept = self.outside.join("kept");
        let whole = fs::metadata(&kept)
            .is_ok_and(|there| there.mode() & 0o7777 == 0o640 && there.size() == 6)
            && fs::read(&kept).is_ok_and(|bytes| bytes == SECRET);
        if !whole {
            let _ = fs::remove_file(&kept);
            fs::write(&kept, SECRET).unwrap();
            fs::set_permissions(&kept, fs::Permissions::from_mode(0o640)).unwrap();
        }
        fs::remove_file(self.outside.join("new")).is_ok() || !whole
    }

    /// The inside as it was, whatever an attempt did to it.
    fn mend(&self) {
        let _ = self.disk.remove_file(At::new(&self.dir, "new"));
        if let Ok(file) = self.disk.create_file(At::new(&self.dir, "kept"), Mode::FILE) {
            let _ = tmp_disk::write_all_at(self.disk.as_ref(), &file, 0, INSIDE);
        }
    }
}

/// One way, with care and without. True where what is outside was read; what was changed there is seen.
struct Way {
    name: &'static str,
    careful: fn(&Scene) -> bool,
    careless: fn(&Scene) -> bool,
}

fn module(text: &str) -> ModulePath {
    text.parse().unwrap()
}

/// Does something in the place of a module, if it can be located.
fn at(scene: &Scene, path: &str, act: impl FnOnce(At<'_>)) -> bool {
    if let Ok(Some(place)) = scene.tree.locate(&module(path)) {
        scene.enter();
        act(place.at());
    }
    false
}

/// What was changed outside is seen there, whether the call says so or not.
fn unseen(_: std::io::Result<()>) -> bool {
    false
}

const WAYS: [Way; 7] = [
    Way {
        name: "add",
        careful: |scene| {
            at(scene, "dir/new", |at| {
                let _ = write_new(scene.disk.as_ref(), at, Mode::FILE, &mut &b"x"[..]);
            })
        },
        careless: |scene| unseen(fs::write(scene.path("new"), "x")),
    },
    Way {
        name: "replace",
        careful: |scene| {
            let _ = scene.disk.create_file(At::new(&scene.root, "staged"), Mode::FILE);
            at(scene, "dir/kept", |at| {
                let _ = scene.disk.rename(At::new(&scene.root, "staged"), at, Rename::Exchange);
            });
            let _ = scene.disk.remove_file(At::new(&scene.root, "staged"));
            false
        },
        careless: |scene| {
            let staged = scene.place.path("staged");
            fs::write(&staged, "x").unwrap();
            unseen(fs::rename(staged, scene.path("kept")))
        },
    },
    Way {
        name: "delete",
        careful: |scene| {
            at(scene, "dir/kept", |at| {
                let _ = scene.disk.remove_file(at);
            })
        },
        careless: |scene| unseen(fs::remove_file(scene.path("kept"))),
    },
    Way {
        name: "chmod",
        careful: |scene| {
            at(scene, "dir/kept", |at| {
                let _ = scene.disk.set_mode(at, Mode::from_bits(0o600));
            })
        },
        careless: |scene| unseen(fs::set_permissions(scene.path("kept"), fs::Permissions::from_mode(0o600))),
    },
    Way {
        name: "observe",
        careful: |scene| {
            let Ok(Some(place)) = scene.tree.locate(&module("dir/kept")) else { return false };
            scene.enter();
            let seen = observe(scene.disk.as_ref(), place.at());
            matches!(seen, Ok(Some(seen)) if matches!(seen.content,
                ObservedContent::File { digest, .. } if digest == Digest::of(SECRET)))
        },
        careless: |scene| fs::read(scene.path("kept")).is_ok_and(|bytes| bytes == SECRET),
    },
    Way {
        name: "restore",
        careful: |scene| {
            let selection = Selection::Paths(vec![EntryPath::from(&module("dir/kept"))]);
            if scene.archive.restore(&id(1), &selection, &scene.tree, None, &mut quiet).is_ok() {
                scene.enter();
            }
            false
        },
        careless: |scene| unseen(fs::write(scene.path("kept"), INSIDE)),
    },
    Way {
        name: "capture",
        careful: |scene| {
            let number = scene.captures.get() + 1;
            scene.captures.set(number);
            let captured =
                scene.archive.capture(&portion(number, &scene.tree, &paths(&["dir/kept"])), &mut quiet);
            let holds = |bytes| {
                let digest = format!("{:?}", Digest::of(bytes));
                scene.archive.read(&id(number)).is_ok_and(|read| format!("{read:?}").contains(&digest))
            };
            if captured.is_ok() {
                scene.enter();
            }
            captured.is_ok() && holds(SECRET)
        },
        careless: |scene| fs::read(scene.path("kept")).is_ok_and(|bytes| bytes == SECRET),
    },
];

/// Exchanges until told to stop; answers how often.
fn attack(root: &Path, done: &AtomicBool) -> u64 {
    let disk = RealDisk;
    let (above, dir) = (disk.open_root(root).unwrap(), disk.open_root(&root.join("dir")).unwrap());
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let _ = disk.rename(At::new(&above, "dir"), At::new(&above, "other"), Rename::Exchange);
        if count % 3 == 0 {
            let _ = disk.rename(At::new(&dir, "kept"), At::new(&dir, "other"), Rename::Exchange);
        }
        count += 1;
    }
    count
}

/// Attempts, how many of them could enter, and how many got out.
struct Raced {
    attempts: u64,
    entered: u64,
    escapes: u64,
}

/// Races for at least this long, and until it is enough, or for so long that it never will be.
fn race(act: fn(&Scene) -> bool, least: Duration, enough: impl Fn(&Raced) -> bool) -> Raced {
    let scene = Scene::new();
    scene.archive.capture(&portion(1, &scene.tree, &paths(&["dir/kept"])), &mut quiet).unwrap();
    let root = scene.place.path("race");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| attack(&root, &done));
        let (begun, mut raced) = (Instant::now(), Raced { attempts: 0, entered: 0, escapes: 0 });
        let limit = least * 48 + Duration::from_secs(20);
        while begun.elapsed() < least || (!enough(&raced) && begun.elapsed() < limit) {
            let read = act(&scene);
            raced.escapes += u64::from(scene.escaped() || read);
            scene.mend();
            raced.attempts += 1;
            raced.entered = scene.entered.get();
        }
        done.store(true, Ordering::Relaxed);
        raced
    })
}

#[test]
fn no_operation_is_led_out_of_the_tree() {
    let (least, wanted) = length();
    let mut all = 0;
    for way in &WAYS {
        let control = race(way.careless, Duration::from_millis(100), |raced| raced.escapes > 0);
        let (tried, out) = (control.attempts, control.escapes);
        assert!(out > 0, "{}: none of {tried} careless attempts got out, so nothing is proven", way.name);
        let Raced { attempts, entered, escapes } = race(way.careful, least, |raced| raced.entered > 0);
        eprintln!(
            "{}: {attempts} attempts, {entered} entered, {escapes} got out; without care {out} of {tried}",
            way.name
        );
        assert_eq!(escapes, 0, "{}: of {attempts}", way.name);
        assert!(entered > 0, "{}: none of {attempts} entered, so nothing is proven", way.name);
        all += attempts;
    }
    if all < wanted {
        let more = race(WAYS[3].careful, least, |raced| all + raced.attempts >= wanted);
        eprintln!("chmod: {} attempts more, {} got out", more.attempts, more.escapes);
        assert_eq!(more.escapes, 0);
        all += more.attempts;
    }
    assert!(all >= wanted, "{all} of {wanted} attempts");
    eprintln!("{all} attempts, 0 got out");
}
