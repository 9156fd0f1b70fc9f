//! `enhancement.yaml` and `tmp.yaml` that are broken or mean harm.

use std::{fs, process::Command};

use super::Victim;
use crate::support::{Place, settings};

const HEAD: &str = "schema: tmp/enhancement/v1\nid: x\nrevision: 1\ntitle: T\nsystem: billing\n";
const SITES: &str = "schema: tmp/v1\nstate: state\nsystems:\n  billing:\n    model:\n      sites:\n";

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// Texts that multiply, nest, or hold far more mistakes than anybody reads, below a head that is right.
fn bombs(head: &str) -> Vec<(&'static str, String)> {
    let level =
        |n: usize| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n.saturating_sub(1)); 10].join(","));
    vec![
        ("too large", format!("{head}{}", "#".repeat(1 << 20))),
        ("aliases that multiply", format!("{head}l0: &l0 [x]\n{}", lines(9, |n| level(n + 1)))),
        ("an alias of itself", format!("{head}affects: &a [*a]\n")),
        ("open brackets", format!("{head}affects: {}", "[".repeat(900_000))),
        ("lists in lists", format!("{head}affects:\n  {}a\n", "- ".repeat(400_000))),
        ("keys of keys", format!("{head}{}a\n", "? ".repeat(400_000))),
        ("anchors", format!("{head}affects: {}\n", "&a ".repeat(200_000))),
        ("commas", format!("{head}affects: [{}]\n", "a,".repeat(400_000))),
        ("unknown fields", format!("{head}{}", lines(60_000, |n| format!("u{n}: 1\n")))),
        ("one field often", format!("{head}{}", "title: x\n".repeat(60_000))),
        ("no text", format!("{head}\0\0\0")),
    ]
}

/// Every report is of at most a hundred mistakes, and of bounded length.
fn is_short(what: &str, report: &str) {
    assert!(report.len() < 256 << 10, "{what}: {} bytes", report.len());
    assert!(
        report.contains("mistake") && (report.contains("help: ") || report.contains("\"help\":")),
        "{what}: {report}"
    );
}

#[test]
fn descriptions_that_are_bombs() {
    let victim = Victim::new();
    let source = victim.outside.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("b"), "SELECT 1;\n").unwrap();
    let name = source.to_str().unwrap();
    let mut cases = bombs(HEAD);
    let sites = lines(40_000, |n| format!("a{n},"));
    cases.extend([
        ("entries", format!("{HEAD}modules: [{}]\n", "{},".repeat(40_000))),
        ("modules of one name", format!("{HEAD}modules:\n{}", "- {put: a, from: b}\n".repeat(30_000))),
        (
            "files that are not there",
            format!("{HEAD}modules:\n{}", lines(30_000, |n| format!("- {{put: a{n}, from: c}}\n"))),
        ),
        ("too many relations", format!("{HEAD}requires: [{}]\n", "a,".repeat(150_000))),
        ("one site often", format!("{HEAD}distribution: {{sites: [{}]}}\n", "a,".repeat(150_000))),
        (
            "phases of other sites",
            format!("{HEAD}distribution: {{sites: [{sites}], phases: [[{}]]}}\n", sites.replace('a', "b")),
        ),
        (
            "documents that are not there",
            format!("{HEAD}change_document: {{documentation: [{}]}}\n", "a,".repeat(150_000)),
        ),
        (
            "too many scripts",
            format!(
                "{HEAD}databases: {{m: {{engine: sqlite}}}}\nsql:\n{}",
                "- {name: a, database: m, apply: b, rollback: archive}\n".repeat(15_000)
            ),
        ),
    ]);
    for (at, (what, text)) in cases.into_iter().enumerate() {
        fs::write(source.join("enhancement.yaml"), text).unwrap();
        let commands = [&["check", name][..], &["package", name], &["check", name, "--json"]];
        is_short(what, &victim.fails(3, what, commands[at % 3]));
    }
}

