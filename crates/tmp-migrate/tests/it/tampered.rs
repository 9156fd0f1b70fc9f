//! State that somebody tampered with while a migration was open: recovery changes nothing and says
//! what it misses.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use crate::{
    common::{Ended, Lab, text},
    foreign::spoil,
};
use tmp_core::{
    Phase,
    event::{Event, Silent, Work},
    outcome::Outcome,
};
use tmp_disk::RealDisk;
use tmp_migrate::{Party, Resolution};
use tmp_testkit::{sqlite, walk};

/// Where a migration died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Died {
    Prepared,
    Switched,
    Checking,
    Compensating,
    Committed,
}
use Died::{Checking, Committed, Compensating, Prepared, Switched};

/// What is tampered with.
pub(crate) struct Scene {
    pub(crate) root: PathBuf,
    pub(crate) slots: PathBuf,
    pub(crate) folder: PathBuf,
    archive: PathBuf,
}

impl Scene {
    /// What holds root, work directory and database.
    pub(crate) fn site(&self) -> &Path {
        self.root.parent().unwrap()
    }

    pub(crate) fn work(&self) -> &Path {
        self.slots.parent().unwrap()
    }

    pub(crate) fn journals(&self) -> &Path {
        self.folder.parent().unwrap()
    }

    pub(crate) fn state(&self) -> &Path {
        self.archive.parent().unwrap()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.site().join("app.db")
    }
}

pub(crate) fn lab(died: Died) -> (Lab, Scene) {
    let mut lab = Lab::of_all_moves();
    lab.check("decides", if died == Compensating { "exit 1" } else { "true" });
    lab.die_at(|event| {
        matches!(
            (died, event),
            (Prepared, Event::Phase { phase: Phase::Prepared, .. })
                | (Checking, Event::Phase { phase: Phase::Checking, .. })
                | (Committed, Event::Phase { phase: Phase::Committed, .. })
                | (Compensating, Event::Phase { phase: Phase::Compensating, .. })
                | (Switched, Event::Done { work: Work::Switch, .. })
        )
    });
    let folder = lab.folder();
    let id = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let scene = Scene {
        root: lab.root(),
        slots: lab.dir.path().join(format!("site/.tmp-work-live/slots-{id}")),
        archive: lab.dir.path().join("state/archive"),
        folder,
    };
    (lab, scene)
}

pub(crate) fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn flip(path: &Path, at: usize) {
    edit(path, |bytes| bytes[at] ^= 0x20);
}

fn foreign(path: &Path) {
    let beside = path.with_extension("foreign");
    fs::write(&beside, "foreign").unwrap();
    fs::rename(beside, path).unwrap();
}

pub(crate) fn scripts(scene: &Scene) -> Vec<PathBuf> {
    let entries = fs::read_dir(&scene.folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains("script-")).collect()
}

pub(crate) type Tamper = fn(&Scene);

const MOVED: &[Died] = &[Switched, Compensating];
const ANY: &[Died] = &[Prepared, Switched, Checking];

/// Deaths after a record that followed a sync of the second one: before that, a loss of power may have taken it.
const LATER: &[Died] = &[Switched, Checking];

/// What is done, after which deaths, and a word that the answer has to have.
const VARIANTS: &[(&str, &[Died], Tamper, &str)] = &[
    ("slot missing", MOVED, |it| fs::remove_file(it.slots.join("1")).unwrap(), "nothing lies in its slot"),
    ("slot exchanged", MOVED, |it| foreign(&it.slots.join("1")), "bin/app"),
    (
        "slots swapped",
        MOVED,
        |it| {
            fs::rename(it.slots.join("1"), it.slots.join("x")).unwrap();
            fs::rename(it.slots.join("2"), it.slots.join("1")).unwrap();
            fs::rename(it.slots.join("x"), it.slots.join("2")).unwrap();
        },
        "slot",
    ),
    ("slots gone", MOVED, |it| fs::remove_dir_all(&it.slots).unwrap(), "slots-"),
    (
        "slots a file",
        MOVED,
        |it| {
            fs::remove_dir_all(&it.slots).unwrap();
            fs::write(&it.slots, "x").unwrap();
        },
        "slots-",
    ),
    ("foreign at replaced", MOVED, |it| foreign(&it.root.join("bin/app")), "bin/app"),
    ("foreign at added", MOVED, |it| foreign(&it.root.join("bin/added")), "bin/added"),
    ("foreign at removed", MOVED, |it| foreign(&it.root.join("lib/gone")), "lib/gone"),
    ("added is gone", MOVED, |it| fs::remove_file(it.root.join("bin/added")).unwrap(), "bin/added"),
    ("replaced is gone", MOVED, |it| fs::remove_file(it.root.join("bin/app")).unwrap(), "bin/app"),
    (
        "directory in place",
        MOVED,
        |it| {
            fs::remove_file(it.root.join("bin/app")).unwrap();
            fs::create_dir(it.root.join("bin/app")).unwrap();
        },
        "bin/app",
    ),
    ("parent gone", MOVED, |it| fs::remove_dir_all(it.root.join("lib")).unwrap(), "lib"),
    (
        "parent a file",
        MOVED,
        |it| {
            fs::remove_dir_all(it.root.join("lib")).unwrap();
            fs::write(it.root.join("lib"), "x").unwrap();
        },
        "lib",
    ),
    (
        "parent a symlink",
        MOVED,
        |it| {
            fs::rename(it.root.join("bin"), it.root.join("bin2")).unwrap();
            symlink("bin2", it.root.join("bin")).unwrap();
        },
        "bin",
    ),
    (
        "script missing",
        &[Compensating],
        |it| scripts(it).iter().for_each(|path| fs::remove_file(path).unwrap()),
        "script",
    ),
    ("script altered", &[Compensating], |it| scripts(it).iter().for_each(|path| flip(path, 0)), "script"),
    ("plan altered", ANY, |it| flip(&it.folder.join("plan.json"), 40), "plan"),
    ("plan missing", ANY, |it| fs::remove_file(it.folder.join("plan.json")).unwrap(), "plan.json"),
    ("plan cut", &[Switched], |it| edit(&it.folder.join("plan.json"), |bytes| bytes.truncate(100)), "plan"),
    ("journal hole", LATER, |it| flip(&it.folder.join("journal"), 4096 + 80), "damaged"),
    ("journal header", LATER, |it| flip(&it.folder.join("journal"), 4096), "damaged"),
    ("journal version", ANY, |it| edit(&it.folder.join("journal"), |bytes| bytes[4] = 9), "version 9"),
    ("journal zeroed", ANY, |it| edit(&it.folder.join("journal"), |bytes| bytes[..8192].fill(0)), "damaged"),
    ("journal missing", ANY, |it| fs::remove_file(it.folder.join("journal")).unwrap(), "journal"),
    ("folder missing", ANY, |it| fs::remove_dir_all(&it.folder).unwrap(), "journal"),
];

