//! A committed migration is taken out later: exactly, or not at all and with what stands in the way.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::Arc,
};

use crate::common::{Ended, Lab, Seen, text};
use proptest::prelude::*;
use tmp_core::{
    MigrationId, Mode,
    contents::Contents,
    enhancement::{SqlRollback, TransactionMode},
    module::{Change, Content},
    outcome::Outcome,
    plan::Plan,
};
use tmp_disk::{Disk, Fault, FaultDisk, RealDisk};
use tmp_migrate::{PlanError, ReversalRequest, plan_reversal, reversal_order};
use tmp_testkit::{
    sqlite,
    trees::{self, NodeContent, TreeModel},
    walk,
};

fn planned(
    lab: &Lab,
    migration: &MigrationId,
    lose: &[&str],
) -> Result<(Plan, impl Contents + use<>), PlanError> {
    let lose: Vec<String> = lose.iter().map(|table| (*table).to_owned()).collect();
    let request = ReversalRequest {
        migration,
        reason: "a test",
        lose: &lose,
        commands: &lab.commands,
        utilities: &lab.utilities,
    };
    plan_reversal(&lab.workplace(Arc::new(RealDisk)), &request, &mut lab.databases())
}

fn reverse_on(lab: &mut Lab, migration: &MigrationId, disk: Arc<dyn Disk>) -> Result<Outcome, Ended> {
    let (plan, contents) = planned(lab, migration, &[]).map_err(Ended::Plan)?;
    lab.migrate_with(&plan, &contents, disk, |_, _| {})
}

pub(crate) fn reverse(lab: &mut Lab, migration: &MigrationId) -> Outcome {
    reverse_on(lab, migration, Arc::new(RealDisk)).unwrap()
}

fn rules(error: &PlanError) -> Vec<(&str, &str)> {
    error.faults.iter().map(|fault| (fault.rule, fault.subject.as_str())).collect()
}

