//! Runs the real binary in a directory of its own with an empty home.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A secret in the environment of every `tmp` that the tests run. Nothing that any of them writes or says may hold
/// it.
pub(crate) const CANARY: &str = "c4n4ry-7f3a9d52e1b8";

/// A directory in which `tmp` is run.
pub(crate) struct Place {
    home: TempDir,
    dir: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let leaks = leaks(self.home.path());
            assert!(leaks.is_empty(), "a secret of the environment is in {leaks:?}");
        }
    }
}

/// The files below a directory that hold the canary. The ballast is large and never written to.
pub(crate) fn leaks(dir: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(dir).into_iter().filter_map(Result::ok);
    let files = files
        .filter(|entry| entry.file_type().is_file() && entry.file_name() != "ballast")
        .map(walkdir::DirEntry::into_path);
    files.filter(|file| fs::read(file).is_ok_and(|bytes| holds(&bytes))).collect()
}

/// Whether the canary is among some bytes.
pub(crate) fn holds(bytes: &[u8]) -> bool {
    bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().canonicalize().unwrap().join("here");
        fs::create_dir(&dir).unwrap();
        Self { home, dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(path, mode).unwrap();
        }
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tmp"));
        command.args(arguments).current_dir(&self.dir).env_clear().stdin(Stdio::null());
        command
            .env("HOME", self.home.path().join("empty"))
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("BILLING_DATABASE_PASSWORD", CANARY);
        command
    }

    pub(crate) fn tmp(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    /// Runs, and panics unless it ended with `code`.
    pub(crate) fn ends(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.tmp(arguments);
        assert_eq!(ran.code, Some(code), "tmp {}\n{}{}", arguments.join(" "), ran.out, ran.err);
        ran
    }

    /// The one object a command with `--json` printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let ran = self.tmp(&[arguments, &["--json"]].concat());
        serde_json::from_str(ran.out.trim()).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
    }

    /// A billing system with a model and a production, a database, and an enhancement that is good.
    pub(crate) fn billing() -> Self {
        let place = Self::new();
        place.write("tmp.yaml", CONFIGURATION);
        for root in ["model", "live"] {
            place.write(&format!("{root}/bin/billing"), "#!/bin/sh\necho billing\n");
            place.write(&format!("{root}/lib/old.sh"), "old\n");
            place.write(&format!("{root}/etc/fee.conf"), "rate=0\n");
            place.write(&format!("{root}/var/data"), "live data\n");
        }
        for database in ["model.db", "live.db"] {
            let connection = rusqlite::Connection::open(place.path(database)).unwrap();
            connection.execute_batch(DATABASE).unwrap();
        }
        place.enhancement("fee", ENHANCEMENT);
        place
    }

    /// Writes an enhancement with the usual files beside it.
    pub(crate) fn enhancement(&self, name: &str, text: &str) {
        self.write(&format!("{name}/enhancement.yaml"), text);
        self.write(&format!("{name}/files/bin/billing"), "#!/bin/sh\necho billing with a fee\n");
        self.write(&format!("{name}/files/bin/fee"), "#!/bin/sh\nexit 0\n");
        self.write(&format!("{name}/files/fee.conf"), "rate=5\n");
        self.write(
            &format!("{name}/sql/010.sql"),
            "ALTER TABLE invoice ADD COLUMN fee INTEGER;\nUPDATE invoice SET fee = 5;\n",
        );
        self.write(&format!("{name}/sql/010.rollback.sql"), "ALTER TABLE invoice DROP COLUMN fee;\n");
        self.write(
            &format!("{name}/sql/010.verify.sql"),
            "SELECT count(*) = 2 FROM invoice WHERE fee = 5;\n",
        );
    }

    /// Packages an enhancement for the model, against the model.
    pub(crate) fn package(&self, name: &str) -> String {
        let file = format!("{name}.trigger");
        self.ends(0, &["package", name, "--base", "model", "-o", &file]);
        file
    }

    /// Everything about the model's modules and database, by an eye that is not TMP's.
    pub(crate) fn model(&self) -> (tmp_testkit::walk::TreeFingerprint, String) {
        let tree = tmp_testkit::walk::fingerprint(&self.path("model")).unwrap();
        let database = tmp_testkit::sqlite::dump(&self.path("model.db")).unwrap();
        (tree, format!("{database:?}"))
    }
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let ended = command.output().unwrap();
    said(ended.status.code(), &ended.stdout, &ended.stderr)
}

/// What a command said, which is no secret.
pub(crate) fn said(code: Option<i32>, out: &[u8], err: &[u8]) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ran = Ran { code, out: text(out), err: text(err) };
    assert!(!holds(out) && !holds(err), "it tells a secret: {ran:?}");
    ran
}

/// Snapshots with everything that differs from run to run replaced.
pub(crate) fn settings(place: &Place) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.add_filter(&place.dir().display().to_string(), "[DIR]");
    settings.add_filter(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[ID]");
    settings.add_filter(r"sha256:[0-9a-f]{64}", "[DIGEST]");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[INSTANT]");
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "[INSTANT]");
    settings.add_filter(r"\d+ min \d+ s\b", "[TIME]");
    settings.add_filter(r"\b\d+(\.\d)? [mµ]?s\b", "[TIME]");
    // What is padded to a column is as wide as its times are.
    settings.add_filter(r"\[TIME\] {2,}", "[TIME]  ");
    settings.add_filter(r"_(ms|us)\x22:\d+", r#"_$1":[TIME]"#);
    settings.add_filter(r"inode \d+", "inode [INODE]");
    settings.add_filter(r"process \d+", "process [PID]");
    settings.add_filter(r"[\d.]+ (GiB|TiB) free", "[FREE] free");
    settings
}

const CONFIGURATION: &str = "schema: tmp/v1
state: state
policy: {commands: allowed}
systems:
  billing:
    ignore: [var/**]
    model:
      sites:
        model-1: {root: model, ephemeral: true, databases: {main: {sqlite: model.db}}}
    production:
      sites:
        hq: {root: live, ephemeral: true, databases: {main: {sqlite: live.db}}}
";

const DATABASE: &str = "CREATE TABLE invoice (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL);
INSERT INTO invoice (cents) VALUES (100), (250);";

pub(crate) const ENHANCEMENT: &str = "schema: tmp/enhancement/v1
id: late-fee
revision: 1
title: Charge a late fee
system: billing
databases: {main: {engine: sqlite}}
modules:
  - {put: bin/, from: files/bin/, kind: program}
  - {put: etc/fee.conf, from: files/fee.conf, mode: \"0640\"}
  - {remove: lib/old.sh}
sql:
  - {name: 010-fee, database: main, apply: sql/010.sql, rollback: sql/010.rollback.sql, verify: sql/010.verify.sql, assert: true}
verify:
  - {name: health, run: [bin/fee]}
";
