//! A file system that cannot exchange names: files and symlinks are linked aside and replaced.

use std::{fs, os::unix::fs::symlink, sync::Arc};

use crate::{
    common::{Ended, Lab, Seen, assert_same, text},
    disks::Weak,
};
use tmp_core::{
    Mode,
    module::{Change, Content},
    outcome::Outcome,
};
use tmp_disk::{Fault, FaultDisk, RealDisk};
use tmp_testkit::{sqlite, walk};

fn lab() -> Lab {
    let mut lab = Lab::with_database("create table t(a); insert into t values (1);");
    lab.write("bin/app", "old");
    lab.write("bin/gone", "gone");
    symlink("app", lab.root().join("bin/current")).unwrap();
    lab.put("bin/app", "new");
    lab.put("bin/added", "added");
    lab.remove("bin/gone");
    lab.change("bin/current", Change::Put(Content::Symlink { target: "added".into() }));
    lab.sql("010", "insert into t values (2);", Some("delete from t where a = 2;"), None);
    lab
}

#[test]
fn files_and_symlinks_are_replaced_and_come_back() {
    let mut lab = lab();
    let outcome = lab.migrate_on(Weak::without_exchange(Arc::new(RealDisk)));
    assert!(matches!(outcome, Ok(Outcome::Committed { .. })), "{outcome:?}");
    assert_eq!(text(lab.root().join("bin/current")), "added");
    assert_eq!(text(lab.root().join("bin/app")), "new");
    assert_eq!(lab.leftovers(), [""; 0]);

    let mut lab = self::lab();
    lab.check("refuses", "exit 1");
    let before = lab.seen();
    let outcome = lab.migrate_on(Weak::without_exchange(Arc::new(RealDisk)));
    assert!(matches!(outcome, Ok(Outcome::RolledBack { .. })), "{outcome:?}");
    assert_same(&before, &lab.seen());
    assert_eq!(lab.leftovers(), [""; 0]);
}

#[test]
fn a_type_that_changes_is_refused_and_rolled_back() {
    for to_directory in [true, false] {
        let mut lab = lab();
        if to_directory {
            lab.write("lib/x", "file");
            lab.change("lib/x", Change::Put(Content::Directory { mode: Mode::DIRECTORY }));
        } else {
            fs::create_dir_all(lab.root().join("lib/x")).unwrap();
            lab.put("lib/x", "file");
        }
        let before = lab.seen();
        let outcome = lab.migrate_on(Weak::without_exchange(Arc::new(RealDisk)));
        assert!(
            matches!(&outcome, Ok(Outcome::RolledBack { cause, .. }) if cause.contains("lib/x")),
            "{outcome:?}"
        );
        assert_same(&before, &lab.seen());
        assert_eq!(lab.leftovers(), [""; 0]);
    }
}

fn is(seen: &Seen, now: &Seen) -> bool {
    walk::diff(&seen.tree.without_mtimes(|_| true), &now.tree.without_mtimes(|_| true)).is_empty()
        && sqlite::diff(seen.database.as_ref().unwrap(), now.database.as_ref().unwrap()).is_empty()
}

#[test]
fn a_fault_at_every_effect_ends_before_or_after() {
    for fails in [false, true] {
        let make = || {
            let mut lab = lab();
            if fails {
                lab.check("refuses", "exit 1");
            }
            lab
        };
        let mut whole = make();
        let counting = Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::None));
        drop(whole.migrate_on(Weak::without_exchange(counting.clone())).unwrap());
        let after = whole.seen();
        let effects = counting.effects();
        // What happens before the switch is the same as with exchange.
        for at in effects / 2..=effects {
            let fault = if at % 3 == 0 {
                Fault::Error { at, errno: rustix::io::Errno::IO.raw_os_error(), persistent: false }
            } else {
                Fault::Stop { at }
            };
            let mut lab = make();
            let before = lab.seen();
            let faulty = Arc::new(FaultDisk::new(Arc::new(RealDisk), fault));
            let ended = lab.migrate_on(Weak::without_exchange(faulty));
            assert!(
                !matches!(ended, Ok(Outcome::RollbackFailed { .. } | Outcome::InDoubt { .. })),
                "{fault:?}: {ended:?}"
            );
            let recovered = lab.recover_on(Weak::without_exchange(Arc::new(RealDisk)));
            assert!(
                !matches!(
                    recovered,
                    Err(Ended::Engine(_))
                        | Ok(Some(Outcome::RollbackFailed { .. } | Outcome::InDoubt { .. }))
                ),
                "{fault:?}: {recovered:?}"
            );
            let now = lab.seen();
            assert!(is(&before, &now) || is(&after, &now), "{fault:?}: {ended:?} {recovered:?}");
            if is(&before, &now) {
                assert_same(&before, &now);
            }
            assert_eq!(lab.leftovers(), [""; 0], "{fault:?}");
        }
    }
}