/// Everything is as it was, but for the times of directories.
#[track_caller]
fn assert_restored(before: &Seen, after: &Seen) {
    let lines = differences(before, after);
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

fn differences(before: &Seen, after: &Seen) -> Vec<String> {
    let directory = |seen: &Seen, path: &[u8]| {
        seen.tree.entries.get(path).is_none_or(|entry| matches!(entry.content, walk::Content::Directory))
    };
    let plain = |seen: &Seen| seen.tree.without_mtimes(|path| directory(seen, path));
    let mut lines = walk::diff(&plain(before), &plain(after));
    if let (Some(before), Some(after)) = (&before.database, &after.database) {
        lines.extend(sqlite::diff(before, after));
    }
    lines
}

/// Every kind of operation on every kind of module, SQL in and outside of the transaction, a batch step.
fn reference() -> Lab {
    let mut lab = Lab::with_database(
        "create table invoice(id integer primary key, amount int); create table other(a);
         insert into invoice values (1, 10), (2, 20);",
    );
    for (path, content) in [
        ("bin/app", "old app"),
        ("bin/same", "same"),
        ("etc/app.conf", "old conf"),
        ("lib/gone.sh", "gone"),
        ("lib/old/a", "a"),
        ("lib/old/deep/b", "b"),
        ("lib/becomes_dir", "file"),
        ("lib/becomes_file/x", "x"),
    ] {
        lab.write(path, content);
    }
    let root = lab.root();
    symlink("app", root.join("bin/current")).unwrap();
    rustix::fs::setxattr(root.join("bin/app"), "user.note", b"kept", rustix::fs::XattrFlags::empty())
        .unwrap();
    fs::set_permissions(root.join("lib/gone.sh"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::set_permissions(root.join("lib/old/deep"), fs::Permissions::from_mode(0o1700)).unwrap();
    lab.put("bin/app", "new app");
    lab.put("fresh/dir/file", "fresh");
    lab.put("lib/becomes_dir/inside", "inside");
    lab.change("lib/becomes_dir", Change::Put(Content::Directory { mode: Mode::DIRECTORY }));
    lab.remove("lib/becomes_file/x");
    lab.put("lib/becomes_file", "now a file");
    lab.change("bin/current", Change::Put(Content::Symlink { target: "same".into() }));
    lab.change("etc", Change::Put(Content::Directory { mode: Mode::from_bits(0o700) }));
    let same = Content::File { digest: lab.payload.add(b"same"), size: 4, mode: Mode::PROGRAM };
    lab.change("bin/same", Change::Put(same));
    for gone in ["lib/gone.sh", "lib/old", "lib/old/a", "lib/old/deep", "lib/old/deep/b"] {
        lab.remove(gone);
    }
    lab.sql(
        "010",
        "alter table invoice add column fee int default 0; update invoice set fee = amount / 10;",
        Some("alter table invoice drop column fee;"),
        None,
    );
    lab.sql("020", "create table fee(id int primary key);", Some("drop table fee;"), None);
    lab.sql("030", "create index by_id on fee(id);", Some("drop index by_id;"), None);
    lab.sql("040", "vacuum;", Some("vacuum;"), None);
    lab.enhancement.sql[2].transaction = TransactionMode::None;
    lab.enhancement.sql[3].transaction = TransactionMode::None;
    lab
}

fn committed(lab: &mut Lab) -> MigrationId {
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    outcome.report().migration.clone()
}

#[test]
fn everything_is_as_it_was_and_can_be_done_again() {
    let mut lab = reference();
    let before = lab.seen();
    let first = committed(&mut lab);
    let after = lab.seen();
    let outcome = reverse(&mut lab, &first);
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_restored(&before, &lab.seen());
    assert_eq!(rules(&planned(&lab, &first, &[]).err().unwrap())[0].0, "reversal", "not twice");
    let again = committed(&mut lab);
    let lines = differences(&after, &Seen { tree: lab.seen().tree.without_mtimes(|_| true), ..lab.seen() });
    let lines: Vec<_> = lines.iter().filter(|line| !line.contains("mtime")).collect();
    assert!(lines.is_empty(), "{lines:?}");
    assert!(matches!(reverse(&mut lab, &again), Outcome::Committed { .. }));
    assert_restored(&before, &lab.seen());
}

/// A reversal is a migration: it has a journal, and whatever fails, whenever, it is there or it is not.
#[test]
fn a_death_or_an_error_anywhere_ends_before_or_after() {
    let mut lab = reference();
    let first = committed(&mut lab);
    let disk = Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::None));
    assert!(matches!(reverse_on(&mut lab, &first, disk.clone()), Ok(Outcome::Committed { .. })));
    let mut ends = BTreeSet::new();
    for at in (1..=disk.effects()).step_by(3) {
        for fault in [Fault::Stop { at }, Fault::Error { at, errno: 5, persistent: false }] {
            let mut lab = reference();
            let before = lab.seen();
            let first = committed(&mut lab);
            let after = lab.seen();
            let ended = reverse_on(&mut lab, &first, Arc::new(FaultDisk::new(Arc::new(RealDisk), fault)));
            assert!(
                !matches!(ended, Ok(Outcome::RollbackFailed { .. } | Outcome::InDoubt { .. })),
                "{ended:?}"
            );
            let recovered = lab.recover();
            assert!(!matches!(recovered, Some(Outcome::RollbackFailed { .. })), "{fault:?}: {recovered:?}");
            let (to_before, to_after) = (differences(&before, &lab.seen()), differences(&after, &lab.seen()));
            assert!(to_before.is_empty() || to_after.is_empty(), "{fault:?}: {to_before:?} {to_after:?}");
            ends.insert(to_before.is_empty());
            assert_eq!(lab.leftovers(), [""; 0], "{fault:?}");
        }
    }
    assert_eq!(ends.len(), 2, "some ended before, some after");
}

#[test]
fn what_was_changed_since_is_named_and_left() {
    let mut lab = reference();
    let first = committed(&mut lab);
    let root = lab.root();
    fs::write(root.join("bin/app"), "a hot fix").unwrap();
    fs::write(root.join("fresh/dir/more"), "somebody's").unwrap();
    fs::write(root.join("lib/gone.sh"), "there again").unwrap();
    fs::set_permissions(root.join("etc"), fs::Permissions::from_mode(0o711)).unwrap();
    let changed = lab.seen();
    let error = planned(&lab, &first, &[]).err().unwrap();
    assert_eq!(
        rules(&error),
        [("unlisted", "fresh/dir"), ("drift", "bin/app"), ("drift", "etc"), ("drift", "lib/gone.sh")]
    );
    assert_restored(&changed, &lab.seen());
}

#[test]
fn rows_written_since_are_lost_only_by_order() {
    let mut lab = reference();
    let first = committed(&mut lab);
    let execute =
        |sql: &str| rusqlite::Connection::open(lab.database_path()).unwrap().execute_batch(sql).unwrap();
    execute("insert into other values (1);");
    planned(&lab, &first, &[]).map(drop).unwrap();
    execute("insert into invoice values (3, 30, 3); insert into fee values (9);");
    let error = planned(&lab, &first, &[]).err().unwrap();
    assert_eq!(rules(&error), [("rows", "fee"), ("rows", "invoice")]);
    assert!(error.faults[1].message.contains("2 rows then, 3 now"), "{error}");
    assert_eq!(rules(&planned(&lab, &first, &["fee"]).err().unwrap()), [("rows", "invoice")]);
    let (plan, contents) = planned(&lab, &first, &["fee", "invoice"]).unwrap();
    let outcome = lab.migrate_with(&plan, &contents, Arc::new(RealDisk), |_, _| {}).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    let connection = rusqlite::Connection::open(lab.database_path()).unwrap();
    let count = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("select count(*) from invoice where amount = 30"), 1, "the row itself stays");
    assert_eq!(count("select count(*) from other"), 1);
    assert_eq!(count("select count(*) from pragma_table_info('invoice') where name = 'fee'"), 0);
}

