//! The way back after the commit point: scripts that are wrong, steps that fail, the embedder's own
//! steps, an operator who stops it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    common::{Lab, assert_same, text},
    disks::Weak,
};
use tmp_core::{
    Phase,
    enhancement::{Command, ControlObject, SqlRollback, TransactionMode},
    event::{Direction, Event},
    id::StepName,
    outcome::{DatabaseComparison, Outcome},
    step::{Step, StepContext, StepError},
};
use tmp_disk::RealDisk;
use tmp_migrate::Utility;

fn lab() -> Lab {
    let mut lab = Lab::with_database(
        "create table t(a integer primary key, b int); insert into t values (1, 10), (2, 20);",
    );
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    lab
}

#[test]
fn a_roll_back_script_that_is_wrong_gives_way_to_the_archive() {
    for (what, rollback) in [
        ("another schema", "alter table t rename column b to c; alter table t drop column fee;"),
        ("other rows", "alter table t drop column fee; update t set b = 0;"),
        ("an error", "alter table t drop column fee; insert into nowhere values (1);"),
        ("nothing", "select 1;"),
        ("refused", "commit;"),
    ] {
        let mut lab = lab();
        lab.sql("010", "alter table t add column fee int default 3;", Some(rollback), None);
        lab.check("refuses", "exit 1");
        let before = lab.seen();
        let outcome = lab.migrate();
        let Outcome::RolledBack { comparison, report, .. } = &outcome else { panic!("{what}: {outcome:?}") };
        assert_eq!(comparison.database, Some(DatabaseComparison::Exact), "{what}");
        assert!(report.findings.iter().any(|line| line.contains("by its archive")), "{what}: {report:?}");
        assert_same(&before, &lab.seen());
        assert_eq!(lab.leftovers(), [""; 0], "{what}");
    }
}

#[test]
fn what_no_script_takes_back_goes_back_by_the_archive_while_nobody_wrote() {
    let mut lab = lab();
    lab.sql("010", "delete from t;", None, None);
    lab.enhancement.sql[0].rollback = SqlRollback::Irreversible { why: "rows are gone".into() };
    lab.check("refuses", "exit 1");
    let before = lab.seen();
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_same(&before, &lab.seen());
}

#[test]
fn a_statement_outside_the_transaction_runs_and_goes_back() {
    for fails in [false, true] {
        let mut lab = lab();
        lab.sql("010", "insert into t values (3, 30);", Some("delete from t where a = 3;"), None);
        lab.sql("020", "vacuum;", Some("vacuum;"), None);
        lab.enhancement.sql[1].transaction = TransactionMode::None;
        if fails {
            lab.check("refuses", "exit 1");
        }
        let before = lab.seen();
        let outcome = lab.migrate();
        if fails {
            let Outcome::RolledBack { comparison, .. } = &outcome else { panic!("{outcome:?}") };
            assert_eq!(comparison.database, Some(DatabaseComparison::Exact));
            assert_same(&before, &lab.seen());
        } else {
            assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        }
    }
}

#[test]
fn a_statement_outside_the_transaction_that_changes_something_goes_back() {
    let mut lab = lab();
    lab.sql("010", "insert into t values (3, 30);", Some("delete from t where a = 3;"), None);
    lab.sql("020", "create index i on t(b);", Some("drop index i;"), None);
    lab.enhancement.sql[1].transaction = TransactionMode::None;
    lab.check("refuses", "exit 1");
    let before = lab.seen();
    let outcome = lab.migrate();
    let Outcome::RolledBack { comparison, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(comparison.database, Some(DatabaseComparison::Exact), "what TMP wrote is nobody else's");
    assert_same(&before, &lab.seen());
}

/// What TMP itself wrote after COMMIT does not keep the archive from being restored; what somebody else
/// wrote does.
#[test]
fn a_statement_outside_the_transaction_goes_back_by_the_archive_unless_somebody_else_wrote() {
    for foreign in [false, true] {
        let mut lab = lab();
        lab.sql("010", "create index i on t(b);", None, None);
        lab.enhancement.sql[0].transaction = TransactionMode::None;
        lab.check("refuses", "exit 1");
        let before = lab.seen();
        let database = lab.database_path();
        let watch = |event: &Event, _: &AtomicBool| {
            if foreign && matches!(event, Event::Phase { phase: Phase::Checking, .. }) {
                rusqlite::Connection::open(&database)
                    .unwrap()
                    .execute("insert into t values (9, 9)", [])
                    .unwrap();
            }
        };
        let outcome = lab.migrate_watched(Arc::new(RealDisk), watch).unwrap();
        if foreign {
            assert!(matches!(outcome, Outcome::RollbackFailed { .. }), "{outcome:?}");
        } else {
            assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
            assert_same(&before, &lab.seen());
        }
    }
}

/// A statement outside the transaction that fails had no effect: its roll-back script, which would fail,
/// is not run.
#[test]
fn a_statement_outside_the_transaction_that_fails_is_not_taken_back() {
    let mut lab = lab();
    lab.sql("010", "insert into t values (3, 30), (4, 30);", Some("delete from t where a > 2;"), None);
    lab.sql("020", "create unique index i on t(b);", Some("drop index i;"), None);
    lab.enhancement.sql[1].transaction = TransactionMode::None;
    let before = lab.seen();
    let outcome = lab.migrate();
    assert!(matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("020")), "{outcome:?}");
    assert_same(&before, &lab.seen());
}