#[test]
fn whatever_is_tampered_with_nothing_is_changed() {
    let mut count = 0;
    for (what, deaths, tamper, word) in VARIANTS {
        for died in *deaths {
            let what = format!("{what}, {died:?}");
            let (mut lab, scene) = lab(*died);
            tamper(&scene);
            let database = sqlite::dump(&lab.database_path()).unwrap();
            let tree = walk::fingerprint(&lab.root()).unwrap();
            for _ in 0..2 {
                let said = match lab.recover_on(Arc::new(RealDisk)) {
                    Ok(Some(Outcome::InDoubt { missing, .. })) => missing,
                    Err(Ended::Open(error)) => format!("{error} {error:?}"),
                    Err(Ended::Engine(error)) => format!("{error} {error:?}"),
                    other => panic!("{what}: {other:?}"),
                };
                assert!(said.contains(word), "{what}: {said}");
                let differences = walk::diff(&tree, &walk::fingerprint(&lab.root()).unwrap());
                assert!(differences.is_empty(), "{what}: {differences:?}");
                let differences = sqlite::diff(&database, &sqlite::dump(&lab.database_path()).unwrap());
                assert!(differences.is_empty(), "{what}: {differences:?}");
            }
            count += 1;
        }
    }
    assert!(count >= 30, "{count}");
}

#[test]
fn an_archive_that_is_gone_is_no_dead_end() {
    let (mut lab, scene) = lab(Switched);
    fs::remove_dir_all(&scene.archive).unwrap();
    let recovered = lab.recover();
    assert!(matches!(recovered, Some(Outcome::InDoubt { .. })), "{recovered:?}");
    // The way back of the atomic part needs no archive; only its proof does.
    assert_eq!(text(lab.root().join("bin/app")), "old app");
    assert!(!lab.root().join("bin/added").exists());
    let mut databases = lab.databases();
    let mut silent = Silent;
    let stop = AtomicBool::new(false);
    let mut party = Party { databases: &mut databases, steps: &mut [], observer: &mut silent, stop: &stop };
    let mut resolution = Resolution { reason: "the archive is lost".into(), accept_differences: false };
    assert!(lab.interrupted().resolve(&resolution, &mut party).is_err());
    resolution.accept_differences = true;
    drop(lab.interrupted().resolve(&resolution, &mut party).unwrap());
    assert!(lab.recover().is_none());
}

#[test]
fn an_approved_migration_is_closed_without_its_archive_and_what_was_parked_is_kept() {
    let (mut lab, scene) = lab(Committed);
    fs::remove_dir_all(&scene.archive).unwrap();
    let outcome = lab.recover();
    assert!(matches!(outcome, Some(Outcome::Committed { .. })), "{outcome:?}");
    assert_eq!(text(lab.root().join("bin/app")), "new app");
    assert!(lab.recover().is_none());
    let kept = scene
        .slots
        .with_file_name(scene.slots.file_name().unwrap().to_str().unwrap().replace("slots", "kept"));
    let mut texts: Vec<_> = fs::read_dir(kept).unwrap().map(|entry| text(entry.unwrap().path())).collect();
    texts.sort();
    assert_eq!(texts, ["gone", "old app"]);
}

#[test]
fn an_archive_with_damaged_bytes_does_not_keep_the_modules_from_going_back() {
    let (mut lab, scene) = lab(Switched);
    assert!(spoil(&scene.archive) > 0);
    drop(lab.recover_on(Arc::new(RealDisk)));
    assert_eq!(text(lab.root().join("bin/app")), "old app");
    assert!(!lab.root().join("bin/added").exists());
}

#[test]
fn a_new_module_that_was_altered_is_noticed_before_an_approval() {
    let (mut lab, scene) = lab(Checking);
    fs::write(scene.root.join("bin/added"), "foreign").unwrap();
    let outcome = lab.recover();
    assert!(
        matches!(&outcome, Some(Outcome::RolledBack { cause, .. }) if cause.contains("bin/added")),
        "{outcome:?}"
    );
}