/// Where a change has no script of its own, the archive says what the database was.
#[test]
fn changes_without_a_script_come_back_from_the_archive() {
    let mut lab = Lab::with_database(
        "create table t(a integer primary key autoincrement, b); create table other(a);
         insert into t values (1, 'x'), (2, 'y'), (3, null), (9, 'z'); delete from t where a = 9; create index t_b on t(b); pragma user_version = 3;",
    );
    lab.sql("010", "delete from t where b = 'x'; drop index t_b; pragma user_version = 4;", None, None);
    lab.sql("020", "create table u(c); insert into u values (1);", Some("drop table u;"), None);
    lab.enhancement.sql[0].rollback = SqlRollback::Irreversible { why: "the row is gone".into() };
    let before = lab.seen();
    let first = committed(&mut lab);
    let connection = rusqlite::Connection::open(lab.database_path()).unwrap();
    connection.execute_batch("insert into t(b) values ('since')").unwrap();
    let error = planned(&lab, &first, &[]).err().unwrap();
    assert_eq!(rules(&error), [("rows", "t")]);
    connection.execute_batch("delete from t where b = 'since'; update sqlite_sequence set seq = 9").unwrap();
    connection.execute_batch("insert into other values ('since')").unwrap();
    drop(connection);
    assert!(matches!(reverse(&mut lab, &first), Outcome::Committed { .. }));
    let connection = rusqlite::Connection::open(lab.database_path()).unwrap();
    connection.execute_batch("delete from other").unwrap();
    drop(connection);
    assert_restored(&before, &lab.seen());
    let left = fs::read_dir(lab.dir.path().join("state")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("copy-")));
}

/// Rows that come between the plan and the transaction are seen there.
#[test]
fn rows_written_after_the_plan_turn_it_back() {
    let mut lab = reference();
    let first = committed(&mut lab);
    let (plan, contents) = planned(&lab, &first, &[]).unwrap();
    let connection = rusqlite::Connection::open(lab.database_path()).unwrap();
    connection.execute_batch("insert into fee values (9)").unwrap();
    drop(connection);
    let before = lab.seen();
    let outcome = lab.migrate_with(&plan, &contents, Arc::new(RealDisk), |_, _| {}).unwrap();
    assert!(
        matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("rows of table fee")),
        "{outcome:?}"
    );
    assert_restored(&before, &lab.seen());
}

#[test]
fn a_script_that_does_not_restore_turns_it_back() {
    let mut lab = Lab::with_database("create table t(a); insert into t values (1);");
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    lab.sql(
        "010",
        "alter table t add column b; update t set a = 2;",
        Some("alter table t drop column b;"),
        None,
    );
    let first = committed(&mut lab);
    let after = lab.seen();
    let outcome = reverse(&mut lab, &first);
    assert!(
        matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("do not restore it: rows differ: t")),
        "{outcome:?}"
    );
    assert_restored(&after, &lab.seen());
}

