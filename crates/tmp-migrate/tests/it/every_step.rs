//! Each step of a migration is made to fail in turn: SQL statement by statement, check by check, and
//! every call that changes the disk, once by an error and once by a death. Every time the target is
//! exactly as it was or exactly as it becomes.

use std::{fs, os::unix::fs::symlink, sync::Arc};

use crate::common::{Ended, Lab, Seen, assert_same};
use tmp_core::{
    Mode,
    enhancement::TransactionMode,
    module::{Change, Content},
    outcome::Outcome,
    plan::Switch,
};
use tmp_disk::{Disk, Fault, FaultDisk, RealDisk};
use tmp_migrate::{Fact, Journal, Record};
use tmp_testkit::{sqlite, walk};

const TABLES: &str = "
    create table customer(id integer primary key, name text not null);
    create table invoice(id integer primary key autoincrement, customer int references customer(id), amount int);
    create index by_customer on invoice(customer);
    insert into customer values (1, 'Ada'), (2, 'Grace');
    insert into invoice(customer, amount) values (1, 10), (2, 20), (1, 30);";

/// Every kind of operation on every kind of module, three SQL changes (one outside the transaction), a batch step and two checks.
fn reference(switch: Switch) -> Lab {
    let mut lab = Lab::with_database(TABLES);
    lab.switch = switch;
    for (path, text) in [
        ("bin/app", "old app"),
        ("bin/tool", "old tool"),
        ("bin/same", "same"),
        ("etc/app.conf", "old conf"),
        ("lib/gone.sh", "gone"),
        ("lib/old/a", "a"),
        ("lib/old/deep/b", "b"),
        ("lib/becomes_dir", "file"),
        ("lib/becomes_file/x", "x"),
        ("var/index/one", "1"),
        ("doc/linked", "linked"),
    ] {
        lab.write(path, text);
    }
    let root = lab.root();
    symlink("app", root.join("bin/current")).unwrap();
    fs::hard_link(root.join("doc/linked"), root.join("doc/also")).unwrap();
    rustix::fs::setxattr(root.join("bin/app"), "user.note", b"kept", rustix::fs::XattrFlags::empty())
        .unwrap();
    rustix::fs::chmod(root.join("bin/tool"), rustix::fs::Mode::from_bits_truncate(0o4750)).unwrap();

    lab.put("bin/app", "new app");
    lab.put("bin/tool", "new tool");
    lab.put("bin/added", "added");
    lab.put("fresh/dir/file", "fresh");
    lab.put("doc/linked", "no longer linked");
    lab.put("lib/becomes_dir/inside", "inside");
    lab.change("lib/becomes_dir", Change::Put(Content::Directory { mode: Mode::DIRECTORY }));
    lab.remove("lib/becomes_file/x");
    lab.put("lib/becomes_file", "now a file");
    lab.change("bin/current", Change::Put(Content::Symlink { target: "added".into() }));
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
        Some("select count(*) = 3 from invoice where fee > 0;"),
    );
    lab.sql(
        "020",
        "create table fee(id int primary key); insert into fee values (1);",
        Some("drop table fee;"),
        None,
    );
    lab.sql("030", "create index fee_index on fee(id);", Some("drop index fee_index;"), None);
    lab.enhancement.sql[2].transaction = TransactionMode::None;
    lab.batch("reindex", "echo 2 > var/index/one; echo 3 > var/index/two", None, &["var/index/**"]);
    lab.check("app-is-new", "grep -q new bin/app");
    lab.check("index-is-new", "test -e var/index/two");
    lab
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum End {
    Before,
    After,
}

/// The target is as before, or as after a migration that nothing disturbed (times of new things apart).
#[track_caller]
fn before_or_after(before: &Seen, after: &Seen, now: &Seen, what: &str) -> End {
    let as_before = walk::diff(&before.tree, &now.tree);
    let database =
        |seen: &Seen| sqlite::diff(seen.database.as_ref().unwrap(), now.database.as_ref().unwrap());
    if as_before.is_empty() && database(before).is_empty() {
        return End::Before;
    }
    let as_after = walk::diff(&after.tree.without_mtimes(|_| true), &now.tree.without_mtimes(|_| true));
    if as_after.is_empty() && database(after).is_empty() {
        return End::After;
    }
    panic!(
        "{what}: neither before nor after\nbefore: {as_before:#?} {:#?}\nafter: {as_after:#?} {:#?}",
        database(before),
        database(after)
    );
}

