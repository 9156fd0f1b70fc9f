//! Somebody else changes the target while a migration runs. Nothing of theirs is lost, and a
//! migration that was not ready for it goes back.

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    common::{Lab, assert_same, text},
    disks::Weak,
};
use tmp_core::{
    Phase,
    event::{Event, Work},
    outcome::{DatabaseComparison, Outcome},
    plan::Switch,
};
use tmp_disk::{Fault, FaultDisk, RealDisk};
use tmp_migrate::{Found, Opened, Party, Resolution};

fn lab() -> Lab {
    let mut lab = Lab::with_database("create table t(a); insert into t values (1);");
    lab.write("bin/app", "old app");
    lab.write("lib/gone/file", "file");
    lab.put("bin/app", "new app");
    lab.remove("lib/gone");
    lab.remove("lib/gone/file");
    lab.sql("010", "create table u(b);", Some("drop table u;"), None);
    lab
}

fn done(event: &Event, what: Work) -> bool {
    matches!(event, Event::Done { work, .. } if *work == what)
}

fn reached(event: &Event, wanted: Phase) -> bool {
    matches!(event, Event::Phase { phase, .. } if *phase == wanted)
}

/// Both ways of switching.
const SWITCHES: [Switch; 2] = [Switch::Files, Switch::Atomic];

/// What somebody does to the root.
type Change = fn(&Path);

const CHANGES: &[(&str, Change)] = &[
    ("content", |root| fs::write(root.join("bin/app"), "theirs!").unwrap()),
    ("mode", |root| fs::set_permissions(root.join("bin/app"), fs::Permissions::from_mode(0o611)).unwrap()),
    ("mtime", |root| {
        let file = fs::File::options().write(true).open(root.join("bin/app")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }),
    ("xattr", |root| tmp_testkit::walk::set_xattr(&root.join("bin/app"), b"user.theirs", b"1").unwrap()),
    ("exchange", |root| {
        fs::write(root.join("bin/app.new"), "theirs!").unwrap();
        fs::rename(root.join("bin/app.new"), root.join("bin/app")).unwrap();
    }),
    ("type", |root| {
        fs::remove_file(root.join("bin/app")).unwrap();
        symlink("elsewhere", root.join("bin/app")).unwrap();
    }),
    ("removal", |root| fs::remove_file(root.join("bin/app")).unwrap()),
    ("link", |root| fs::hard_link(root.join("bin/app"), root.join("bin/also")).unwrap()),
    ("new file", |root| fs::write(root.join("lib/gone/theirs"), "theirs!").unwrap()),
    ("owner", |root| {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(root.join("bin/app"), Some(7), Some(7)).unwrap();
        } else {
            fs::set_permissions(root.join("bin/app"), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }),
];

#[test]
fn a_change_between_archive_and_switch_turns_back_and_stays() {
    for switch in SWITCHES {
        for (what, change) in CHANGES {
            for at in [Work::VerifyArchive, Work::Stage, Work::Sql] {
                changed_between(switch, *change, at, &format!("{what} at {at:?}, {switch}"));
            }
        }
    }
}

fn changed_between(switch: Switch, change: Change, at: Work, what: &str) {
    let mut lab = lab();
    lab.switch = switch;
    let root = lab.root();
    let mut theirs = None;
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if done(event, at) && theirs.is_none() {
                change(&root);
                theirs = Some(tmp_testkit::walk::fingerprint(&root).unwrap());
            }
        })
        .unwrap();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{what}: {outcome:?}");
    let mut differences = tmp_testkit::walk::diff(&theirs.unwrap(), &lab.seen().tree);
    // The next tree has a name of each file that does not change, until it is gone.
    differences.retain(|line| switch == Switch::Files || !line.contains(": links "));
    assert!(differences.is_empty(), "{what}: {differences:?}");
    assert_eq!(lab.leftovers(), [""; 0], "{what}");
    assert!(lab.recover().is_none());
}

#[test]
fn a_change_between_plan_and_run_is_archived_or_turns_back() {
    for (what, change) in CHANGES {
        let mut lab = lab();
        let root = lab.root();
        let plan = lab.plan().unwrap();
        change(&root);
        lab.check("refuses", "exit 1");
        let theirs = lab.seen();
        let mut plan = plan;
        // The check comes after the plan was made: it takes back what the engine went on with.
        plan.enhancement = lab.enhancement.clone();
        plan.steps = {
            let mut fresh = self::lab();
            fresh.check("refuses", "exit 1");
            fresh.plan().unwrap().steps
        };
        let outcome = lab.migrate_planned(&plan, Arc::new(RealDisk), |_, _| {}).unwrap();
        assert!(matches!(outcome, Outcome::RolledBack { .. }), "{what}: {outcome:?}");
        assert_same(&theirs, &lab.seen());
        assert_eq!(lab.leftovers(), [""; 0], "{what}");
    }
}

