//! The thinnest true path: one replaced file and one SQL script, forward and taken back.

use crate::{
    common::{Lab, assert_same, text},
    disks::Weak,
};
use tmp_core::{
    Mode,
    module::{Change, Content},
    outcome::Outcome,
};

const TABLE: &str =
    "create table invoice(id integer primary key, amount int); insert into invoice values (1, 10), (2, 20);";

fn lab() -> Lab {
    let mut lab = Lab::with_database(TABLE);
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    lab.sql(
        "010",
        "alter table invoice add column fee int; update invoice set fee = 1;",
        Some("alter table invoice drop column fee;"),
        None,
    );
    lab
}

#[test]
fn a_file_and_a_script_move_as_one() {
    let mut lab = lab();
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(text(lab.root().join("bin/app")), "new");
    let connection = rusqlite::Connection::open(lab.database_path()).unwrap();
    assert_eq!(
        connection.query_row("select sum(fee) from invoice", [], |row| row.get::<_, i64>(0)).unwrap(),
        2
    );
    assert_eq!(lab.leftovers(), [""; 0]);
    assert!(lab.recover().is_none());
}

#[test]
fn a_statement_that_fails_takes_both_back() {
    let mut lab = lab();
    lab.sql("020", "insert into invoice values (1, 1, 1);", Some("select 1;"), None);
    let before = lab.seen();
    let outcome = lab.migrate();
    assert!(
        matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("020.sql")),
        "{outcome:?}"
    );
    assert_same(&before, &lab.seen());
    assert_eq!(lab.leftovers(), [""; 0]);
}

#[test]
fn a_check_that_fails_takes_both_back() {
    let mut lab = lab();
    lab.check("health", "test \"$(cat bin/app)\" = old");
    let before = lab.seen();
    let outcome = lab.migrate();
    assert!(matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("health")), "{outcome:?}");
    assert_same(&before, &lab.seen());
    assert_eq!(lab.leftovers(), [""; 0]);
}

/// What is made in a directory takes after what that directory becomes.
#[test]
fn a_new_directory_takes_after_the_mode_its_parent_gets() {
    for (from, to, made) in [(0o2775, 0o755, 0o755), (0o755, 0o2755, 0o2755)] {
        let mut lab = Lab::new();
        lab.write("spool/file", "text");
        let set = |bits: u32| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(bits);
            std::fs::set_permissions(lab.root().join("spool"), mode).unwrap();
        };
        set(from);
        lab.change("spool", Change::Put(Content::Directory { mode: Mode::from_bits(to) }));
        lab.change("spool/new", Change::Put(Content::Directory { mode: Mode::from_bits(0o755) }));
        let outcome = lab.migrate();
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        let mode =
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(lab.root().join("spool/new")).unwrap());
        assert_eq!(mode & 0o7777, made);
    }
}

#[test]
fn the_mixture_is_what_can_be_seen_and_nothing_around_it() {
    let (disk, clock) = Weak::timed();
    let mut lab = Lab::new();
    lab.clock = Some(clock);
    for (path, text) in [("bin/app", "old"), ("bin/old", "old"), ("etc/app", "old")] {
        lab.write(path, text);
    }
    lab.put("bin/app", "new");
    lab.put("etc/new", "new");
    lab.remove("bin/old");
    let Ok(Outcome::Committed { report, .. }) = lab.migrate_on(disk) else { panic!("it does not commit") };
    assert_eq!(
        report.mixture_us,
        Some(3),
        "three renames, without what is looked at before and made durable after"
    );
    // With a database old rows stand beside new modules until it has committed.
    let mut lab = self::lab();
    let (disk, clock) = Weak::timed();
    lab.clock = Some(clock);
    let Ok(Outcome::Committed { report, .. }) = lab.migrate_on(disk) else { panic!("it does not commit") };
    assert!(report.mixture_us.is_some_and(|mixture| mixture > 1_000_000), "{report:?}");
}
