//! `switch: atomic`: a whole tree changes places with its next state by one rename.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    common::{Ended, Lab, assert_same, text},
    disks::Weak,
    rehearse::rehearse,
    reversal::reverse,
};
use rustix::fs::{CWD, Mode as Bits, OFlags, openat};
use tmp_core::{
    Mode, Phase,
    event::{Event, Silent, Work},
    module::{Change, Content},
    outcome::Outcome,
    plan::{PlannedTree, Switch},
};
use tmp_disk::RealDisk;
use tmp_migrate::{EngineError, Found, Opened, Party};
use tmp_testkit::walk;

/// Modules that stay, change, come and go, a file with two names, and a database.
fn lab() -> Lab {
    let mut lab = Lab::with_database("create table t(a); insert into t values (1);");
    lab.switch = Switch::Atomic;
    for (path, content) in
        [("bin/app", "old app"), ("bin/same", "same"), ("lib/one", "1"), ("lib/gone/file", "gone")]
    {
        lab.write(path, content);
    }
    fs::hard_link(lab.root().join("lib/one"), lab.root().join("lib/also")).unwrap();
    symlink("one", lab.root().join("lib/link")).unwrap();
    fs::set_permissions(lab.root().join("lib"), fs::Permissions::from_mode(0o2750)).unwrap();
    lab.put("bin/app", "new app");
    lab.put("bin/added", "added");
    lab.remove("lib/gone");
    lab.remove("lib/gone/file");
    lab.sql("010", "create table u(b);", Some("drop table u;"), None);
    lab
}

fn inode(path: impl AsRef<Path>) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

fn reached(event: &Event, wanted: Phase) -> bool {
    matches!(event, Event::Phase { phase, .. } if *phase == wanted)
}

/// What was kept of the tree of the only migration: paths below it.
fn kept(lab: &Lab, outcome: &Outcome) -> BTreeSet<String> {
    let work = lab.dir.path().join("site/.tmp-work-live");
    let tree = work.join(format!("kept-{}", outcome.report().migration)).join("tree");
    let seen = walk::fingerprint(&tree).unwrap();
    let files = seen.entries.iter().filter(|(_, entry)| !matches!(entry.content, walk::Content::Directory));
    files.map(|(path, _)| String::from_utf8(path.clone()).unwrap()).collect()
}

#[test]
fn what_does_not_change_is_the_same_and_everything_else_is_new_at_once() {
    let mut lab = lab();
    let root = lab.root();
    let before = ["bin/same", "lib/one", "lib/also", "lib/link"].map(|path| inode(root.join(path)));
    let old = inode(&root);
    let plan = lab.plan().unwrap();
    let counted = PlannedTree { directories: 3, linked: 4, ..plan.tree.unwrap() };
    assert_eq!((plan.tree, counted.copied), (Some(counted), 0), "the root, bin, lib; and what stays in them");
    let mut renames = 0;
    let outcome = lab
        .migrate_planned(&plan, Arc::new(RealDisk), |event, _| {
            if let Event::Done { work: Work::Switch, items, .. } = event {
                renames = *items;
            }
        })
        .unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!((renames, outcome.report().switch), (1, Switch::Atomic));
    assert!(outcome.report().mixture_us.is_some());
    assert_ne!(inode(&root), old);
    assert_eq!(before, ["bin/same", "lib/one", "lib/also", "lib/link"].map(|path| inode(root.join(path))));
    assert_eq!(fs::metadata(root.join("bin/same")).unwrap().nlink(), 1, "the old tree is gone");
    assert_eq!(fs::metadata(root.join("lib")).unwrap().mode() & 0o7777, 0o2750);
    assert_eq!(
        (text(root.join("bin/app")), text(root.join("bin/added"))),
        ("new app".into(), "added".into())
    );
    assert!(!root.join("lib/gone").exists());
    assert_eq!(lab.leftovers(), [""; 0]);
    assert!(lab.recover().is_none());
}