#[test]
fn a_mode_or_an_unchanged_module_that_moved_after_the_plan_turns_back() {
    for what in ["mode", "content below a mode", "unchanged"] {
        let mut lab = lab();
        lab.write("bin/same", "same");
        let mode = if what == "unchanged" { 0o644 } else { 0o755 };
        fs::set_permissions(lab.root().join("bin/same"), fs::Permissions::from_mode(0o644)).unwrap();
        let content = tmp_core::module::Content::File {
            digest: lab.payload.add(b"same"),
            size: 4,
            mode: tmp_core::Mode::from_bits(mode),
        };
        lab.change("bin/same", tmp_core::module::Change::Put(content));
        let plan = lab.plan().unwrap();
        match what {
            "mode" => {
                fs::set_permissions(lab.root().join("bin/same"), fs::Permissions::from_mode(0o600)).unwrap();
            }
            _ => fs::write(lab.root().join("bin/same"), "else").unwrap(),
        }
        let theirs = lab.seen();
        let outcome = lab.migrate_planned(&plan, Arc::new(RealDisk), |_, _| {}).unwrap();
        assert!(matches!(outcome, Outcome::RolledBack { .. }), "{what}: {outcome:?}");
        assert_same(&theirs, &lab.seen());
        assert_eq!(lab.leftovers(), [""; 0], "{what}");
    }
}

#[test]
fn what_is_written_into_a_parked_file_comes_back_with_it() {
    SWITCHES.into_iter().for_each(written_into_a_parked_file);
}

fn written_into_a_parked_file(switch: Switch) {
    let mut lab = lab();
    lab.switch = switch;
    lab.check("refuses", "exit 1");
    let mut open = fs::File::options().append(true).open(lab.root().join("bin/app")).unwrap();
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if reached(event, Phase::Checking) {
                open.write_all(b" and theirs").unwrap();
            }
        })
        .unwrap();
    let Outcome::RolledBack { comparison, report, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(text(lab.root().join("bin/app")), "old app and theirs");
    assert!(comparison.foreign.iter().any(|line| line.contains("bin/app")), "{comparison:?}");
    assert!(report.findings.iter().any(|line| line.contains("bin/app")), "{report:?}");
    assert_eq!(lab.leftovers(), [""; 0]);
}

#[test]
fn what_is_written_into_a_parked_file_is_kept_after_an_approval() {
    let mut lab = lab();
    let mut open = fs::File::options().append(true).open(lab.root().join("bin/app")).unwrap();
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if reached(event, Phase::Checking) {
                open.write_all(b" and theirs").unwrap();
            }
        })
        .unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert!(outcome.report().findings.iter().any(|line| line.contains("bin/app")), "{outcome:?}");
    let work = lab.dir.path().join("site/.tmp-work-live");
    let kept = work.join(format!("kept-{}", outcome.report().migration));
    let files: Vec<_> = fs::read_dir(kept).unwrap().map(|entry| text(entry.unwrap().path())).collect();
    assert_eq!(files, ["old app and theirs"]);
    assert_eq!(text(lab.root().join("bin/app")), "new app");
}

/// That the archive could not be read once says nothing of what was parked: the next process asks again.
#[test]
fn what_cannot_be_compared_for_a_moment_is_not_taken_for_changed() {
    let mut lab = lab();
    let (disk, now) = Weak::refusing("open_dir");
    let outcome = lab.migrate_watched(disk, |event, _| {
        if reached(event, Phase::Committed) {
            now.store(true, Ordering::SeqCst);
        }
    });
    let Ok(Outcome::Committed { report }) = &outcome else { panic!("{outcome:?}") };
    assert!(matches!(&*report.findings, [left] if left.contains("has to clean up")), "{report:?}");
    let outcome = lab.recover().unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(outcome.report().findings, [""; 0]);
    assert_eq!(text(lab.root().join("bin/app")), "new app");
    assert_eq!(lab.leftovers(), [""; 0]);
}