#[test]
fn what_builds_on_it_goes_first() {
    let mut lab = Lab::with_database("create table t(a);");
    lab.write("bin/app", "old");
    let before = lab.seen();
    let mut ids = Vec::new();
    for (name, modules, sql) in [
        ("one", &["lib/a"][..], false),
        ("two", &["bin/app", "lib/b"], true),
        ("three", &["bin/app"], false),
        ("four", &["lib/c"], true),
        ("five", &["lib/a"], false),
    ] {
        lab.enhancement.modules.clear();
        lab.enhancement.sql.clear();
        lab.enhancement.id = name.parse().unwrap();
        for module in modules {
            lab.put(module, name);
        }
        if sql {
            let (up, down) = (format!("create table {name}(a);"), format!("drop table {name};"));
            lab.sql(name, &up, Some(&down), None);
        }
        ids.push(committed(&mut lab));
    }
    let order = |lab: &Lab, id: &MigrationId| -> Vec<String> {
        let order = reversal_order(&lab.workplace(Arc::new(RealDisk)), id).unwrap();
        order.iter().map(|plan| plan.enhancement.to_string()).collect()
    };
    assert_eq!(order(&lab, &ids[1]), ["four", "three", "two"]);
    // The first made the directory that all others put something into.
    assert_eq!(order(&lab, &ids[0]), ["five", "four", "three", "two", "one"]);
    assert_eq!(
        rules(&planned(&lab, &ids[1], &[]).err().unwrap()),
        [("built-on", "four"), ("built-on", "three")]
    );
    for id in [3, 2, 1] {
        let outcome = reverse(&mut lab, &ids[id]);
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }
    assert_eq!(text(lab.root().join("bin/app")), "old");
    assert_eq!(text(lab.root().join("lib/a")), "five");
    assert_eq!(order(&lab, &ids[0]), ["five", "one"]);
    for id in [4, 0] {
        assert!(matches!(reverse(&mut lab, &ids[id]), Outcome::Committed { .. }));
    }
    assert_restored(&before, &lab.seen());
}

#[test]
fn steps_go_back_by_their_own_commands_and_the_old_service_starts() {
    let mut lab = Lab::new();
    lab.write("bin/app", "old");
    lab.write("var/state", "old");
    lab.put("bin/app", "new");
    lab.batch("reindex", "echo new > var/state", Some("printf old > var/state"), &["var/**"]);
    let run = vec!["sh".into(), "-c".into(), "cat bin/app > ../started".into()];
    lab.enhancement.after_rollback.push(tmp_core::enhancement::Command { run, timeout_s: 20 });
    let first = committed(&mut lab);
    assert_eq!(text(lab.root().join("var/state")), "new\n");
    let outcome = reverse(&mut lab, &first);
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(text(lab.root().join("var/state")), "old");
    assert_eq!(text(lab.dir.path().join("site/started")), "old");
    let mut lab = Lab::new();
    lab.write("var/state", "old");
    lab.batch("reindex", "echo new > var/state", None, &["var/**"]);
    let first = committed(&mut lab);
    assert_eq!(rules(&planned(&lab, &first, &[]).err().unwrap()), [("no-way-back", "reindex")]);
}

/// A stack of migrations over a random tree; which one is to go; where somebody writes in between.
fn stacks()
-> impl Strategy<Value = (TreeModel, Vec<Vec<trees::Change>>, prop::sample::Index, Option<prop::sample::Index>)>
{
    trees::tree(12)
        .prop_flat_map(|model| {
            let first = trees::changes(model.clone(), 4);
            (Just(model), first)
        })
        .prop_flat_map(|(model, first)| {
            let after = trees::apply(&model, &first);
            (Just(model), Just(first), trees::changes(after, 4))
        })
        .prop_flat_map(|(model, first, second)| {
            let after = trees::apply(&trees::apply(&model, &first), &second);
            (Just(model), Just(first), Just(second), trees::changes(after, 4))
        })
        .prop_flat_map(|(model, first, second, third)| {
            let drift = prop::option::weighted(0.3, any::<prop::sample::Index>());
            (Just(model), Just(vec![first, second, third]), any::<prop::sample::Index>(), drift)
        })
}