/// The target before and after, and how many effects a migration without faults has.
fn undisturbed(switch: Switch) -> (Seen, u64) {
    let mut lab = reference(switch);
    let disk = Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::None));
    let outcome = lab.migrate_on(disk.clone()).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(lab.leftovers(), [""; 0]);
    (lab.seen(), disk.effects())
}

/// Runs the reference on a disk that fails, recovers on a sound one, and says how it ended.
fn with_fault(switch: Switch, fault: Fault, after: &Seen) -> End {
    let what = format!("{switch:?} {fault:?}");
    let mut lab = reference(switch);
    let before = lab.seen();
    let disk = Arc::new(FaultDisk::new(Arc::new(RealDisk), fault));
    let ended = lab.migrate_on(disk);
    let claimed = match &ended {
        Ok(Outcome::Committed { .. }) => Some(End::After),
        Ok(Outcome::RolledBack { .. }) | Err(Ended::Open(_)) => Some(End::Before),
        Ok(Outcome::RollbackFailed { .. } | Outcome::InDoubt { .. }) => panic!("{what}: {ended:?}"),
        Err(Ended::Engine(_)) => None,
        Err(Ended::Plan(error)) => panic!("{what}: {error}"),
    };
    // What is still parked counts as a name of a file that has several.
    if let Some(claimed) = claimed.filter(|_| lab.leftovers().is_empty()) {
        assert_eq!(before_or_after(&before, after, &lab.seen(), &what), claimed, "{what}: {ended:?}");
    }
    let recovered = lab.recover();
    let end = before_or_after(&before, after, &lab.seen(), &what);
    if let Some(recovered) = recovered {
        let says = if matches!(recovered, Outcome::Committed { .. }) { End::After } else { End::Before };
        assert_eq!(says, end, "{what}: {recovered:?}");
    }
    if let Some(claimed) = claimed {
        assert_eq!(claimed, end, "{what}");
    }
    assert!(lab.recover().is_none(), "{what}: nothing is left to recover");
    assert_eq!(lab.leftovers(), [""; 0], "{what}");
    end
}

/// Every point up to `effects`, or where tests are to be short every `step`th.
fn points(effects: u64) -> impl Iterator<Item = u64> {
    1..=effects
}

#[test]
fn a_death_at_every_effect() {
    a_death_at_every_effect_by(Switch::Files);
}

#[test]
fn a_death_at_every_effect_of_a_whole_tree() {
    a_death_at_every_effect_by(Switch::Atomic);
}

fn a_death_at_every_effect_by(switch: Switch) {
    let (after, effects) = undisturbed(switch);
    let ends: Vec<End> = points(effects).map(|at| with_fault(switch, Fault::Stop { at }, &after)).collect();
    assert!(ends.contains(&End::Before) && ends.contains(&End::After));
}

/// Takes from the journal what no sync has covered yet: the facts at its end that were only announced.
/// Answers how many there were.
fn lose_announced(lab: &Lab) -> usize {
    const SLOT: usize = 4096;
    let Ok(entries) = fs::read_dir(lab.base().join("state/journal")) else { return 0 };
    let mut lost = 0;
    for folder in entries.map(|entry| entry.unwrap().path()) {
        let Ok(id) = folder.file_name().unwrap().to_str().unwrap().parse() else { continue };
        let (_, mut records) = Journal::read(&RealDisk, &RealDisk.open_root(&folder).unwrap(), &id).unwrap();
        let slots = |record: &Record| (72 + serde_json::to_vec(record).unwrap().len()).div_ceil(SLOT);
        let mut bytes = fs::read(folder.join("journal")).unwrap();
        let announced = |fact: &Fact| match fact {
            Fact::StepIntent { name, .. } => name.as_str() == "post-image",
            Fact::Archived { .. }
            | Fact::Switched
            | Fact::Applied
            | Fact::Checking
            | Fact::StepDone { .. } => true,
            Fact::Committed { .. } => lab.enhancement.modules.is_empty(),
            _ => false,
        };
        while records.pop_if(|record| announced(&record.fact)).is_some() {
            lost += 1;
        }
        let durable: usize = records.iter().map(slots).sum();
        bytes[durable * SLOT..].fill(0);
        fs::write(folder.join("journal"), bytes).unwrap();
    }
    lost
}