#[test]
fn a_check_that_fails_takes_the_old_tree_back_by_another_rename() {
    let mut lab = lab();
    lab.put("lib/one", "2");
    // The directory of a database gets its time back for itself.
    lab.database = false;
    lab.enhancement.sql.clear();
    lab.check("refuses", "test \"$(cat bin/app)\" = old");
    drop(lab.open(Arc::new(RealDisk)).unwrap());
    let (old, before) = (inode(lab.root()), lab.seen());
    let around = || fs::metadata(lab.dir.path().join("site")).unwrap().modified().unwrap();
    let time = around();
    let plan = lab.plan().unwrap();
    let outcome = lab.migrate_planned(&plan, Arc::new(RealDisk), |_, _| {}).unwrap();
    assert!(
        matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("refuses")),
        "{outcome:?}"
    );
    assert_same(&before, &lab.seen());
    let Outcome::RolledBack { comparison, .. } = outcome else { return };
    assert_eq!(comparison.foreign, [""; 0], "the second names that TMP gave are nobody else's");
    assert_eq!(inode(lab.root()), old);
    assert_eq!(fs::metadata(lab.dir.path().join("site")).unwrap().modified().unwrap(), time);
    assert_eq!(lab.leftovers(), [""; 0]);
}

#[test]
fn it_is_reversed_and_rehearsed_like_any_other() {
    let mut lab = lab();
    let proof = rehearse(&lab, true).unwrap();
    assert!(proof.parts.iter().all(|part| part.findings.is_empty()), "{proof:?}");
    let before = lab.seen();
    let Outcome::Committed { report, .. } = lab.migrate() else { panic!("it does not commit") };
    let again = reverse(&mut lab, &report.migration);
    assert!(matches!(again, Outcome::Committed { .. }), "{again:?}");
    assert_eq!(again.report().switch, Switch::Atomic);
    let directory = |path: &[u8]| {
        let entry = before.tree.entries.get(path);
        entry.is_none_or(|entry| matches!(entry.content, walk::Content::Directory))
    };
    let plain = |seen: &walk::TreeFingerprint| seen.without_mtimes(directory);
    assert_eq!(walk::diff(&plain(&before.tree), &plain(&lab.seen().tree)), [""; 0]);
}

/// What changes in place has an inode of its own in each tree.
#[test]
fn a_mode_and_what_a_batch_step_writes_do_not_reach_the_old_tree() {
    let mut lab = lab();
    lab.write("var/index", "1");
    lab.write("var/other", "x");
    fs::hard_link(lab.root().join("var/index"), lab.root().join("lib/twin")).unwrap();
    let same = Content::File { digest: lab.payload.add(b"same"), size: 4, mode: Mode::from_bits(0o600) };
    lab.change("bin/same", Change::Put(same));
    lab.batch("reindex", "echo 2 > var/index", None, &["var/ind*"]);
    let plan = lab.plan().unwrap();
    assert_eq!(plan.tree.unwrap().copied, 2);
    let root = lab.root();
    let mut old: Vec<fs::File> =
        ["bin/same", "var/index", "var/other"].map(|path| fs::File::open(root.join(path)).unwrap()).into();
    let outcome = lab.migrate_planned(&plan, Arc::new(RealDisk), |_, _| {}).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(old[0].metadata().unwrap().mode() & 0o777, 0o644, "the old mode is not touched");
    let mut content = String::new();
    old[1].read_to_string(&mut content).unwrap();
    assert_eq!((content.as_str(), text(root.join("var/index")).as_str()), ("1", "2\n"));
    assert_eq!(
        inode(root.join("lib/twin")),
        inode(root.join("var/index")),
        "both names are of one file still"
    );
    assert_eq!(inode(root.join("var/other")), old[2].metadata().unwrap().ino());
}