/// What is kept is told of also when the process died after it was put aside.
#[test]
fn what_is_kept_is_told_after_a_death_in_the_clean_up() {
    SWITCHES.into_iter().for_each(told_after_a_death_in_the_clean_up);
}

fn told_after_a_death_in_the_clean_up(switch: Switch) {
    let run = |fault: Fault| {
        let mut lab = lab();
        lab.switch = switch;
        let mut open = fs::File::options().append(true).open(lab.root().join("bin/app")).unwrap();
        let disk = Arc::new(FaultDisk::new(Arc::new(RealDisk), fault));
        let mut committed = None;
        let ended = lab.migrate_watched(disk.clone(), |event, _| {
            if reached(event, Phase::Checking) {
                open.write_all(b" and theirs").unwrap();
            }
            if reached(event, Phase::Committed) {
                committed = Some(disk.effects());
            }
        });
        let outcomes = [ended.ok(), lab.recover()].into_iter().flatten().collect::<Vec<_>>();
        (outcomes, committed, disk.effects())
    };
    let (_, committed, effects) = run(Fault::None);
    let points = committed.unwrap() + 1..=effects;
    assert!(points.clone().count() > 4, "{points:?}");
    for at in points {
        let (outcomes, ..) = run(Fault::Stop { at });
        let told = |outcome: &Outcome| outcome.report().findings.iter().any(|line| line.contains("bin/app"));
        assert!(outcomes.iter().any(told), "a death at {at}: {outcomes:?}");
    }
}

#[test]
fn what_is_written_into_a_new_file_is_kept_after_a_rollback() {
    let mut lab = lab();
    lab.put("bin/added", "added");
    lab.check("refuses", "exit 1");
    let root = lab.root();
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if reached(event, Phase::Checking) {
                let path = root.join("bin/added");
                let mut file = fs::File::options().append(true).mode(0o600).open(path).unwrap();
                file.write_all(b" and theirs").unwrap();
            }
        })
        .unwrap();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert!(!lab.root().join("bin/added").exists());
    let work = lab.dir.path().join("site/.tmp-work-live");
    let kept = work.join(format!("kept-{}", outcome.report().migration));
    let files: Vec<_> = fs::read_dir(kept).unwrap().map(|entry| text(entry.unwrap().path())).collect();
    assert_eq!(files, ["added and theirs"]);
    assert!(outcome.report().findings.iter().any(|line| line.contains("bin/added")), "{outcome:?}");
}

#[test]
fn a_new_module_that_somebody_exchanged_leaves_modules_and_database_as_a_pair() {
    let mut lab = lab();
    lab.check("refuses", "exit 1");
    let root = lab.root();
    let (mut after, database) = (None, lab.database_path());
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if reached(event, Phase::Checking) {
                fs::write(root.join("bin/app.new"), "theirs").unwrap();
                fs::rename(root.join("bin/app.new"), root.join("bin/app")).unwrap();
                after = Some(tmp_testkit::walk::fingerprint(&root).unwrap());
            }
        })
        .unwrap();
    assert!(
        matches!(&outcome, Outcome::InDoubt { missing, .. } if missing.contains("bin/app")),
        "{outcome:?}"
    );
    let differences = tmp_testkit::walk::diff(&after.unwrap(), &lab.seen().tree);
    assert!(differences.is_empty(), "{differences:?}");
    let connection = rusqlite::Connection::open(database).unwrap();
    let tables: i64 = connection
        .query_row("select count(*) from sqlite_schema where name = 'u'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1, "the database keeps the new schema, because the modules do");
}

