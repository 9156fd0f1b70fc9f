//! Commands under `policy: {commands: confined}`, by the real binary.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::support::{Place, ran, settings};

const HEAD: &str = "schema: tmp/enhancement/v1
id: late-fee
revision: 1
title: Charge a late fee
system: billing
modules:
  - {put: etc/fee.conf, from: files/fee.conf}
";

/// A place whose model confines commands, with an enhancement that ends in `rest`.
fn place(grants: &str, rest: &str) -> (Place, String) {
    let place = Place::billing();
    fs::create_dir(place.path("granted")).unwrap();
    let config = place.read("tmp.yaml");
    let config = config.replace("commands: allowed", "commands: confined");
    let config = config.replacen("    model:", &format!("    commands: {grants}\n    model:"), 1).replace(
        "policy:",
        "utilities: {shelf: {export: [cp, @G, '{file}'], import: [cp, '{file}', @G]}}\npolicy:",
    );
    let object = format!("'{}'", place.path("granted/object").display());
    place.write("tmp.yaml", &config.replace("@G", &object));
    place.enhancement("fee", &format!("{HEAD}{rest}"));
    let file = place.package("fee");
    (place, file)
}

const GRANTS: &str = "{write: [granted], connect: [5432], memory: 256MiB}";

/// Whether commands can be confined here. Where not, the proof is left out by name, and fails in CI.
fn confinable(proof: &str) -> bool {
    let (place, file) = place(GRANTS, "batch: [{name: do, run: ['true']}]\n");
    let planned = place.tmp(&["plan", &file]);
    if planned.code == Some(0) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{proof} cannot be proven here: {}", planned.err);
    eprintln!("left out: {proof}: {}", planned.err);
    false
}

fn processes(token: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(token)
    };
    numbers.filter(has).collect()
}

fn cgroups(dir: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name().to_string_lossy().ends_with(end) {
                found.push(entry.path());
            }
            found.extend(cgroups(&entry.path(), end));
        }
    }
    found
}

#[test]
fn the_plan_says_how_each_command_runs() {
    if !confinable("plans of confined commands") {
        return;
    }
    let rest = "batch: [{name: tidy, run: [bin/billing]}]\nverify: [{name: health, run: [bin/billing]}]\n";
    let (place, file) = place(GRANTS, rest);
    let plan = place.ends(0, &["plan", &file]).out;
    let lines: Vec<_> = plan.lines().filter(|line| line.contains("onfined")).collect();
    settings(&place).bind(|| insta::assert_snapshot!("plan_of_confined_commands", lines.join("\n")));
    let plan = place.json(&["plan", &file]);
    assert_eq!(plan["plan"]["confinement"]["network"]["connect"][0], 5432);
    assert_eq!(plan["plan"]["confinement"]["landlock"], 6);
    assert!(plan["commands"].as_str().unwrap().starts_with("confined: "), "{plan}");
    place.write("tmp.yaml", &place.read("tmp.yaml").replace("confined", "allowed").replace(GRANTS, "{}"));
    let failed = place.ends(3, &["plan", &file]).err;
    assert!(failed.contains("grant-unused"), "{failed}");
}

#[test]
fn control_objects_batches_and_checks_run_confined() {
    if !confinable("confined migrations") {
        return;
    }
    let rest = "control_objects: [{utility: shelf, object: o, from: files/fee.conf}]
batch: [{name: tidy, run: [sh, -c, 'test ! -e /proc && test ! -d \"$TMP_ROOT/../state\" && echo tidy > var/data'], writes: [var/data]}]
verify: [{name: health, run: [sh, -c, 'grep -q tidy var/data']}]
";
    let (place, file) = place(GRANTS, rest);
    place.write("granted/object", "old object");
    place.ends(0, &["run", &file, "--now", "--reason", "test"]);
    assert_eq!(place.read("granted/object"), "rate=5\n");
    assert_eq!(place.read("model/var/data"), "tidy\n");
    let failing = rest.replace("grep -q tidy", "grep -q nothing").replace("echo tidy", "echo other");
    place.enhancement("fee", &format!("{HEAD}{failing}").replace("revision: 1", "revision: 2"));
    place.write("fee/files/fee.conf", "rate=6\n");
    let file = place.package("fee");
    place.ends(10, &["run", &file, "--now", "--reason", "test"]);
    assert_eq!(place.read("granted/object"), "rate=5\n");
    assert_eq!(place.read("model/var/data"), "tidy\n");
    assert_eq!(place.read("model/etc/fee.conf"), "rate=5\n");
}

#[test]
fn a_recovery_ends_what_a_killed_migration_left_whatever_it_erased() {
    if !confinable("survivors of a killed migration") {
        return;
    }
    let token = format!("7{}", std::process::id());
    let shell = format!(
        "env -i /usr/bin/setsid /usr/bin/setsid /bin/sleep 99.{token} & echo > ../granted/began; sleep 99.{token}"
    );
    let rest = format!("batch: [{{name: linger-{token}, run: [sh, -c, '{shell}']}}]\n");
    let (place, file) = place(GRANTS, &rest);
    let before = place.model();
    let arguments = ["run", &file, "--now", "--reason", "test"];
    let mut running = place.command(&arguments).spawn().unwrap();
    let since = Instant::now();
    while !place.path("granted/began").exists() || processes(&format!("99.{token}")).len() < 2 {
        assert!(since.elapsed() < Duration::from_secs(30), "it did not begin");
        thread::sleep(Duration::from_millis(20));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    thread::sleep(Duration::from_millis(100));
    // The control: without recovery something is left.
    assert!(!processes(&format!("99.{token}")).is_empty(), "nothing survived, so nothing is proven");
    let end = format!("-linger-{token}");
    let root = Path::new("/sys/fs/cgroup");
    assert!(!cgroups(root, &end).is_empty());
    place.ends(10, &["recover"]);
    assert_eq!(processes(&format!("99.{token}")), Vec::<i32>::new());
    assert_eq!(cgroups(root, &end), Vec::<PathBuf>::new());
    assert_eq!(place.model(), before);
}

#[test]
fn what_cannot_be_confined_is_refused_before_anything_begins() {
    if !confinable("missing capabilities") {
        return;
    }
    let (place, file) = place(GRANTS, "batch: [{name: do, run: ['true']}]\n");
    let before = place.model();
    let tmp = place.command(&["run", &file, "--now", "--reason", "test"]);
    let mut without = Command::new("setpriv");
    without.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]).arg(tmp.get_program());
    without.args(tmp.get_args()).current_dir(place.dir());
    let refused = ran(&mut without);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    settings(&place).bind(|| insta::assert_snapshot!("cannot_confine", refused.err));
    assert_eq!(place.model(), before);
    let forbidden = place.read("tmp.yaml").replace("commands: confined", "commands: forbidden");
    place.write("tmp.yaml", &forbidden.replace(&format!("    commands: {GRANTS}\n"), ""));
    let refused = place.ends(5, &["run", &file, "--now", "--reason", "test"]);
    assert!(refused.err.contains("policy forbids"), "{}", refused.err);
}