#[test]
fn somebody_who_changes_the_tree_before_the_exchange_turns_it_back() {
    type Theirs = fn(&Path);
    let changes: &[(&str, Theirs)] = &[
        ("new file", |root| fs::write(root.join("lib/theirs"), "theirs").unwrap()),
        ("new directory", |root| fs::create_dir(root.join("theirs")).unwrap()),
        ("written", |root| fs::write(root.join("lib/one"), "theirs").unwrap()),
        ("removed", |root| fs::remove_file(root.join("bin/same")).unwrap()),
        ("mode of the root", |root| {
            fs::set_permissions(root, fs::Permissions::from_mode(0o711)).unwrap();
        }),
    ];
    for (what, change) in changes {
        for at in [Work::Stage, Work::Sql] {
            let mut lab = lab();
            let (root, mut theirs) = (lab.root(), None);
            let outcome = lab
                .migrate_watched(Arc::new(RealDisk), |event, _| {
                    if matches!(event, Event::Done { work, .. } if *work == at) {
                        change(&root);
                        theirs = Some(walk::fingerprint(&root).unwrap());
                    }
                })
                .unwrap();
            assert!(matches!(outcome, Outcome::RolledBack { .. }), "{what} at {at:?}: {outcome:?}");
            // Until the end each file that does not change has a second name in the next tree.
            let mut differences = walk::diff(&theirs.unwrap(), &lab.seen().tree);
            differences.retain(|line| !line.contains(": links "));
            assert!(differences.is_empty(), "{what} at {at:?}: {differences:?}");
            // What they removed stands in the next tree alone by then.
            let is_kept = lab.leftovers() == [format!("kept-{}", outcome.report().migration)];
            assert_eq!(is_kept, *what == "removed", "{what} at {at:?}: {:?}", lab.leftovers());
            assert!(!is_kept || kept(&lab, &outcome) == BTreeSet::from(["bin/same".to_owned()]));
        }
    }
}

#[test]
fn what_somebody_leaves_in_the_old_tree_is_kept() {
    let mut lab = lab();
    let root = lab.root();
    let mut app = fs::File::options().append(true).open(root.join("bin/app")).unwrap();
    let lib = fs::File::open(root.join("lib")).unwrap();
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if reached(event, Phase::Checking) {
                app.write_all(b" and theirs").unwrap();
                let flags = OFlags::CREATE | OFlags::WRONLY;
                let theirs = openat(&lib, "theirs", flags, Bits::RUSR | Bits::WUSR).unwrap();
                fs::File::from(theirs).write_all(b"theirs").unwrap();
            }
        })
        .unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(kept(&lab, &outcome), ["bin/app", "lib/theirs"].map(String::from).into());
    for path in ["bin/app", "lib/theirs"] {
        assert!(outcome.report().findings.iter().any(|line| line.contains(path)), "{outcome:?}");
    }
    assert_eq!(text(root.join("bin/app")), "new app");
}

#[test]
fn what_somebody_leaves_in_the_next_tree_is_kept_after_a_rollback() {
    let mut lab = lab();
    lab.check("refuses", "exit 1");
    let (root, before) = (lab.root(), lab.seen());
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if reached(event, Phase::Checking) {
                fs::write(root.join("lib/theirs"), "theirs").unwrap();
                fs::write(root.join("bin/added"), "theirs").unwrap();
            }
        })
        .unwrap();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_same(&before, &lab.seen());
    assert_eq!(kept(&lab, &outcome), ["bin/added", "lib/theirs"].map(String::from).into());
}

#[test]
fn a_root_that_somebody_else_exchanged_is_left_in_doubt_until_it_is_back() {
    for phase in [Phase::Applying, Phase::Checking] {
        let mut lab = lab();
        lab.database = false;
        lab.enhancement.sql.clear();
        let before = lab.seen();
        lab.die_at(|event| match phase {
            Phase::Applying => matches!(event, Event::Done { work: Work::Switch, .. }),
            phase => reached(event, phase),
        });
        let (root, aside) = (lab.root(), lab.dir.path().join("site/aside"));
        fs::rename(&root, &aside).unwrap();
        fs::create_dir(&root).unwrap();
        fs::write(root.join("theirs"), "theirs").unwrap();
        let outcome = lab.recover();
        assert!(matches!(outcome, Some(Outcome::InDoubt { .. })), "{outcome:?}");
        assert_eq!(text(root.join("theirs")), "theirs");
        let (mut databases, stop) = (lab.databases(), AtomicBool::new(false));
        let mut party =
            Party { databases: &mut databases, steps: &mut [], observer: &mut Silent, stop: &stop };
        let found = lab.interrupted().inspect_target(&mut party).unwrap();
        assert!(matches!(found, Found::Neither(_)), "{found:?}");
        fs::remove_dir_all(&root).unwrap();
        fs::rename(&aside, &root).unwrap();
        let outcome = lab.recover();
        assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{outcome:?}");
        assert_same(&before, &lab.seen());
        assert_eq!(lab.leftovers(), [""; 0]);
    }
}