/// Dies at each of these effects, loses what was only announced, recovers.
fn without_power(make: fn() -> Lab, every: usize) {
    let mut sound = make();
    let counting = Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::None));
    assert!(matches!(sound.migrate_on(counting.clone()).unwrap(), Outcome::Committed { .. }));
    let after = sound.seen();
    let (mut lost, mut ends) = (0, Vec::new());
    for at in points(counting.effects()).step_by(every) {
        let what = format!("dead at {at}");
        let mut lab = make();
        let before = lab.seen();
        drop(lab.migrate_on(Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::Stop { at }))));
        lost += lose_announced(&lab);
        lab.recover();
        ends.push(before_or_after(&before, &after, &lab.seen(), &what));
        assert!(lab.recover().is_none(), "{what}: nothing is left to recover");
        assert_eq!(lab.leftovers(), [""; 0], "{what}");
    }
    assert!(lost > 10, "{lost}");
    assert!(ends.contains(&End::Before) && ends.contains(&End::After));
}

#[test]
fn a_loss_of_power_may_take_what_was_only_announced() {
    without_power(|| reference(Switch::Files), 3);
    without_power(|| reference(Switch::Atomic), 7);
    without_power(
        || {
            let mut lab = Lab::with_database(TABLES);
            lab.sql("010", "create table fee(id int);", Some("drop table fee;"), None);
            lab
        },
        1,
    );
}

#[test]
fn an_error_at_every_effect() {
    an_error_at_every_effect_by(Switch::Files);
}

#[test]
fn an_error_at_every_effect_of_a_whole_tree() {
    an_error_at_every_effect_by(Switch::Atomic);
}

fn an_error_at_every_effect_by(switch: Switch) {
    let (after, effects) = undisturbed(switch);
    let ends: Vec<End> = points(effects)
        .map(|at| {
            with_fault(
                switch,
                Fault::Error { at, errno: rustix::io::Errno::IO.raw_os_error(), persistent: false },
                &after,
            )
        })
        .collect();
    assert!(ends.contains(&End::Before) && ends.contains(&End::After));
}

#[test]
fn no_space_from_every_effect_on() {
    no_space_from_every_effect_on_by(Switch::Files);
}

#[test]
fn no_space_from_every_effect_on_of_a_whole_tree() {
    no_space_from_every_effect_on_by(Switch::Atomic);
}

fn no_space_from_every_effect_on_by(switch: Switch) {
    let (after, effects) = undisturbed(switch);
    for at in points(effects).filter(|at| at % 3 == 0) {
        with_fault(
            switch,
            Fault::Error { at, errno: rustix::io::Errno::NOSPC.raw_os_error(), persistent: true },
            &after,
        );
    }
}

#[test]
fn every_statement_fails_in_turn() {
    let switch = Switch::Files;
    let statements = [
        "alter table invoice add column fee int default 0;",
        "update invoice set fee = amount / 10;",
        "create table fee(id int primary key);",
        "insert into fee values (1);",
    ];
    for broken in 0..statements.len() {
        let mut lab = reference(switch);
        lab.enhancement.sql.clear();
        let text: String = statements
            .iter()
            .enumerate()
            .map(|(at, sql)| if at == broken { "insert into nowhere values (1);" } else { *sql })
            .collect();
        lab.sql("010", &text, Some("select 1;"), None);
        let before = lab.seen();
        let outcome = lab.migrate();
        let number = format!("statement {}", broken + 1);
        assert!(
            matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains(&number)),
            "{outcome:?}"
        );
        assert_same(&before, &lab.seen());
        assert_eq!(lab.leftovers(), [""; 0]);
    }
}

