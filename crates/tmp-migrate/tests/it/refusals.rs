//! What stands in the way of a plan, each by itself, and that planning changes nothing.

use std::{fs, os::unix::fs::symlink};

use crate::{common::Lab, disks::Weak};
use tmp_core::{
    Digest, Mode,
    enhancement::{Check, ControlObject, DatabaseEngine, Probe, SqlChange, SqlRollback, TransactionMode},
    module::{Change, Content, Expected},
    plan::Switch,
};
use tmp_migrate::CommandPolicy;
use tmp_testkit::walk;

/// The text of the refusal; the target was not touched.
fn refusal(lab: &Lab) -> String {
    let before = walk::fingerprint(lab.dir.path()).unwrap();
    let text = match lab.plan() {
        Err(error) => error.to_string(),
        Ok(plan) => panic!("it was planned: {plan:?}"),
    };
    let differences = walk::diff(&before, &walk::fingerprint(lab.dir.path()).unwrap());
    assert!(differences.is_empty(), "{differences:?}");
    text.replace(lab.base().as_str(), "/BASE")
}

fn expect(lab: &mut Lab, path: &str, expected: Expected) {
    let module = lab.enhancement.modules.iter_mut().find(|module| module.path.as_str() == path);
    module.unwrap().expected = Some(expected);
}

fn database_in(lab: &mut Lab, file: &'static str) {
    lab.database = true;
    lab.database_file = file;
    rusqlite::Connection::open(lab.database_path()).unwrap().execute_batch("create table t(a)").unwrap();
}

/// An enhancement that is good, in a tree that is exchanged as a whole.
fn atomic(lab: &mut Lab) {
    lab.switch = Switch::Atomic;
    lab.put("bin/app", "new");
}

macro_rules! refusals {
    ($($name:ident: $make:expr;)*) => {
        $(#[test]
        fn $name() {
            let make: fn(&mut Lab) = $make;
            let mut lab = Lab::new();
            lab.write("bin/app", "old");
            make(&mut lab);
            insta::assert_snapshot!(stringify!($name), refusal(&lab));
        })*
    };
}

