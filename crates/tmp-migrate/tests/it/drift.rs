//! What differs from what TMP last left is named, refused where a plan touches it, and accepted by order.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::Arc,
};

use crate::common::Lab;
use tmp_core::{
    Mode,
    module::{Change, Content},
    outcome::Outcome,
};
use tmp_disk::{RealDisk, Tree};
use tmp_migrate::{Drift, Left, Opened};

fn migrated() -> Lab {
    let mut lab = Lab::with_database("create table t(a); insert into t values (1);");
    for (path, text) in [("bin/app", "old"), ("bin/tool", "old"), ("lib/gone", "gone"), ("etc/conf", "conf")]
    {
        lab.write(path, text);
    }
    lab.put("bin/app", "new");
    lab.put("bin/tool", "new tool");
    lab.change("bin/link", Change::Put(Content::Symlink { target: "app".into() }));
    lab.change("var/spool", Change::Put(Content::Directory { mode: Mode::from_bits(0o750) }));
    lab.remove("lib/gone");
    lab.sql("010", "create table u(b);", Some("drop table u;"), None);
    assert!(matches!(lab.migrate(), Outcome::Committed { .. }));
    lab
}

fn drift(lab: &Lab) -> Vec<Drift> {
    let workplace = lab.workplace(Arc::new(RealDisk));
    let left = Left::read(&workplace.disk, &workplace.state, &workplace.target.root).unwrap();
    let tree = Tree::open(&workplace.disk, workplace.target.root.as_std_path()).unwrap();
    left.drift(&tree, &mut lab.databases()).unwrap()
}

fn words(drift: &[Drift]) -> Vec<String> {
    drift.iter().map(|drift| format!("{}: {}", drift.subject, drift.what)).collect()
}

fn execute(lab: &Lab, sql: &str) {
    rusqlite::Connection::open(lab.database_path()).unwrap().execute_batch(sql).unwrap();
}

fn drifted() -> Lab {
    let lab = migrated();
    assert_eq!(drift(&lab), []);
    let root = lab.root();
    fs::write(root.join("bin/app"), "by hand").unwrap();
    fs::set_permissions(root.join("bin/tool"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(root.join("bin/link")).unwrap();
    symlink("tool", root.join("bin/link")).unwrap();
    fs::remove_dir(root.join("var/spool")).unwrap();
    fs::write(root.join("lib/gone"), "again").unwrap();
    fs::write(root.join("etc/conf"), "not TMP's").unwrap();
    execute(&lab, "insert into u values (7); create index i on t(a); alter table u add column c;");
    lab
}

#[test]
fn everything_that_differs_is_named() {
    let lab = drifted();
    assert_eq!(
        words(&drift(&lab)),
        [
            "bin/app: its content was changed",
            "bin/link: it points to \"tool\" instead of \"app\"",
            "bin/tool: its mode is 0600 instead of 0644",
            "lib/gone: it was removed, and a file is there again",
            "var/spool: it is gone",
            "main: index i is new, table u was changed",
        ]
    );
}

#[test]
fn a_plan_refuses_drift_in_what_it_touches_and_nowhere_else() {
    let mut lab = drifted();
    lab.enhancement.modules.clear();
    lab.enhancement.sql.clear();
    lab.put("bin/other", "other");
    lab.plan().unwrap();
    lab.put("bin/app", "newer");
    let error = lab.plan().unwrap_err();
    let faults: Vec<_> = error.faults.iter().map(|fault| (fault.rule, fault.subject.as_str())).collect();
    assert_eq!(faults, [("drift", "bin/app")]);
    lab.sql("020", "create table v(c);", Some("drop table v;"), None);
    let error = lab.plan().unwrap_err();
    let faults: Vec<_> = error.faults.iter().map(|fault| (fault.rule, fault.subject.as_str())).collect();
    assert_eq!(faults, [("drift", "bin/app"), ("drift", "main")]);
}

#[test]
fn what_is_accepted_counts_as_left() {
    let mut lab = drifted();
    let Opened::Ready(mut engine) = lab.open(Arc::new(RealDisk)).unwrap() else { panic!("one is open") };
    let accepted = engine.accept_drift("the hot fix stays", &|_| true, &mut lab.databases()).unwrap();
    drop(engine);
    assert_eq!(accepted.len(), 6, "{accepted:?}");
    assert_eq!(drift(&lab), []);
    let folder = lab.dir.path().join("state/accepted");
    let documents: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(documents.len(), 1, "{documents:?}");
    let document = fs::read_to_string(&documents[0]).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&lab.root().display().to_string(), "[ROOT]");
    settings.add_filter(r"sha256:[0-9a-f]{64}", "[DIGEST]");
    settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[INSTANT]");
    settings.bind(|| insta::assert_snapshot!("the_format_of_an_acceptance", document));
    fs::write(lab.root().join("bin/app"), "by hand again").unwrap();
    assert_eq!(words(&drift(&lab)), ["bin/app: its content was changed"]);
    fs::write(lab.root().join("bin/app"), "by hand").unwrap();
    lab.enhancement.modules.clear();
    lab.enhancement.sql.clear();
    lab.put("bin/app", "newest");
    assert!(matches!(lab.migrate(), Outcome::Committed { .. }));
    assert_eq!(drift(&lab), [], "a later migration says anew what is right");
}

/// What cannot be read is not taken for nothing.
#[test]
fn acceptances_that_cannot_be_read_are_an_error() {
    let lab = migrated();
    let folder = lab.dir.path().join("state/accepted");
    let workplace = lab.workplace(Arc::new(RealDisk));
    let left = || Left::read(&workplace.disk, &workplace.state, &workplace.target.root);
    assert!(!folder.exists() && left().is_ok());
    fs::write(&folder, "no folder").unwrap();
    let error = left().unwrap_err();
    assert!(error.to_string().contains("accepted"), "{error}");
}

/// Somebody else's rows are not drift, and neither is what a rolled back migration touched.
#[test]
fn rows_and_what_was_rolled_back_are_no_drift() {
    let mut lab = migrated();
    execute(&lab, "insert into t values (2); insert into u values (3);");
    lab.enhancement.modules.clear();
    lab.enhancement.sql.clear();
    lab.put("etc/conf", "never");
    lab.put("bin/app", "never");
    lab.check("refuses", "exit 1");
    assert!(matches!(lab.migrate(), Outcome::RolledBack { .. }));
    assert_eq!(drift(&lab), []);
}
