//! Targets that are not as they must be: exit 5, and nothing is changed.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Victim, measured};
use crate::support::Place;

/// Changes a system after its enhancement was packaged, and lets `plan` and `run` refuse it.
fn refused(what: &str, rule: &str, change: impl FnOnce(&Place)) {
    let place = Place::billing();
    let file = place.package("fee");
    change(&place);
    let victim = Victim::of(place);
    refuses(&victim, what, rule, &file);
}

fn refuses(victim: &Victim, what: &str, rule: &str, file: &str) {
    let plan = victim.fails(5, what, &["plan", file]);
    assert!(plan.contains(rule), "{what}: {plan}");
    let run = victim.fails(5, what, &["run", file, "--now", "--reason", "a test", "--json"]);
    assert!(run.contains(rule), "{what}: {run}");
}

fn remove(place: &Place, path: &str) {
    let path = place.path(path);
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

fn replace_by_symlink(place: &Place, path: &str, target: &Path) {
    fs::rename(place.path(path), place.path("moved")).unwrap();
    symlink(target, place.path(path)).unwrap();
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

#[test]
fn symlinks_above_modules() {
    refused("a symlink inside the root", "unreadable", |place| {
        fs::rename(place.path("model/etc"), place.path("model/other")).unwrap();
        symlink("other", place.path("model/etc")).unwrap();
    });
    refused("a symlink out of the root", "unreadable", |place| {
        replace_by_symlink(place, "model/etc", &place.path("moved"));
    });
    refused("a symlink up", "unreadable", |place| {
        replace_by_symlink(place, "model/bin", Path::new("../moved"));
    });
    refused("a symlink to nothing", "unreadable", |place| {
        replace_by_symlink(place, "model/etc", Path::new("nowhere"));
    });
    refused("a file above a module", "unreadable", |place| {
        remove(place, "model/etc");
        place.write("model/etc", "a file\n");
    });
}

#[test]
fn things_that_are_no_modules() {
    refused("a FIFO", "special", |place| {
        remove(place, "model/etc/fee.conf");
        assert!(run("mkfifo", &[place.path("model/etc/fee.conf").to_str().unwrap()]));
    });
    refused("a socket", "special", |place| {
        remove(place, "model/bin/billing");
        std::os::unix::net::UnixListener::bind(place.path("model/bin/billing")).unwrap();
    });
}

#[test]
fn drift() {
    refused("another content", "drift", |place| place.write("model/etc/fee.conf", "rate=1\n"));
    refused("a module that is gone", "drift", |place| remove(place, "model/bin/billing"));
    refused("one that is to go is gone", "drift", |place| remove(place, "model/lib/old.sh"));
    refused("one that is new is there", "drift", |place| place.write("model/bin/fee", "x\n"));
    refused("a directory instead", "drift", |place| {
        remove(place, "model/etc/fee.conf");
        fs::create_dir(place.path("model/etc/fee.conf")).unwrap();
    });
    refused("a symlink instead", "drift", |place| {
        remove(place, "model/etc/fee.conf");
        symlink("../lib/old.sh", place.path("model/etc/fee.conf")).unwrap();
    });
    refused("a whole directory gone", "drift", |place| remove(place, "model/etc"));
    refused("a directory with unlisted content", "unlisted", |place| {
        remove(place, "model/etc/fee.conf");
        place.write("model/etc/fee.conf/kept", "x\n");
    });
}

#[test]
fn roots() {
    refused("no root", "root", |place| fs::rename(place.path("model"), place.path("gone")).unwrap());
    refused("a root that is a file", "root", |place| {
        fs::rename(place.path("model"), place.path("gone")).unwrap();
        place.write("model", "a file\n");
    });
    refused("a root that is a FIFO", "root", |place| {
        fs::rename(place.path("model"), place.path("gone")).unwrap();
        assert!(run("mkfifo", &[place.path("model").to_str().unwrap()]));
    });
}

#[test]
fn databases() {
    refused("no database", "database", |place| remove(place, "model.db"));
    refused("no database file", "database", |place| place.write("model.db", &"this is text\n".repeat(1000)));
    refused("a cut off database", "database", |place| {
        File::options().write(true).open(place.path("model.db")).unwrap().set_len(5000).unwrap();
    });
    refused("a directory", "database", |place| {
        remove(place, "model.db");
        fs::create_dir(place.path("model.db")).unwrap();
    });
    refused("a FIFO", "database", |place| {
        remove(place, "model.db");
        assert!(run("mkfifo", &[place.path("model.db").to_str().unwrap()]));
    });
    if !rustix::process::geteuid().is_root() {
        refused("no right to write", "database", |place| {
            fs::set_permissions(place.path("model.db"), fs::Permissions::from_mode(0o444)).unwrap();
        });
    }
}

/// A lock may go at any time, so the migration itself finds out, before it begins.
#[test]
fn a_database_that_another_process_has_locked() {
    let place = Place::billing();
    let file = place.package("fee");
    let before = place.model();
    let other = rusqlite::Connection::open(place.path("model.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // Nothing may look at the database in this process meanwhile: closing it would release the lock.
    let ended = measured(place.dir(), &["run", &file, "--now", "--reason", "a test"]);
    drop(other);
    assert_eq!(ended.code, Some(75), "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("main is busy: database is locked"), "{}", ended.err);
    assert!(!place.path("state/journal").read_dir().unwrap().any(|_| true), "nothing was begun");
    assert_eq!(place.model(), before);
    place.ends(0, &["run", &file, "--now", "--reason", "a test"]);
}

/// A file that nobody may change until this is dropped.
struct Immutable(PathBuf);

impl Immutable {
    /// `None` where the file system or the rights of the tests do not allow it.
    fn make(path: PathBuf) -> Option<Self> {
        let quiet = Command::new("chattr").arg("+i").arg(&path).stderr(Stdio::null()).status();
        quiet.is_ok_and(|status| status.success()).then(|| Self(path))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        assert!(run("chattr", &["-i", self.0.to_str().unwrap()]));
    }
}

#[test]
fn immutable_files() {
    for (path, rule) in
        [("model/etc/fee.conf", "immutable"), ("model/lib/old.sh", "immutable"), ("model.db", "database")]
    {
        let place = Place::billing();
        let file = place.package("fee");
        let Some(immutable) = Immutable::make(place.path(path)) else { return };
        let victim = Victim::of(place);
        refuses(&victim, path, rule, &file);
        drop(immutable);
    }
}

/// Where tmpfs and local disk are both at hand, as on any Linux.
#[test]
fn file_systems() {
    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else { return };
    let kind = |path: &str| Command::new("stat").args(["-fc", "%T", path]).output().unwrap().stdout;
    let is_memory = |path: &Path| kind(path.to_str().unwrap()).starts_with(b"tmpfs");
    let change = |changes: &[(&str, &str)]| {
        let place = Place::billing();
        let file = place.package("fee");
        let text = changes.iter().fold(place.read("tmp.yaml"), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        place.write("tmp.yaml", &text);
        assert!(run("cp", &["-a", place.path("model").to_str().unwrap(), memory.path().to_str().unwrap()]));
        (Victim::of(place), file)
    };
    let shm = memory.path().to_str().unwrap();
    if is_memory(memory.path()) {
        let root = format!("root: {shm}/model, work: {shm}/work");
        let (victim, file) = change(&[("root: model, ephemeral: true", &root)]);
        refuses(&victim, "a root in memory", "file-system", &file);
        fs::remove_dir_all(memory.path().join("model")).unwrap();
    }
    let lasting = ("root: model, ephemeral: true", "root: model");
    let database = format!("{{main: {{sqlite: {shm}/model.db}}}}");
    let state = format!("state: {shm}/state");
    for (what, other) in [
        ("a database in memory", ("{main: {sqlite: model.db}}", database.as_str())),
        ("a state directory in memory", ("state: state", state.as_str())),
    ] {
        let (victim, file) = change(&[lasting, other]);
        fs::copy(victim.place.path("model.db"), memory.path().join("model.db")).unwrap();
        if is_memory(memory.path()) && !is_memory(victim.place.dir()) {
            refuses(&victim, what, "file-system", &file);
            assert!(!memory.path().join("state").exists());
        }
        fs::remove_dir_all(memory.path().join("model")).unwrap();
    }
    let (victim, file) = change(&[("root: model,", &format!("root: model, work: {shm}/work,"))]);
    if is_memory(memory.path()) && !is_memory(victim.place.dir()) {
        let before = victim.place.model();
        let ended = victim.limited(&["run", &file, "--now", "--reason", "x"]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(5), ""), "{}", ended.err);
        assert_eq!(victim.place.model(), before, "{:?}", victim.touched());
        assert!(ended.err.contains("help: "), "{}", ended.err);
    }
}