refusals! {
    parent_is_a_symlink: |lab| {
        symlink("bin", lab.root().join("link")).unwrap();
        lab.put("link/app", "new");
    };
    parent_is_a_file: |lab| lab.put("bin/app/below", "new");
    drift_of_content: |lab| {
        lab.put("bin/app", "new");
        expect(lab, "bin/app", Expected::File { digest: Digest::of(b"other") });
    };
    drift_because_it_is_gone: |lab| {
        lab.put("bin/none", "new");
        expect(lab, "bin/none", Expected::File { digest: Digest::of(b"other") });
    };
    drift_because_it_is_there: |lab| {
        lab.put("bin/app", "new");
        expect(lab, "bin/app", Expected::Absent);
    };
    drift_of_type: |lab| {
        lab.write("dir/x", "x");
        symlink("x", lab.root().join("dir/link")).unwrap();
        lab.put("bin/app", "new");
        expect(lab, "bin/app", Expected::Directory);
        lab.put("dir/x", "new");
        expect(lab, "dir/x", Expected::Symlink { target: "y".into() });
        lab.put("dir/link", "new");
        expect(lab, "dir/link", Expected::Symlink { target: "y".into() });
    };
    drift_in_a_directory_that_is_not_there: |lab| {
        lab.put("none/none", "new");
        expect(lab, "none/none", Expected::File { digest: Digest::of(b"other") });
    };
    unlisted_content: |lab| {
        lab.write("bin/other", "x");
        lab.remove("bin");
        lab.remove("bin/app");
    };
    ignored_path: |lab| {
        lab.ignore = vec!["bin/**".into()];
        lab.put("bin/app", "new");
    };
    ignored_path_in_a_directory_that_goes: |lab| {
        lab.ignore = vec!["**/*.live".into()];
        lab.write("data/x.live", "x");
        lab.remove("data");
        lab.remove("data/x.live");
    };
    ignored_path_in_a_directory_that_appears: |lab| {
        lab.ignore = vec!["**/*.live".into()];
        lab.put("fresh/x.live", "x");
    };
    database_file: |lab| {
        database_in(lab, "site/live/app.db");
        lab.put("app.db", "new");
        lab.put("app.db-wal", "new");
    };
    database_file_in_a_directory_that_goes: |lab| {
        database_in(lab, "site/live/bin/app.db");
        lab.remove("bin");
        lab.remove("bin/app");
        lab.remove("bin/app.db");
    };
    database_file_that_a_batch_step_writes: |lab| {
        database_in(lab, "site/live/bin/app.db");
        lab.batch("step", "true", None, &["bin/*"]);
    };
    special_file: |lab| {
        let dir = fs::File::open(lab.root()).unwrap();
        rustix::fs::mknodat(&dir, "pipe", rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        lab.put("pipe", "new");
    };
    absent_module_to_remove: |lab| lab.remove("bin/none");
    absent_module_to_remove_in_an_absent_directory: |lab| lab.remove("none/none");
    another_system: |lab| lab.enhancement.system = "other".parse().unwrap();
    no_such_database: |lab| lab.sql("010", "select 1;", None, None);
    database_that_does_not_answer: |lab| {
        lab.database = true;
        lab.sql("010", "select 1;", None, None);
    };
    another_engine: |lab| {
        database_in(lab, "site/app.db");
        lab.sql("010", "select 1;", None, None);
        lab.enhancement.databases.insert("main".parse().unwrap(), DatabaseEngine::Postgresql);
    };
    several_databases: |lab| {
        lab.sql("010", "select 1;", None, None);
        let apply = lab.payload.script("020.sql", "select 1;");
        lab.enhancement.sql.push(SqlChange {
            name: "020".parse().unwrap(),
            database: "second".parse().unwrap(),
            transaction: TransactionMode::Shared,
            apply,
            rollback: SqlRollback::Archive,
            verify: None,
        });
    };
    commands_are_forbidden: |lab| {
        lab.commands = CommandPolicy::Forbidden;
        lab.batch("step", "true", None, &[]);
    };
    no_such_utility: |lab| {
        let content = lab.payload.script("menu.obj", "x");
        let object = ControlObject { utility: "mover".into(), object: "menu".into(), content };
        lab.enhancement.control_objects.push(object);
    };
    site_without_a_url: |lab| {
        let probe = Probe::Http { url: "{site.url}/health".into(), status: 200 };
        lab.enhancement.verify.push(Check { name: "health".parse().unwrap(), probe, within_s: 0 });
    };
    bad_glob: |lab| lab.batch("step", "true", None, &["var/["]);
    bad_glob_to_ignore: |lab| lab.ignore = vec!["a{b".into()];
    doubled_step_name: |lab| {
        lab.batch("same", "true", None, &[]);
        lab.check("same", "true");
        lab.check("post-image", "true");
    };
    group: |lab| lab.enhancement.together_with.push("sibling".parse().unwrap());
    owner_of_a_directory_in_place: |lab| {
        lab.change("bin", Change::Put(Content::Directory { mode: Mode::DIRECTORY }));
        lab.enhancement.modules[0].owner = Some("root".into());
    };
    unknown_owners: |lab| {
        lab.put("bin/app", "new");
        lab.put("fresh/dir/file", "new");
        lab.put("fresh/other", "new");
        for (module, owner) in lab.enhancement.modules.iter_mut().zip(["no-such-user", ":no-such-group", "0:0"]) {
            module.owner = Some(owner.into());
        }
    };
    writes_reach_a_module: |lab| {
        lab.put("bin/app", "new");
        lab.put("fresh/index/one", "new");
        lab.remove("var/gone");
        lab.write("var/gone", "x");
        lab.write("var/index", "x");
        lab.batch("by-pattern", "true", None, &["bin/*"]);
        lab.batch("by-what-appears", "true", None, &["fresh/index/**"]);
        lab.batch("by-what-stands-there", "true", None, &["var/*"]);
        lab.write("in/place/x.index", "x");
        lab.change("in/place", Change::Put(Content::Directory { mode: Mode::from_bits(0o700) }));
        lab.batch("by-what-it-holds", "true", None, &["in/place/*.index"]);
    };
    writes_reach_ignored_data: |lab| {
        lab.ignore = vec!["var/live/**".into(), "*.log".into()];
        lab.write("var/live/x", "x");
        lab.batch("whole", "true", None, &["var/**"]);
        lab.batch("everything", "true", None, &["**"]);
        lab.batch("same", "true", None, &["var/live/**"]);
        lab.batch("a-part-on-purpose", "true", None, &["var/live/index/**"]);
        lab.batch("beside", "true", None, &["tmp/index"]);
    };
    atomic_live_data: |lab| {
        atomic(lab);
        lab.ignore = vec!["var/**".into(), "*.log".into(), "nothing/**".into()];
        lab.write("var/data/x", "x");
        lab.write("today.log", "x");
    };
    atomic_special_files: |lab| {
        atomic(lab);
        let dir = fs::File::open(lab.root().join("bin")).unwrap();
        rustix::fs::mknodat(&dir, "pipe", rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        std::os::unix::net::UnixListener::bind(lab.root().join("socket")).unwrap();
    };
    atomic_database: |lab| {
        atomic(lab);
        database_in(lab, "site/live/bin/app.db");
    };
    atomic_root_that_is_a_symlink: |lab| {
        atomic(lab);
        fs::rename(lab.root(), lab.dir.path().join("site/real")).unwrap();
        symlink("real", lab.root()).unwrap();
    };
    atomic_work_directory_that_is_left_in_the_root: |lab| {
        atomic(lab);
        lab.write(".tmp-work/lock", "");
    };
    no_root: |lab| fs::remove_dir_all(lab.root()).unwrap();
    everything_at_once: |lab| {
        lab.enhancement.system = "other".parse().unwrap();
        lab.remove("bin/none");
        lab.sql("010", "select 1;", None, None);
        lab.commands = CommandPolicy::Forbidden;
        lab.check("health", "true");
    };
}

/// What is in the way of an exchange is in nobody's way who switches modules one by one, or none.
#[test]
fn live_data_is_in_the_way_of_an_exchange_alone() {
    let mut lab = Lab::new();
    lab.write("bin/app", "old");
    lab.write("var/x", "x");
    lab.ignore = vec!["var/**".into()];
    lab.put("bin/app", "new");
    lab.plan().unwrap();
    lab.switch = Switch::Atomic;
    lab.plan().unwrap_err();
    lab.enhancement.modules.clear();
    lab.plan().unwrap();
}

/// Mounts as a disk tells of them: the root's own, one below it, one that the work directory is on.
#[test]
fn mounts_are_in_the_way_of_an_exchange() {
    for (name, place) in
        [("the_root", "site/live"), ("a_directory", "site/live/bin"), ("the_work", "elsewhere")]
    {
        let mut lab = Lab::new();
        lab.write("bin/app", "old");
        fs::create_dir(lab.dir.path().join("elsewhere")).unwrap();
        atomic(&mut lab);
        let mut workplace = lab.workplace(Weak::with_a_mount(lab.base().join(place).as_std_path()));
        if place == "elsewhere" {
            workplace.target.work = lab.base().join("elsewhere/work");
        }
        let text = lab.plan_at(&workplace).unwrap_err().to_string();
        insta::assert_snapshot!(
            format!("atomic_mount_of_{name}"),
            text.replace(lab.base().as_str(), "/BASE")
        );
    }
}

#[test]
fn planning_changes_nothing() {
    for mode in ["delete", "wal"] {
        for file in ["site/live/app.db", "site/app.db"] {
            let mut lab = Lab::new();
            lab.database = true;
            lab.database_file = file;
            rusqlite::Connection::open(lab.database_path())
                .unwrap()
                .execute_batch(&format!("pragma journal_mode = {mode}; create table t(a);"))
                .unwrap();
            lab.write("bin/app", "old");
            lab.write("var/one", "1");
            lab.put("bin/app", "new");
            lab.sql("010", "insert into t values (2);", None, None);
            lab.batch("step", "true", None, &["var/**"]);
            let before = walk::fingerprint(lab.dir.path()).unwrap();
            lab.plan().unwrap();
            let mut differences = walk::diff(&before, &walk::fingerprint(lab.dir.path()).unwrap());
            if mode == "wal" {
                // SQLite cannot read such a database without files beside it, which come and go.
                differences.retain(|line| !line.contains(": mtime "));
            }
            assert!(differences.is_empty(), "{mode} {file}: {differences:?}");
            assert!(!lab.dir.path().join("state").exists());
        }
    }
}
