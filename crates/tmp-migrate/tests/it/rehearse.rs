//! Rehearsals: what they prove, and that they leave the target alone and nothing behind.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use camino::{Utf8Path, Utf8PathBuf};
use tmp_core::{
    DatabaseName, Digest, MigrationId,
    database::Database,
    enhancement::{Check, Command, Probe, SqlRollback, TransactionMode},
    event::Event,
    plan::Provenance,
};
use tmp_disk::{Disk, Fault, FaultDisk, RealDisk};
use tmp_migrate::Workplace;
use tmp_migrate::rehearse::{
    self as library, Cast, Class, Part, Proof, Rehearsal, RehearsalError, Scratch, Verdict, WayBack,
};
use tmp_sql::SqliteDatabase;
use tmp_testkit::walk::{self, TreeFingerprint};

use crate::common::{Events, Lab};

impl Lab {
    /// The names beside the root.
    pub(crate) fn beside(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.dir.path().join("site"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What a rehearsal left in the state directory.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.dir.path().join("state")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

pub(crate) fn open(name: &DatabaseName, file: &Utf8Path) -> Box<dyn Database> {
    Box::new(SqliteDatabase::new(name.clone(), file.to_owned()))
}

/// Rehearses what a lab's enhancement does.
pub(crate) fn rehearse(lab: &Lab, commands: bool) -> Result<Proof, RehearsalError> {
    rehearse_stopping(lab, commands, &AtomicBool::new(false))
}

pub(crate) fn rehearse_stopping(
    lab: &Lab,
    commands: bool,
    stop: &AtomicBool,
) -> Result<Proof, RehearsalError> {
    rehearse_at(lab, &lab.workplace(Arc::new(RealDisk)), commands, stop).0
}

/// Rehearses with this workplace; answers also what was told first, which is where the clone is made.
fn rehearse_at(
    lab: &Lab,
    workplace: &Workplace,
    commands: bool,
    stop: &AtomicBool,
) -> (Result<Proof, RehearsalError>, Option<Event>) {
    let provenance =
        Provenance { trigger: Digest::of(b"trigger"), payload: Digest::of(b"payload"), reason: None };
    let rehearsal = Rehearsal {
        workplace,
        enhancement: &lab.enhancement,
        provenance: &provenance,
        commands,
        policy: &lab.commands,
        privileged_modules: lab.privileged_modules,
        utilities: &lab.utilities,
        open: &open,
    };
    let mut databases = lab.databases();
    let mut events = Events::default();
    let mut cast = Cast { contents: &lab.payload, databases: &mut databases, observer: &mut events, stop };
    let rehearsed = library::rehearse(&rehearsal, &mut cast);
    (rehearsed, events.0.into_iter().next())
}

/// The target is what it was, the directories around it too, and nothing is left anywhere.
#[track_caller]
fn assert_untouched(lab: &Lab, before: &TreeFingerprint) {
    let lines = walk::diff(before, &walk::fingerprint(&lab.dir.path().join("site")).unwrap());
    assert!(lines.is_empty(), "{}", lines.join("\n"));
    assert_eq!(lab.left(), Vec::<PathBuf>::new());
}

fn site(lab: &Lab) -> TreeFingerprint {
    walk::fingerprint(&lab.dir.path().join("site")).unwrap()
}

fn part<'a>(proof: &'a Proof, name: &str) -> &'a Part {
    proof.parts.iter().find(|part| part.name == name).unwrap()
}

fn classes(part: &Part) -> Vec<Class> {
    part.findings.iter().map(|finding| finding.class).collect()
}

const TABLE: &str = "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2);";

/// A system with a bit of everything, and a change of it.
fn lab() -> Lab {
    let mut lab = Lab::with_database(TABLE);
    lab.write("bin/run", "old");
    lab.write("lib/gone", "gone");
    lab.write("var/data", "live");
    lab.ignore = vec!["var/**".into()];
    lab.put("bin/run", "new");
    lab.put("share/new/page", "page");
    lab.remove("lib/gone");
    lab.sql(
        "010",
        "ALTER TABLE t ADD COLUMN b; UPDATE t SET b = a;",
        Some("ALTER TABLE t DROP COLUMN b;"),
        None,
    );
    lab.sql(
        "020",
        "CREATE TABLE u (c); INSERT INTO u SELECT b FROM t;",
        Some("DROP TABLE u;"),
        Some("SELECT count(*) = 2 FROM u;"),
    );
    lab
}

#[test]
fn files_and_sql_go_forth_and_back_and_forth_and_the_target_is_not_touched() {
    let lab = lab();
    let before = site(&lab);
    let proof = rehearse(&lab, false).unwrap();
    assert_eq!(proof.verdict, Verdict::Proven, "{proof:?}");
    let parts: Vec<_> = proof.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(parts, ["010", "020", "all-sql", "whole-migration"]);
    assert_untouched(&lab, &before);
}

#[test]
fn the_proof_is_a_document() {
    let mut lab = lab();
    lab.sql(
        "030",
        "UPDATE t SET a = a + 1;",
        Some("UPDATE t SET a = a - 1 WHERE a > 2; DROP TABLE v;"),
        None,
    );
    lab.sql("040", "DELETE FROM t WHERE a = 1;", Some("INSERT INTO t (a) VALUES (1);"), None);
    lab.check("health", "exit 0");
    let mut proof = rehearse(&lab, false).unwrap();
    proof.took_ms = 0;
    proof.began = time::OffsetDateTime::UNIX_EPOCH;
    proof.parts.iter_mut().for_each(|part| part.took_ms = 0);
    let path = lab.base().join("state/rehearsals").join(proof.file_name());
    proof.write(&RealDisk, &path).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Proof>(&written).unwrap(), proof);
    let mut settings = insta::Settings::clone_current();
    // Owners are those of whoever runs the test.
    settings.add_filter(r#""modules": "sha256:[0-9a-f]{64}""#, r#""modules": "[DIGEST]""#);
    settings.bind(|| insta::assert_snapshot!(written));
}

#[test]
fn a_wrong_way_back_is_found_alone_and_with_all() {
    let mut lab = lab();
    lab.sql("030", "CREATE TABLE w (a);", Some("DROP TABLE IF EXISTS v;"), None);
    lab.sql("040", "CREATE TABLE x (a);", Some("DROP TABLE x;"), None);
    let proof = rehearse(&lab, false).unwrap();
    assert_eq!(proof.verdict, Verdict::NotProven);
    assert_eq!(classes(part(&proof, "020")), []);
    assert_eq!(classes(part(&proof, "030")), [Class::RollBackEmpty]);
    assert_eq!(part(&proof, "040").verdict, Verdict::Proven, "each is rehearsed upon those before it");
    assert_eq!(classes(part(&proof, "all-sql")), [Class::RestoresSomethingElse]);
    assert_eq!(classes(part(&proof, "whole-migration")), [Class::RestoresSomethingElse]);
}

#[test]
fn what_does_not_apply_is_said_and_ends_it() {
    let mut lab = lab();
    lab.sql("030", "CREATE TABLE w (a);", Some("DROP TABLE w;"), Some("SELECT 0;"));
    lab.sql("040", "CREATE TABLE x (a);", Some("DROP TABLE x;"), None);
    let before = site(&lab);
    let proof = rehearse(&lab, false).unwrap();
    assert_eq!(classes(part(&proof, "030")), [Class::DoesNotApply]);
    for name in ["040", "all-sql", "whole-migration"] {
        assert_eq!(part(&proof, name).verdict, Verdict::NotReached, "{name}");
    }
    assert_untouched(&lab, &before);
}

#[test]
fn ways_back_by_the_archive_are_rehearsed_by_it() {
    let mut lab = lab();
    lab.sql("030", "UPDATE t SET a = 0;", None, None);
    lab.sql("040", "DELETE FROM u;", None, None);
    lab.enhancement.sql[3].rollback = SqlRollback::Irreversible { why: "old".into() };
    let proof = rehearse(&lab, false).unwrap();
    assert_eq!(proof.verdict, Verdict::Proven, "{proof:?}");
    assert_eq!(part(&proof, "030").way_back, WayBack::Archive);
    assert_eq!(part(&proof, "040").way_back, WayBack::Irreversible { why: "old".into() });
    assert_eq!(part(&proof, "all-sql").way_back, WayBack::Archive);
}

#[test]
fn statements_outside_of_the_transaction_are_rehearsed_alone() {
    for (down, expected) in [
        ("DROP INDEX t_a", vec![]),
        ("DROP INDEX IF EXISTS t_b", vec![Class::RollBackEmpty]),
        ("DROP INDEX t_b", vec![Class::FailsAtStatement]),
        ("DROP TABLE t", vec![Class::RestoresSomethingElse]),
    ] {
        let mut lab = Lab::with_database(TABLE);
        lab.sql("010", "CREATE INDEX t_a ON t (a)", Some(down), None);
        lab.enhancement.sql[0].transaction = TransactionMode::None;
        let proof = rehearse(&lab, false).unwrap();
        assert_eq!(classes(part(&proof, "010")), expected, "{down}");
        assert_eq!(proof.is_proven(), expected.is_empty(), "{down}: {proof:?}");
    }
}

#[test]
fn commands_run_only_where_that_is_asked_for_and_then_in_the_clone() {
    let mut lab = lab();
    let witness = lab.base().join("witness");
    lab.batch("index", &format!("pwd >> {witness}; echo made > var/index"), None, &["var/index"]);
    lab.check("health", &format!("test -e var/index && echo asked >> {witness}"));
    lab.url = Some("http://127.0.0.1:9".into());
    lab.enhancement.verify.push(Check {
        name: "page".parse().unwrap(),
        probe: Probe::Http { url: "{site.url}/".into(), status: 200 },
        within_s: 0,
    });
    let before = site(&lab);
    let proof = rehearse(&lab, false).unwrap();
    assert!(proof.is_proven(), "{proof:?}");
    let left_out: Vec<_> = proof.not_rehearsed.iter().map(|left| left.step.as_str()).collect();
    assert_eq!(left_out, ["index", "health", "page"]);
    assert!(!witness.exists());
    let proof = rehearse(&lab, true).unwrap();
    assert!(proof.is_proven(), "{proof:?}");
    let left_out: Vec<_> = proof.not_rehearsed.iter().map(|left| left.step.as_str()).collect();
    assert_eq!(left_out, ["page"]);
    let told = std::fs::read_to_string(&witness).unwrap();
    assert_eq!(told.lines().filter(|line| *line == "asked").count(), 2, "{told}");
    assert!(told.lines().all(|line| line == "asked" || line.contains("/rehearsal-")), "{told}");
    assert_untouched(&lab, &before);
}

#[test]
fn what_a_command_leaves_beside_what_it_says_is_found() {
    let mut lab = lab();
    lab.batch("index", "echo made > index", None, &[]);
    let proof = rehearse(&lab, true).unwrap();
    let found = part(&proof, "whole-migration");
    assert!(found.findings[0].modules[0].starts_with("index: "), "{found:?}");
}

#[test]
fn a_command_after_the_rollback_that_fails_is_found() {
    let mut lab = lab();
    let run = vec!["sh".into(), "-c".into(), "exit 3".into()];
    lab.enhancement.after_rollback.push(Command { run, timeout_s: 20 });
    let proof = rehearse(&lab, true).unwrap();
    assert_eq!(classes(part(&proof, "whole-migration")), [Class::RollBackFails]);
    assert!(rehearse(&lab, false).unwrap().is_proven());
}

#[test]
fn a_step_that_cannot_be_undone_is_found() {
    let mut lab = lab();
    lab.batch("index", "true", Some("exit 3"), &[]);
    let proof = rehearse(&lab, true).unwrap();
    let found = part(&proof, "whole-migration");
    assert_eq!(classes(found)[0], Class::RollBackFails);
    assert!(found.findings[0].message.contains("step index cannot be undone"), "{found:?}");
}

#[test]
fn a_check_that_fails_is_told_and_the_target_is_not_touched() {
    let mut lab = lab();
    lab.check("health", "exit 1");
    let before = site(&lab);
    let proof = rehearse(&lab, true).unwrap();
    let found = part(&proof, "whole-migration");
    assert_eq!(classes(found), [Class::DoesNotApply]);
    assert!(found.findings[0].message.starts_with("health failed"), "{found:?}");
    assert_untouched(&lab, &before);
}

#[test]
fn a_database_within_the_root_or_with_a_log_is_cloned_by_its_own_means() {
    for (file, mode) in
        [("site/live/data/app.db", "delete"), ("site/app.db", "wal"), ("site/live/app.db", "wal")]
    {
        let mut lab = lab();
        std::fs::remove_file(lab.database_path()).unwrap();
        lab.database_file = file;
        std::fs::create_dir_all(lab.database_path().parent().unwrap()).unwrap();
        let made = rusqlite::Connection::open(lab.database_path()).unwrap();
        made.execute_batch(&format!("PRAGMA journal_mode = {mode}; {TABLE}")).unwrap();
        drop(made);
        let before = site(&lab);
        let proof = rehearse(&lab, false).unwrap();
        assert!(proof.is_proven(), "{file} {mode}: {proof:?}");
        assert_untouched(&lab, &before);
    }
}

#[test]
fn a_rehearsal_that_is_stopped_or_cannot_be_planned_leaves_nothing() {
    let mut lab = lab();
    let before = site(&lab);
    let stopped = rehearse_stopping(&lab, false, &AtomicBool::new(true));
    assert!(matches!(stopped, Err(RehearsalError::Stopped)), "{stopped:?}");
    assert_untouched(&lab, &before);
    lab.remove("not/there");
    let refused = rehearse(&lab, false);
    assert!(matches!(refused, Err(RehearsalError::Plan(_))), "{refused:?}");
    assert_untouched(&lab, &before);
}

#[test]
fn what_a_dead_rehearsal_left_goes_and_a_living_one_stays() {
    let lab = lab();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let state = lab.base().join("state");
    let id = |number: u128| MigrationId::from_bits(number);
    let living = Scratch::create(&disk, &state, &id(1)).unwrap();
    drop(Scratch::create(&disk, &state, &id(2)).unwrap());
    std::fs::write(state.join(format!("rehearsal-{}/file", id(2))), "x").unwrap();
    std::fs::create_dir(state.join("rehearsal-of-somebody")).unwrap();
    let removed = library::leftovers(&lab.workplace(Arc::clone(&disk))).unwrap();
    assert_eq!(removed, [state.join(format!("rehearsal-{}", id(2)))]);
    assert!(living.path().is_dir() && state.join("rehearsal-of-somebody").is_dir());
    living.remove().unwrap();
    assert_eq!(lab.left(), [lab.dir.path().join("state/rehearsal-of-somebody")]);
}

#[test]
fn where_the_state_is_on_another_mount_the_clone_is_in_the_work_directory() {
    let Ok(state) = tempfile::tempdir_in("/dev/shm") else { return };
    let lab = lab();
    let before = site(&lab);
    let elsewhere = Utf8PathBuf::from_path_buf(state.path().join("state")).unwrap();
    let workplace = Workplace { state: elsewhere, ..lab.workplace(Arc::new(RealDisk)) };
    let (proof, first) = rehearse_at(&lab, &workplace, false, &AtomicBool::new(false));
    assert!(proof.unwrap().is_proven());
    let Some(Event::Finding { text }) = first else { panic!("{first:?}") };
    assert!(text.contains("/.tmp-work-live/rehearsal-"), "{text}");
    assert_untouched(&lab, &before);
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}

#[test]
fn an_error_of_the_disk_leaves_the_target_alone_and_nothing_behind() {
    let lab = lab();
    let before = site(&lab);
    let rehearse_on = |fault: Fault| {
        let disk = Arc::new(FaultDisk::new(Arc::new(RealDisk), fault));
        let workplace = lab.workplace(Arc::clone(&disk) as Arc<dyn Disk>);
        let (proof, _) = rehearse_at(&lab, &workplace, false, &AtomicBool::new(false));
        (proof, disk.effects())
    };
    let (proof, effects) = rehearse_on(Fault::None);
    assert!(proof.unwrap().is_proven());
    assert!(effects > 100, "{effects}");
    let mut failed = 0;
    for part in 0..24 {
        let at = 1 + effects * part / 24;
        let (proof, _) = rehearse_on(Fault::Error { at, errno: 28, persistent: false });
        let unproven = proof.as_ref().map_or(true, |proof| !proof.is_proven());
        failed += u32::from(unproven);
        // The error may meet the removal itself: then the next rehearsal removes the rest.
        library::leftovers(&lab.workplace(Arc::new(RealDisk))).unwrap();
        assert_untouched(&lab, &before);
    }
    assert!(failed > 12, "{failed}");
}
