//! Input that is broken or means harm: one clear error, nothing touched, bounded memory and time.

mod author;
mod damage;
mod envelope;
mod files;
mod forgery;
mod manifest;
mod names;
mod paths;
mod payload;
mod target;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tmp_testkit::{
    meter,
    walk::{TreeFingerprint, fingerprint},
};

use crate::support::{CANARY, Place, Ran, said};

/// What a process may take in address space, in KiB, whatever it is handed.
const SPACE: u64 = 512 << 10;

/// What it may have in memory at a time, in bytes.
const MEMORY: u64 = 256 << 20;

/// How long a command may take, debug build and busy machine included.
const TIME: Duration = Duration::from_secs(10);

/// How long it may keep a processor; a debug build maybe on a machine that is slow to hand out memory.
const PROCESSOR: Duration = Duration::from_secs(if cfg!(debug_assertions) { 6 } else { 2 });

/// A system, and a trigger file that lies outside of it.
struct Victim {
    place: Place,
    before: TreeFingerprint,
    outside: tempfile::TempDir,
}

impl Victim {
    fn new() -> Self {
        Self::of(Place::billing())
    }

    /// From now on nothing of `place` may change.
    fn of(place: Place) -> Self {
        let before = fingerprint(place.dir()).unwrap();
        Self { place, before, outside: tempfile::tempdir().unwrap() }
    }

    /// A good trigger file of a small enhancement.
    fn good(&self) -> Vec<u8> {
        fs::read(packaged(&self.place, self.outside.path())).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.outside.path().join("x.trigger")
    }

    /// Runs a command under limits of memory and time.
    fn limited(&self, arguments: &[&str]) -> Ran {
        let ended = measured(self.place.dir(), arguments);
        assert!(!ended.err.contains("panicked"), "{arguments:?}: {}", ended.err);
        ended
    }

    /// Runs a command that must end with `code`, one report and an untouched system. Answers the report.
    fn fails(&self, code: i32, what: &str, arguments: &[&str]) -> String {
        let ended = self.limited(arguments);
        assert_eq!(ended.code, Some(code), "{what}: {arguments:?}\n{}{}", ended.out, ended.err);
        assert_eq!(ended.out, "", "{what}: {arguments:?}");
        if arguments.contains(&"--json") {
            let report: serde_json::Value = serde_json::from_str(&ended.err).unwrap();
            assert_eq!(
                (&report["schema"], &report["exit"]),
                (&"tmp.error/v1".into(), &code.into()),
                "{what}"
            );
            let told = |value: &serde_json::Value| value.as_str().is_some_and(|text| !text.is_empty());
            let each = report["faults"].as_array().unwrap();
            assert!(told(&report["message"]), "{what}: {}", ended.err);
            assert!(
                told(&report["help"]) || !each.is_empty(),
                "{what}: nothing says how to mend it: {}",
                ended.err
            );
        } else {
            let count = |start: &str| ended.err.lines().filter(|line| line.starts_with(start)).count();
            assert!(ended.err.starts_with("  × "), "{what}: {arguments:?}\n{}", ended.err);
            assert_eq!(count("  × "), 1 + count("Error: "), "{what}: {arguments:?}\n{}", ended.err);
            assert!(ended.err.contains("help: "), "{what}: nothing says how to mend it:\n{}", ended.err);
        }
        assert!(self.is_untouched(), "{what}: {arguments:?}: {:?}", self.touched());
        ended.err
    }

    fn is_untouched(&self) -> bool {
        fingerprint(self.place.dir()).unwrap() == self.before
    }

    fn touched(&self) -> Vec<String> {
        let now = fingerprint(self.place.dir()).unwrap().entries;
        let both = now.keys().chain(self.before.entries.keys());
        let differ = both.filter(|path| now.get(*path) != self.before.entries.get(*path));
        differ.map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    /// Lets every command that reads trigger files refuse `bytes`. Answers what is wrong with them.
    fn refuses(&self, what: &str, bytes: &[u8]) -> String {
        let why = self.does_not_run(what, bytes);
        let file = self.file();
        for command in ["inspect", "plan"] {
            let report = self.fails(3, what, &[command, file.to_str().unwrap()]);
            assert!(report.replace('\n', "").contains("x.trigger"), "{what}: {report}");
        }
        why
    }

    /// Lets `run` refuse `bytes`. Answers what is wrong with them.
    fn does_not_run(&self, what: &str, bytes: &[u8]) -> String {
        let file = self.file();
        fs::write(&file, bytes).unwrap();
        let name = file.to_str().unwrap();
        let report = self.fails(3, what, &["run", name, "--now", "--reason", "a test", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let message = report["message"].as_str().unwrap();
        message.strip_prefix(&format!("{name}: ")).unwrap_or_else(|| panic!("{what}: {message}")).to_owned()
    }
}

/// Packages a small enhancement without SQL.
fn packaged(place: &Place, outside: &Path) -> PathBuf {
    let source = outside.join("small");
    fs::create_dir_all(&source).unwrap();
    fs::write(
        source.join("enhancement.yaml"),
        "schema: tmp/enhancement/v1\nid: small\nrevision: 1\ntitle: Small\nsystem: billing\n\
         modules: [{put: bin/a, from: a}]\n",
    )
    .unwrap();
    fs::write(source.join("a"), "#!/bin/sh\n").unwrap();
    let file = outside.join("good.trigger");
    place.ends(0, &["package", source.to_str().unwrap(), "-o", file.to_str().unwrap()]);
    file
}

/// Runs the binary in `dir` under limits of memory and time, measured from outside.
fn measured(dir: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tmp"));
    command.args(arguments).current_dir(dir);
    command.env("PATH", std::env::var("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
    command.env("BILLING_DATABASE_PASSWORD", CANARY);
    let took = meter::measure(&command, SPACE, TIME).unwrap();
    let what = format!("{arguments:?} took {:?}, {} bytes", took.elapsed, took.memory);
    assert!(took.elapsed < TIME && took.processor <= PROCESSOR && took.memory <= MEMORY, "{what}: {took:?}");
    said(took.code, &took.stdout, &took.stderr)
}