#[test]
fn configurations_that_are_bombs() {
    let victim = Victim::new();
    let file = victim.outside.path().join("tmp.yaml");
    let name = file.to_str().unwrap();
    let mut cases = bombs("schema: tmp/v1\nstate: state\n");
    cases.extend([
        (
            "sites without a root",
            format!("{SITES}{}", lines(20_000, |n| format!("        s{n}: {{rot: r}}\n"))),
        ),
        (
            "sites of one root",
            format!("{SITES}{}", lines(20_000, |n| format!("        s{n}: {{root: r}}\n"))),
        ),
        (
            "roots in roots",
            format!("{SITES}{}", lines(300, |n| format!("        s{n}: {{root: r{}}}\n", "/x".repeat(n)))),
        ),
    ]);
    for (at, (what, text)) in cases.into_iter().enumerate() {
        fs::write(&file, text).unwrap();
        let commands = [&["config", "show"][..], &["status"], &["config", "show", "--json"]];
        is_short(what, &victim.fails(3, what, &[commands[at % 3], &["--config", name]].concat()));
    }
}

#[test]
fn descriptions_that_are_no_files() {
    let victim = Victim::new();
    let path = victim.outside.path().join("enhancement.yaml");
    let (dir, file) = (victim.outside.path().to_str().unwrap(), path.to_str().unwrap());
    let both = |what: &str, said: &str| {
        victim.fails(3, what, &["config", "show", "--config", file]);
        let report = victim.limited(&["check", dir]);
        assert_eq!((report.code, report.out.as_str()), (Some(3), ""), "{what}: {}", report.err);
        assert!(report.err.contains(said), "{what}: {}", report.err);
    };
    both("missing", "there is no enhancement.yaml in ");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    both("a FIFO", "neither a file nor a directory nor a symlink");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    both("a device", "is a symlink to /dev/zero");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    both("a directory", "is not a regular file");
}

#[test]
fn mistakes_of_every_sort_at_once() {
    let place = Place::billing();
    place.enhancement(
        "bad",
        "schema: tmp/enhancement/v2
id: Bad Id
revision: 0
title: \"\"
sytem: billing
databases: {main: {engine: oracle}}
modules:
  - {put: ../up, from: files/fee.conf}
  - {put: /etc/passwd, from: files/fee.conf}
  - {put: a//b, from: files/fee.conf}
  - {put: .tmp-work/x, from: files/fee.conf}
  - {put: out, from: ../../etc/passwd}
  - {put: gone, from: files/gone}
  - {put: link, from: files/link}
  - {put: Twin, from: files/fee.conf}
  - {put: twin, from: files/fee.conf}
  - {put: mode, from: files/fee.conf, mode: 0644}
  - {put: owner, from: files/fee.conf, owner: \"a b\"}
  - {put: both, remove: both, from: files/fee.conf}
  - {}
sql:
  - {name: one, database: other, apply: sql/010.sql, rollback: archive}
  - {name: one, database: main, apply: sql/none.sql, rollback: archive}
batch:
  - {name: b, run: [], timeout: soon}
verify:
  - {name: v}
",
    );
    std::os::unix::fs::symlink("/etc/passwd", place.path("bad/files/link")).unwrap();
    let checked = place.ends(3, &["check", "bad"]);
    assert_eq!(place.ends(3, &["package", "bad"]).err, checked.err);
    settings(&place).bind(|| {
        insta::assert_snapshot!(
            "mistakes_of_every_sort",
            place.ends(3, &["check", "bad", "--json"]).err.replace("},{", "},\n{")
        );
    });
}

#[test]
fn what_a_trigger_file_says_cannot_steer_a_terminal() {
    let place = Place::billing();
    let text = HEAD
        .replace("title: T", "title: T\ninstructions: {operator: \"look\\e]0;title\\a\\ttab\\r\\u009b31m\"}");
    place.write("steer/enhancement.yaml", &format!("{text}modules: [{{put: bin/a, from: a}}]\n"));
    place.write("steer/a", "a\n");
    place.ends(0, &["package", "steer", "-o", "steer.trigger"]);
    let shown = place.ends(0, &["inspect", "steer.trigger", "--color", "always"]).out;
    assert!(shown.contains("look\\u{1b}]0;title\\u{7}\ttab\\r\\u{9b}31m"), "{shown:?}");
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{shown:?}");
}