/// A disk that does not answer while a step is undone says nothing against the step's way back: the next process goes on.
#[test]
fn an_undo_that_cannot_read_for_a_moment_has_not_failed() {
    let mut stopped = 0;
    for step in ["020", "rebuild"] {
        for call in ["open_file", "open_dir", "read_at", "stat", "list"] {
            let mut lab = lab();
            lab.write("var/content", "old");
            lab.sql("020", "create index i on t(b);", Some("drop index i;"), None);
            lab.enhancement.sql[0].transaction = TransactionMode::None;
            lab.batch("rebuild", "echo new > var/content; echo x > var/added", None, &["var/**"]);
            lab.check("refuses", "exit 1");
            let before = lab.seen();
            let (disk, now) = Weak::refusing(call);
            let ended = lab.migrate_watched(disk, |event, _| {
                if matches!(event, Event::StepBegan { step: begun, direction: Direction::Undo }
                    if begun.as_str() == step)
                {
                    now.store(true, Ordering::SeqCst);
                }
            });
            assert!(!matches!(ended, Ok(Outcome::RollbackFailed { .. })), "{step}, {call}: {ended:?}");
            if ended.is_err() {
                stopped += 1;
                let outcome = lab.recover();
                assert!(matches!(outcome, Some(Outcome::RolledBack { .. })), "{step}, {call}: {outcome:?}");
                assert_same(&before, &lab.seen());
            }
        }
    }
    assert!(stopped > 5, "{stopped}");
}