#[test]
fn rows_that_somebody_wrote_survive_the_rollback_by_scripts() {
    let mut lab = lab();
    lab.check("refuses", "exit 1");
    let database = lab.database_path();
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if reached(event, Phase::Checking) {
                let connection = rusqlite::Connection::open(&database).unwrap();
                connection.execute_batch("insert into t values (77);").unwrap();
            }
        })
        .unwrap();
    let Outcome::RolledBack { comparison, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(comparison.database, Some(DatabaseComparison::SchemaOnly));
    let connection = rusqlite::Connection::open(lab.database_path()).unwrap();
    let rows: i64 =
        connection.query_row("select count(*) from t where a = 77", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    assert_eq!(text(lab.root().join("bin/app")), "old app");
}

#[test]
fn rows_that_somebody_wrote_refuse_the_archive_and_a_person_settles_it() {
    let mut lab = lab();
    lab.sql("020", "delete from t;", None, None);
    lab.check("refuses", "exit 1");
    let database = lab.database_path();
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if reached(event, Phase::Checking) {
                let connection = rusqlite::Connection::open(&database).unwrap();
                connection.execute_batch("insert into t values (77);").unwrap();
            }
        })
        .unwrap();
    assert!(
        matches!(&outcome, Outcome::RollbackFailed { intact: Some(intact), .. } if intact.contains("modules stay the new ones")),
        "{outcome:?}"
    );
    assert_eq!(text(lab.root().join("bin/app")), "new app");
    assert!(matches!(lab.recover(), Some(Outcome::RollbackFailed { .. })));

    let mut databases = lab.databases();
    let mut silent = tmp_core::event::Silent;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut party = Party { databases: &mut databases, steps: &mut [], observer: &mut silent, stop: &stop };
    let mut open = lab.interrupted();
    assert_eq!(open.inspect_target(&mut party).unwrap(), Found::After);
    let resolution = Resolution { reason: "the new ones are right".into(), accept_differences: false };
    drop(open.resolve(&resolution, &mut party).unwrap());
    assert!(matches!(lab.open(Arc::new(RealDisk)).unwrap(), Opened::Ready(_)));
    assert_eq!(text(lab.root().join("bin/app")), "new app");
}

#[test]
fn differences_are_accepted_only_where_that_is_said() {
    let mut lab = lab();
    lab.sql("020", "delete from t;", None, None);
    lab.check("refuses", "exit 1");
    let database = lab.database_path();
    drop(lab.migrate_watched(Arc::new(RealDisk), |event, _| {
        if reached(event, Phase::Checking) {
            rusqlite::Connection::open(&database)
                .unwrap()
                .execute_batch("insert into t values (7);")
                .unwrap();
        }
    }));
    fs::write(lab.root().join("bin/app.new"), "a person's").unwrap();
    fs::rename(lab.root().join("bin/app.new"), lab.root().join("bin/app")).unwrap();
    let mut databases = lab.databases();
    let mut silent = tmp_core::event::Silent;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut party = Party { databases: &mut databases, steps: &mut [], observer: &mut silent, stop: &stop };
    assert!(matches!(lab.interrupted().inspect_target(&mut party).unwrap(), Found::Neither(_)));
    let mut resolution = Resolution { reason: "mended by hand".into(), accept_differences: false };
    assert!(lab.interrupted().resolve(&resolution, &mut party).is_err());
    resolution.accept_differences = true;
    drop(lab.interrupted().resolve(&resolution, &mut party).unwrap());
    assert!(matches!(lab.open(Arc::new(RealDisk)).unwrap(), Opened::Ready(_)));
    assert_eq!(text(lab.root().join("bin/app")), "a person's");
}

#[test]
fn what_somebody_writes_where_a_batch_step_would_write_is_no_failed_rollback() {
    let mut lab = lab();
    lab.write("var/cache/one", "1");
    lab.batch("warm", "true", None, &["var/cache/**"]);
    lab.sql("020", "insert into nowhere values (1);", Some("select 1;"), None);
    let root = lab.root();
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if done(event, Work::Stage) {
                fs::write(root.join("var/cache/one"), "theirs").unwrap();
            }
        })
        .unwrap();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_eq!(text(lab.root().join("var/cache/one")), "theirs");
}

#[test]
fn an_archive_that_decays_while_it_is_made_stops_the_migration_before_anything_is_staged() {
    let mut lab = lab();
    let before = lab.seen();
    let packs = lab.dir.path().join("state/archive");
    let mut staged = false;
    let mut spoiled = 0;
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| {
            if done(event, Work::Archive) {
                spoiled += spoil(&packs);
            }
            staged |= done(event, Work::Stage);
        })
        .unwrap();
    assert!(spoiled > 0);
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert!(!staged);
    assert_same(&before, &lab.seen());
    assert_eq!(lab.leftovers(), [""; 0]);
}

/// Flips a bit in the middle of every pack.
pub(crate) fn spoil(archive: &Path) -> u32 {
    let mut count = 0;
    for entry in fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            count += spoil(&entry);
        } else if entry.to_string_lossy().contains("pack") {
            let mut bytes = fs::read(&entry).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::set_permissions(&entry, fs::Permissions::from_mode(0o600)).unwrap();
            fs::write(&entry, bytes).unwrap();
            count += 1;
        }
    }
    count
}