/// A command is cut short when the migration's time is over, not when its own is.
#[test]
fn a_migration_that_takes_too_long_goes_back() {
    let switch = Switch::Files;
    let mut lab = reference(switch);
    lab.enhancement.max_duration_s = Some(1);
    lab.batch("slow", "sleep 15", None, &[]);
    let before = lab.seen();
    let since = std::time::Instant::now();
    let outcome = lab.migrate();
    assert!(since.elapsed().as_secs() < 12, "the command ran on");
    assert!(
        matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("max_duration of 1 s")),
        "{outcome:?}"
    );
    assert_same(&before, &lab.seen());
}

/// Dies on the way back, too: a statement outside the transaction is not taken back twice.
#[test]
fn a_death_at_every_effect_of_a_compensation() {
    a_death_at_every_effect_of_a_compensation_by(Switch::Files);
}

#[test]
fn a_death_at_every_effect_of_a_compensation_of_a_whole_tree() {
    a_death_at_every_effect_of_a_compensation_by(Switch::Atomic);
}

fn a_death_at_every_effect_of_a_compensation_by(switch: Switch) {
    let failing = || {
        let mut lab = reference(switch);
        lab.check("refuses", "exit 1");
        lab
    };
    let mut lab = failing();
    let disk = Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::None));
    assert!(matches!(lab.migrate_on(disk.clone()).unwrap(), Outcome::RolledBack { .. }));
    for at in points(disk.effects()) {
        let mut lab = failing();
        let before = lab.seen();
        let disk = Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::Stop { at }));
        let _ = lab.migrate_on(disk);
        let recovered = lab.recover();
        assert!(
            matches!(&recovered, None | Some(Outcome::RolledBack { .. })),
            "a death at {at}: {recovered:?}"
        );
        assert_same(&before, &lab.seen());
        assert_eq!(lab.leftovers(), [""; 0], "a death at {at}");
    }
}

#[test]
fn every_step_and_check_fails_in_turn() {
    every_step_and_check_fails_in_turn_by(Switch::Files);
}

#[test]
fn every_step_and_check_fails_in_turn_of_a_whole_tree() {
    every_step_and_check_fails_in_turn_by(Switch::Atomic);
}

fn every_step_and_check_fails_in_turn_by(switch: Switch) {
    for broken in ["010-verify", "reindex", "app-is-new", "index-is-new", "digest"] {
        let mut lab = reference(switch);
        match broken {
            "010-verify" => {
                lab.enhancement.sql.clear();
                lab.sql(
                    "010",
                    "delete from invoice;",
                    Some("select 1;"),
                    Some("select count(*) > 0 from invoice;"),
                );
            }
            "reindex" => {
                lab.enhancement.batch.clear();
                lab.batch(
                    "reindex",
                    "echo 9 > var/index/one; mkdir var/index/sub; touch var/index/sub/x; exit 3",
                    None,
                    &["var/index/**"],
                );
            }
            "digest" => {
                let probe = tmp_core::enhancement::Probe::Digest {
                    path: "bin/app".parse().unwrap(),
                    digest: tmp_core::Digest::of(b"another"),
                };
                let name = "digest".parse().unwrap();
                lab.enhancement.verify.push(tmp_core::enhancement::Check { name, probe, within_s: 0 });
            }
            check => {
                lab.enhancement.verify.retain(|there| there.name.as_str() != check);
                lab.check(check, "exit 1");
            }
        }
        let before = lab.seen();
        let outcome = lab.migrate();
        assert!(matches!(&outcome, Outcome::RolledBack { .. }), "{broken}: {outcome:?}");
        assert_same(&before, &lab.seen());
        assert_eq!(lab.leftovers(), [""; 0], "{broken}");
    }
}