#[test]
fn without_an_exchange_nothing_begins() {
    let mut lab = lab();
    let before = lab.seen();
    let ended = lab.migrate_on(Weak::without_exchange(Arc::new(RealDisk)));
    assert!(matches!(ended, Err(Ended::Engine(EngineError::NoExchange { .. }))), "{ended:?}");
    assert_same(&before, &lab.seen());
    assert_eq!(lab.leftovers(), [""; 0]);
    assert_eq!(fs::read_dir(lab.dir.path().join("state/journal")).unwrap().count(), 0);
}

/// An engine that stays open sees the tree that stands there now, be it that a migration switches none.
#[test]
fn the_same_engine_goes_on_with_the_tree_that_stands_there_now() {
    let mut lab = lab();
    let first = lab.plan().unwrap();
    let Opened::Ready(mut engine) = lab.open(Arc::new(RealDisk)).unwrap() else { panic!("one is open") };
    let stop = AtomicBool::new(false);
    let mut databases = lab.databases();
    let mut party = Party { databases: &mut databases, steps: &mut [], observer: &mut Silent, stop: &stop };
    let outcome = engine.migrate(&first, &lab.payload, &mut party).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    lab.enhancement.modules.clear();
    lab.enhancement.sql.clear();
    lab.write("var/x", "x");
    lab.batch("step", "echo y > var/x", None, &["var/*"]);
    let probe = tmp_core::enhancement::Probe::Digest {
        path: "bin/app".parse().unwrap(),
        digest: tmp_core::Digest::of(b"new app"),
    };
    let check = tmp_core::enhancement::Check { name: "app".parse().unwrap(), probe, within_s: 0 };
    lab.enhancement.verify.push(check);
    let second = lab.plan().unwrap();
    assert_eq!((second.operations.len(), second.tree), (0, None));
    let outcome = engine.migrate(&second, &lab.payload, &mut party).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

/// Opens two files through one handle of the root, over and over; how often both were of one tree, and how often not.
fn read_pairs(root: &Path, stop: &AtomicBool, whole: &AtomicU64, mixed: &AtomicU64) {
    let read = |dir: &rustix::fd::OwnedFd, path: &str| {
        let mut content = String::new();
        let file = openat(dir, path, OFlags::RDONLY, Bits::empty()).ok()?;
        fs::File::from(file).read_to_string(&mut content).ok()?;
        Some(content)
    };
    while !stop.load(Ordering::Relaxed) {
        let Ok(dir) = openat(CWD, root, OFlags::DIRECTORY | OFlags::RDONLY, Bits::empty()) else { continue };
        // A tree that was parked goes piece by piece: what is gone is no mixture.
        if let (Some(one), Some(other)) = (read(&dir, "bin/app"), read(&dir, "lib/app")) {
            if one == other { whole } else { mixed }.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn whoever_holds_the_root_never_sees_old_and_new_together() {
    let mut lab = Lab::new();
    lab.switch = Switch::Atomic;
    for path in ["bin/app", "lib/app"] {
        lab.write(path, "0");
    }
    let (stop, whole, mixed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let root = lab.root();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| read_pairs(&root, &stop, &whole, &mixed));
        }
        for round in 1..=30 {
            for path in ["bin/app", "lib/app"] {
                lab.put(path, &round.to_string());
            }
            lab.enhancement.verify.clear();
            if round % 3 == 0 {
                lab.check("refuses", "exit 1");
            }
            let outcome = lab.migrate();
            let back = matches!(outcome, Outcome::RolledBack { .. });
            if back != (round % 3 == 0) {
                stop.store(true, Ordering::Relaxed);
                panic!("{outcome:?}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(mixed.load(Ordering::Relaxed), 0);
    assert!(whole.load(Ordering::Relaxed) > 100, "{whole:?}");
}

/// The exchange itself is one rename of the two directories: the paths swap, and nothing else moves.
#[test]
fn the_mixture_of_a_whole_tree_is_one_rename() {
    let (disk, clock) = Weak::timed();
    let mut lab = lab();
    lab.database = false;
    lab.enhancement.sql.clear();
    lab.clock = Some(clock);
    let Ok(Outcome::Committed { report, .. }) = lab.migrate_on(disk) else { panic!("it does not commit") };
    assert_eq!(report.mixture_us, Some(1), "four modules, one rename");
}