/// A file that was one of several names, and was replaced, comes back as a file of its own.
fn separated(model: &TreeModel, changes: &[Vec<trees::Change>]) -> TreeModel {
    let mut model = model.clone();
    let touched = |path: &str| {
        changes.iter().flatten().any(|change| {
            // A directory that is put where one is keeps what it holds.
            let takes = !matches!(change.what, trees::What::PutDirectory { .. });
            let below = path.strip_prefix(&change.path).is_some_and(|rest| rest.starts_with('/'));
            path == change.path || takes && below
        })
    };
    let paths: Vec<String> = model.0.keys().filter(|path| touched(path)).cloned().collect();
    for path in paths {
        let node = model.0[&path].clone();
        let whole = match &node.content {
            NodeContent::HardLink(other) => model.0[other].clone(),
            _ => node,
        };
        // Whoever was linked to it is linked to the first of themselves.
        let mut heir: Option<String> = None;
        let others: Vec<String> = model
            .0
            .iter()
            .filter(|(_, other)| other.content == NodeContent::HardLink(path.clone()))
            .map(|(name, _)| name.clone())
            .collect();
        for name in others {
            let other = model.0.get_mut(&name).unwrap();
            if let Some(heir) = &heir {
                other.content = NodeContent::HardLink(heir.clone());
            } else {
                other.clone_from(&whole);
                heir = Some(name);
            }
        }
        model.0.insert(path, whole);
    }
    for node in model.0.values_mut().filter(|node| node.content == NodeContent::Directory) {
        node.mtime = None;
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever lies on top of it, and whatever somebody wrote: the reversal of one migration, and of all
    /// that builds on it, leaves exactly what the others alone make, or is refused and changes nothing.
    #[test]
    fn of_random_stacks((model, stack, which, drift) in stacks()) {
        let mut lab = Lab::new();
        fs::remove_dir(lab.root()).unwrap();
        fs::create_dir(lab.root()).unwrap();
        trees::build(&model, &lab.root()).unwrap();
        let (mut now, mut ids) = (model.clone(), Vec::new());
        for (number, changes) in stack.iter().enumerate() {
            lab.enhancement.modules.clear();
            lab.enhancement.id = format!("number-{number}").parse().unwrap();
            lab.changes(&now, changes);
            let outcome = lab.migrate_on(Arc::new(RealDisk));
            prop_assert!(matches!(outcome, Ok(Outcome::Committed { .. })), "{:?}", outcome);
            ids.push(outcome.unwrap().report().migration.clone());
            now = trees::apply(&now, changes);
        }
        let files: Vec<&String> = now.0.iter().filter(|(_, node)| matches!(node.content, NodeContent::File { .. })).map(|(path, _)| path).collect();
        let drifted = drift.filter(|_| !files.is_empty()).map(|at| files[at.index(files.len())].clone());
        if let Some(path) = &drifted {
            let file = lab.root().join(path);
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(&file, "somebody wrote this, and it is nobody else's").unwrap();
        }
        let target = &ids[which.index(ids.len())];
        let order = reversal_order(&lab.workplace(Arc::new(RealDisk)), target).unwrap();
        for plan in &order {
            let before = lab.seen();
            match reverse_on(&mut lab, &plan.migration, Arc::new(RealDisk)) {
                Ok(outcome) => prop_assert!(matches!(outcome, Outcome::Committed { .. }), "{:?}", outcome),
                Err(Ended::Plan(error)) => {
                    let path = drifted.clone().unwrap_or_else(|| panic!("refused without a reason: {error}"));
                    prop_assert!(error.to_string().contains(&path), "{} names not {}", error, path);
                    let differences = walk::diff(&before.tree, &lab.seen().tree);
                    prop_assert!(differences.is_empty(), "{}", differences.join("\n"));
                    return Ok(());
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
        let gone: BTreeSet<&MigrationId> = order.iter().map(|plan| &plan.migration).collect();
        let mut expected = model.clone();
        for (id, changes) in ids.iter().zip(&stack).filter(|(id, _)| !gone.contains(id)) {
            prop_assert!(*id != *target);
            expected = trees::apply(&expected, changes);
        }
        if let Some(path) = &drifted {
            // Nobody's order touched it.
            let text = fs::read_to_string(lab.root().join(path)).unwrap_or_default();
            prop_assert!(text.starts_with("somebody wrote this"), "{} was lost", path);
            return Ok(());
        }
        let differences = trees::check(&separated(&expected, &stack), &lab.root()).unwrap();
        prop_assert!(differences.is_empty(), "{}", differences.join("\n"));
        prop_assert_eq!(lab.leftovers(), Vec::<String>::new());
    }
}