#[test]
fn what_a_batch_step_wrote_is_taken_back_exactly_when_a_later_check_fails() {
    let mut lab = lab();
    for path in ["content", "mode", "removed", "sub/removed", "type", "untouched"] {
        lab.write(&format!("var/{path}"), path);
    }
    symlink("content", lab.root().join("var/link")).unwrap();
    fs::set_permissions(lab.root().join("var/content"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(lab.root().join("var/mode"), fs::Permissions::from_mode(0o4755)).unwrap();
    let old = ["-exec", "touch", "-h", "-d", "2020-02-02", "{}", "+"];
    assert!(std::process::Command::new("find").arg(lab.root()).args(old).status().unwrap().success());
    let shell = "cd var && echo new > content && chmod 600 mode && rm removed && rm -r sub && rm type && \
                 mkdir type && echo x > type/x && ln -sfn mode link && mkdir -p new/deep && echo x > new/deep/x && \
                 echo x > added && mkdir -p ../fresh/a && echo x > ../fresh/a/b";
    lab.batch("rebuild", shell, None, &["var/**", "fresh/**"]);
    let seen = "test -e fresh/a/b && test ! -e var/removed && test -e var/type/x && touch ../seen; exit 1";
    lab.check("health", seen);
    let before = lab.seen();
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert!(lab.dir.path().join("site/seen").exists(), "the step did all of it before it was taken back");
    assert_same(&before, &lab.seen());
    assert_eq!(lab.leftovers(), [""; 0]);
}

#[test]
fn a_batch_step_that_cannot_be_undone_is_a_failed_rollback_with_old_modules_and_database() {
    let mut lab = lab();
    let witness = lab.base().join("witness");
    let run = vec!["sh".into(), "-c".into(), format!("cat bin/app > {witness}")];
    lab.enhancement.after_rollback.push(Command { run, timeout_s: 20 });
    lab.sql("010", "create table u(c);", Some("drop table u;"), None);
    lab.batch("reindex", "true", Some("echo no >&2; exit 7"), &[]);
    lab.check("refuses", "exit 1");
    let before = lab.seen();
    let outcome = lab.migrate();
    let Outcome::RollbackFailed { cause, undo_failure, intact, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(intact.as_deref(), Some("modules and database are the old ones again"));
    assert!(cause.contains("refuses"), "{outcome:?}");
    assert!(undo_failure.contains("reindex") && undo_failure.contains("status 7: no"), "{outcome:?}");
    assert_same(&before, &lab.seen());
    assert_eq!(text(&witness), "old", "the old service starts all the same");
    assert!(matches!(lab.recover(), Some(Outcome::RollbackFailed { .. })));
}

#[test]
fn commands_after_a_rollback_see_the_old_modules_and_only_after_a_compensation() {
    for (fails, ran) in [("nothing", false), ("sql", false), ("check", true)] {
        let mut lab = lab();
        let witness = lab.base().join("witness");
        let shell = format!("cat bin/app > {witness}; exit 3");
        let run = vec!["sh".into(), "-c".into(), shell];
        lab.enhancement.after_rollback.push(Command { run, timeout_s: 20 });
        match fails {
            "sql" => lab.sql("010", "insert into nowhere values (1);", Some("select 1;"), None),
            "check" => lab.check("refuses", "exit 1"),
            _ => {}
        }
        let before = lab.seen();
        let outcome = lab.migrate();
        assert_eq!(witness.exists(), ran, "{fails}");
        if ran {
            assert_eq!(text(&witness), "old");
            assert!(outcome.report().findings.iter().any(|line| line.contains("status 3")), "{outcome:?}");
        }
        if fails == "nothing" {
            assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        } else {
            assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
            assert_same(&before, &lab.seen());
        }
    }
}

#[test]
fn an_operator_can_stop_it_at_every_event_until_it_is_committed() {
    let full = || {
        let mut lab = lab();
        lab.put("bin/added", "added");
        lab.sql("010", "create table u(c);", Some("drop table u;"), None);
        lab.batch("reindex", "echo 1 > index", None, &["index"]);
        lab.check("health", "true");
        lab
    };
    let (mut events, mut until) = (0, 0);
    drop(full().migrate_watched(Arc::new(RealDisk), |event, _| {
        events += 1;
        if matches!(event, Event::Phase { phase: Phase::Committed, .. }) {
            until = events;
        }
    }));
    assert!(events > until && until > 10);
    for at in 1..=events {
        let mut lab = full();
        let before = lab.seen();
        let mut seen = 0;
        let outcome = lab
            .migrate_watched(Arc::new(RealDisk), |_, stop| {
                seen += 1;
                stop.fetch_or(seen == at, Ordering::SeqCst);
            })
            .unwrap();
        if at < until {
            assert!(
                matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("interrupted")),
                "event {at}: {outcome:?}"
            );
            assert_same(&before, &lab.seen());
        } else {
            assert!(matches!(outcome, Outcome::Committed { .. }), "event {at}: {outcome:?}");
        }
        assert_eq!(lab.leftovers(), [""; 0], "event {at}");
    }
}

/// A lab with an object that a utility moves: a file beside the root.
fn with_object(export: &str, import: &str) -> Lab {
    let mut lab = lab();
    let object = lab.base().join("object");
    fs::write(&object, "old object").unwrap();
    let fill = |text: &str| -> Vec<String> {
        ["sh", "-c", &text.replace("OBJECT", object.as_str()), "sh", "{file}", "{object}"]
            .map(str::to_owned)
            .to_vec()
    };
    let verify = Some(fill("test \"$2\" = menu"));
    lab.utilities.insert("mover".into(), Utility { export: fill(export), import: fill(import), verify });
    let content = lab.payload.script("menu.obj", "new object");
    let object = ControlObject { utility: "mover".into(), object: "menu".into(), content };
    lab.enhancement.control_objects.push(object);
    lab
}

const EXPORT: &str = "cat OBJECT > \"$1\"";
const IMPORT: &str = "cat \"$1\" > OBJECT";

#[test]
fn a_control_object_is_exported_imported_and_put_back() {
    let mut lab = with_object(EXPORT, IMPORT);
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(text(lab.base().join("object")), "new object");

    let mut lab = with_object(EXPORT, IMPORT);
    lab.check("refuses", "exit 1");
    let before = lab.seen();
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_eq!(text(lab.base().join("object")), "old object");
    assert_same(&before, &lab.seen());
}

#[test]
fn an_export_that_fails_half_way_is_never_imported() {
    let mut lab = with_object("head -c 3 OBJECT > \"$1\"; exit 1", IMPORT);
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_eq!(text(lab.base().join("object")), "old object");
}

#[test]
fn an_import_that_fails_half_way_is_put_back() {
    let import = "if test -e OBJECT.once; then cat \"$1\" > OBJECT; exit; fi; touch OBJECT.once; echo half > OBJECT; exit 1";
    let mut lab = with_object(EXPORT, import);
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_eq!(text(lab.base().join("object")), "old object");
}

type Asked = Arc<Mutex<Vec<&'static str>>>;

fn list(asked: &Asked) -> Vec<&'static str> {
    asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A step that remembers what was asked of it.
struct Own {
    name: StepName,
    asked: Asked,
    fails: bool,
    /// Set while it is applied: the process dies then.
    dies: Option<Arc<AtomicBool>>,
}

impl Step for Own {
    fn name(&self) -> &StepName {
        &self.name
    }

    fn describe(&self) -> String {
        "does it".into()
    }

    fn describe_undo(&self) -> String {
        "takes it back".into()
    }

    fn apply(&mut self, context: &StepContext<'_>) -> Result<(), StepError> {
        self.asked.lock().unwrap().push("apply");
        fs::write(context.root.join("own"), "applied").unwrap();
        if let Some(dead) = &self.dies {
            dead.store(true, Ordering::SeqCst);
        }
        if self.fails { Err(StepError::new("it would not")) } else { Ok(()) }
    }

    fn undo(&mut self, context: &StepContext<'_>) -> Result<(), StepError> {
        self.asked.lock().unwrap().push("undo");
        fs::remove_file(context.root.join("own")).map_err(|error| StepError::new(error.to_string()))
    }
}

fn with_own(fails: bool, dies: Option<Arc<AtomicBool>>) -> (Lab, Asked) {
    let mut lab = lab();
    let asked = Asked::default();
    let own = Own { name: "own".parse().unwrap(), asked: Arc::clone(&asked), fails, dies };
    lab.steps.push(Box::new(own));
    (lab, asked)
}

#[test]
fn an_own_step_is_applied_once_and_undone_where_it_must_be() {
    let (mut lab, asked) = with_own(false, None);
    assert!(matches!(lab.migrate(), Outcome::Committed { .. }));
    assert_eq!(list(&asked), ["apply"]);

    let (mut lab, asked) = with_own(true, None);
    let mut told = Vec::new();
    let outcome = lab
        .migrate_watched(Arc::new(RealDisk), |event, _| match event {
            Event::Step { step, direction, failure, .. } if step.as_str() == "own" => {
                told.push((*direction, failure.clone()));
            }
            _ => {}
        })
        .unwrap();
    assert!(
        matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("it would not")),
        "{outcome:?}"
    );
    assert_eq!(list(&asked), ["apply", "undo"]);
    assert_eq!(told, [(Direction::Apply, Some("it would not".into())), (Direction::Undo, None)]);
}

#[test]
fn an_own_step_that_was_interrupted_is_undone_once_and_never_applied_again() {
    let (disk, dead) = Weak::mortal();
    let (mut lab, asked) = with_own(false, Some(dead));
    let ended = lab.migrate_on(disk);
    assert!(ended.is_err(), "{ended:?}");
    let outcome = lab.recover();
    assert!(
        matches!(&outcome, Some(Outcome::RolledBack { cause, .. }) if cause.contains("own")),
        "{outcome:?}"
    );
    assert_eq!(list(&asked), ["apply", "undo"]);
    assert_eq!(text(lab.root().join("bin/app")), "old");
    assert!(lab.recover().is_none());
    assert_eq!(list(&asked), ["apply", "undo"]);
}
