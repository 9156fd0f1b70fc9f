//! Where things may lie: a database inside the root, a database in WAL mode, several engines at once.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use crate::common::{Lab, text};
use tmp_core::outcome::Outcome;
use tmp_disk::RealDisk;
use tmp_migrate::{Engine, OpenError, Opened};
use tmp_testkit::{sqlite, walk};

fn lab(file: &'static str, mode: &str) -> Lab {
    let mut lab = Lab::new();
    lab.write("bin/app", "old");
    lab.write("var/log", "1");
    lab.database = true;
    lab.database_file = file;
    rusqlite::Connection::open(lab.database_path())
        .unwrap()
        .execute_batch(&format!("pragma journal_mode = {mode}; create table t(a); insert into t values (1);"))
        .unwrap();
    lab.put("bin/app", "new");
    let back = "drop table u; delete from t where a = 2;";
    lab.sql("010", "create table u(b); insert into t values (2);", Some(back), None);
    lab
}

#[test]
fn a_database_leaves_no_trace_wherever_it_lies() {
    for mode in ["delete", "wal"] {
        for file in ["site/live/var/app.db", "site/live/app.db", "site/app.db"] {
            for fails in ["sql", "check", "archive"] {
                let what = format!("{mode}, {file}, {fails}");
                let mut lab = lab(file, mode);
                match fails {
                    "sql" => lab.sql("020", "insert into nowhere values (1);", None, None),
                    "archive" => lab.sql("020", "delete from t;", None, None),
                    _ => {}
                }
                lab.check("refuses", "exit 1");
                // Whoever looks into a database may make side files and remove them: look first.
                let database = sqlite::dump(&lab.database_path()).unwrap();
                let plan = lab.plan().unwrap();
                let tree = walk::fingerprint(&lab.root()).unwrap();
                let outcome = lab.migrate_planned(&plan, Arc::new(RealDisk), |_, _| {}).unwrap();
                assert!(matches!(outcome, Outcome::RolledBack { .. }), "{what}: {outcome:?}");
                let now = walk::fingerprint(&lab.root()).unwrap();
                let differences = walk::diff(&tree, &now);
                let differences: Vec<_> =
                    differences.iter().filter(|line| !line.contains("app.db")).collect();
                assert!(differences.is_empty(), "{what}: {differences:?}");
                let paths = now.differing_paths(&tree);
                assert!(paths.iter().all(|path| path.ends_with(b"app.db")), "{what}: a side file is left");
                let differences = sqlite::diff(&database, &sqlite::dump(&lab.database_path()).unwrap());
                assert!(differences.is_empty(), "{what}: {differences:?}");
                assert_eq!(lab.leftovers(), [""; 0], "{what}");
            }
        }
    }
}

#[test]
fn a_database_in_wal_mode_moves_while_somebody_reads_it() {
    let mut lab = lab("site/app.db", "wal");
    let other = rusqlite::Connection::open(lab.database_path()).unwrap();
    let rows = |connection: &rusqlite::Connection| {
        connection.query_row("select count(*) from t", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(rows(&other), 1);
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(rows(&other), 2);
    assert_eq!(text(lab.root().join("bin/app")), "new");
}

#[test]
fn of_several_engines_one_is_ready() {
    let lab = lab("site/app.db", "delete");
    drop(lab.open(Arc::new(RealDisk)).unwrap());
    let workplace = lab.workplace(Arc::new(RealDisk));
    // A command that another test starts may hold the lock for an instant when nobody has it.
    let mut without = 0;
    for _ in 0..1000 {
        let (start, end) = (Barrier::new(8), Barrier::new(8));
        let ready = thread::scope(|scope| {
            let open = || {
                let workplace = workplace.clone();
                start.wait();
                let opened = Engine::open(workplace);
                end.wait();
                match opened {
                    Ok(Opened::Ready(_)) => 1,
                    Err(OpenError::Locked { .. }) => 0,
                    other => panic!("{other:?}"),
                }
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>()
        });
        assert!(ready <= 1, "{ready} are ready");
        without += 1 - ready;
    }
    assert!(without < 20, "{without} of 1000 races had no winner");
}

#[test]
fn a_holder_that_is_killed_frees_the_target() {
    let mut lab = lab("site/app.db", "delete");
    drop(lab.open(Arc::new(RealDisk)).unwrap());
    let lock = lab.base().join("site/.tmp-work-live/lock");
    let mut holder = Command::new("flock")
        .args(["--no-fork", lock.as_str(), "sleep", "60"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(300));
    let since = Instant::now();
    loop {
        match Engine::open(lab.workplace(Arc::new(RealDisk))) {
            Err(OpenError::Locked { holder }) => {
                assert!(holder.contains("process "), "{holder}");
                break;
            }
            _ => assert!(since.elapsed() < Duration::from_secs(10), "it is never locked"),
        }
        thread::sleep(Duration::from_millis(50));
    }
    // One that is stopped is alive: whoever comes meanwhile comes again later.
    let process = rustix::process::Pid::from_child(&holder);
    rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(50));
        let opened = Engine::open(lab.workplace(Arc::new(RealDisk)));
        assert!(matches!(opened, Err(OpenError::Locked { .. })), "{opened:?}");
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    let since = Instant::now();
    drop(lab.open(Arc::new(RealDisk)).unwrap());
    assert!(since.elapsed() < Duration::from_secs(1), "{:?} after the holder was killed", since.elapsed());
    assert!(matches!(lab.migrate(), Outcome::Committed { .. }));
}
