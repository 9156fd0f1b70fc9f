//! Bad enhancements: every mistake at once, each with its place, its rule and how to mend it.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
    time::{Duration, Instant},
};

use tmp_trigger::check;

use crate::common::{Scripts, chmod, directory, late_fee, put};

const HEAD: &str = "schema: tmp/enhancement/v1\nid: bad\nrevision: 1\ntitle: Bad\nsystem: demo\n";

/// What is said of the enhancement in `root`, without the name of the directory.
fn said(root: &Path) -> String {
    match check(&directory(root), &Scripts) {
        Ok(checked) => {
            let warnings: Vec<_> =
                checked.warnings.iter().map(|warning| format!("warning {warning}\n")).collect();
            format!("fine\n{}", warnings.concat()).replace(&format!("{}/", root.display()), "")
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                let known = tmp_trigger::rules().iter().any(|rule| rule.id == mistake.rule);
                assert!(known, "{} is no rule", mistake.rule);
            }
            let real = root.canonicalize().unwrap();
            let text = mistakes.to_string().replace(&format!("{}/", root.display()), "");
            text.replace(&format!("{}/", real.display()), "")
        }
    }
}

fn of(yaml: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    late_fee(root.path());
    put(root.path(), "sql/bad.sql", b"SELECT 1;\n  BAD;\n");
    put(root.path(), "enhancement.yaml", yaml.as_bytes());
    said(root.path())
}

fn after_head(yaml: &str) -> String {
    of(&format!("{HEAD}{yaml}"))
}

#[test]
fn the_documented_example_is_fine() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(said(&late_fee(root.path())), "fine\n");
    assert_eq!(of(HEAD), "fine\n");
}

#[test]
fn shapes() {
    insta::assert_snapshot!(
        "shapes",
        of("schema: tmp/enhancement/v2
id: Late Fee
revision: 0
titel: Late fee
system: [billing]
label: {repository: billing, tag: 1.10, commit: 12345678}
max_duration: 20
change_document: {database_move_date: 2.12.2026}
distribution: hq
testing: {accepted: yes please}
databases: {main: {engine: postgres}, Main: {engine: sqlite}}
modules:
  - {put: bin/x, from: files/fee.conf, mode: 640}
  - {put: bin/y, from: files/fee.conf, mode: \"0999\", kind: progam}
  - {put: bin/z, form: files/fee.conf}
  - {put: ../z, from: /etc/passwd}
sql:
  - {name: 010 fee, database: main, apply: sql/010.sql, rollback: {irreversable: no}}
  - {name: a, database: main, apply: sql/010.sql}
  - {name: b, database: main, apply: sql/010.sql, rollback: 3}
batch:
  - {name: c, run: bin/reindex --all}
  - {name: d, run: []}
verify:
  - {name: e, http: \"{site.url}/\", status: 999, within: soon}
")
    );
}

#[test]
fn modules() {
    insta::assert_snapshot!(
        "modules",
        after_head(
            "modules:
  - {put: bin/fee, from: files/fee.conf}
  - {put: bin/fee, from: files/bin/fee}
  - {put: Bin/Fee, from: files/bin/fee}
  - {put: bin/fee/x, from: files/fee.conf}
  - {remove: bin/fee}
  - {remove: old, put: new, from: files/fee.conf}
  - {from: files/fee.conf}
  - {put: /etc/passwd, from: files/fee.conf}
  - {put: .tmp-work/x, from: files/fee.conf}
  - {put: a, from: ../outside}
  - {put: b, from: missing}
  - {put: c, from: files/bin}
  - {put: d/, from: files/fee.conf}
  - {put: e}
  - {put: f, from: files/fee.conf, owner: \"a b\"}
  - {remove: gone, mode: \"0644\"}
  - {put: g/, from: files/bin/, replaces: directory}
  - {put: h, from: files/fee.conf, replaces: sha256:5C2B}
"
        )
    );
}

#[test]
fn steps_and_surroundings() {
    insta::assert_snapshot!(
        "steps",
        after_head(
            "change_document: {documentation: [docs/missing.md]}
schedule: {not_before: \"2026-12-21\", expires: \"2026-12-20\"}
distribution: {sites: [hq, east, hq], phases: [[hq, west], [hq], []]}
testing: {accepted: true}
requires: [bad, other, other]
together_with: [friend]
conflicts_with: [friend, other]
max_duration: 0s
databases: {main: {engine: sqlite}}
sql:
  - {name: one, database: main, transaction: none, apply: sql/bad.sql, rollback: sql/missing.sql}
  - {name: two, database: other, apply: sql/010.sql, rollback: {irreversible: \" \"}}
  - {name: one, database: main, apply: sql, rollback: archive, assert: true}
control_objects: [{utility: nav, object: X, from: control/missing.exp}]
batch:
  - {name: two, run: [../evil, x], writes: [/etc/**, \"a[\"], timeout: 0s}
after_rollback: [{run: [\"\"]}]
verify:
  - {name: v1}
  - {name: v2, http: \"ftp://x\", run: [x]}
  - {name: v3, http: \"{site.host}/\"}
  - {name: v4, run: [x], status: 200}
  - {name: v5, digest: {path: etc/x, equals: sha256:00}, timeout: 3s}
"
        )
    );
}

#[test]
fn texts_that_are_no_yaml() {
    let mut answers = Vec::new();
    let mut case = |what: &str, bytes: &[u8]| {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "enhancement.yaml", bytes);
        answers.push(format!("{what}: {}\n", said(root.path())));
    };
    case("nothing", b"");
    case("a list", b"- a\n");
    case("a tab", b"schema: x\n\tid: y\n");
    case("two documents", b"a: 1\n---\nb: 2\n");
    case("not UTF-8", b"schema: x\nid: \xff\n");
    case("an open list", b"modules: [a, b\n");
    case("an unknown alias", b"a: *b\n");
    case("a tag", b"schema: !secret x\n");
    case("a number as a key", b"1: x\n");
    case(
        "a field twice",
        format!("{HEAD}modules:\n- put: a\n  put: b\n  from: a\ntitle: Other\n").as_bytes(),
    );
    case("a large number", format!("{HEAD}x: 123456789012345678901234567890\n").as_bytes());
    case("too long", &vec![b'#'; (1 << 20) + 1]);
    insta::assert_snapshot!("yaml", answers.concat());
}

#[test]
fn bombs_are_refused_while_they_are_small() {
    let aliases = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(100_000), "*a,".repeat(200_000));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a,".repeat(100_000));
    let laughs: Vec<_> =
        (1..30).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 9].join(","))).collect();
    for bomb in [
        "[".repeat(1 << 20),
        "{".repeat(1 << 20),
        "- ".repeat(1 << 19),
        "? ".repeat(1 << 19),
        "{a: ".repeat(1 << 18),
        "[[],".repeat(1 << 18),
        "x,".repeat(1 << 19),
        format!("a: [{}]", "1,".repeat(400_000)),
        aliases,
        long,
        format!("l0: &l0 x\n{}", laughs.concat()),
        "\"".repeat(1 << 20),
        "&a ".repeat(1 << 18),
        "[\"]\",".repeat(49_000),
        "[".repeat(49_000),
        "[ ']',".repeat(1 << 17),
        "- - ".repeat(1 << 18),
        "? - ".repeat(1 << 18),
        "a: |\n".repeat(1 << 17),
        "!!str ".repeat(1 << 17),
        "%TAG ! x\n".repeat(1 << 16),
    ] {
        let begun = Instant::now();
        let answer = of(&bomb);
        assert!(answer.len() < 2000 && !answer.starts_with("fine"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?} for {:.20}", begun.elapsed(), bomb);
    }
}

#[test]
fn files_that_cannot_be_packaged() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "secret", b"secret\n");
    put(outside.path(), "x.sql", b"SELECT 1;\n");
    let at = |name: &str| root.path().join(name);
    put(root.path(), "tree/good", b"good");
    put(root.path(), "tree/suid", b"suid");
    chmod(root.path(), "tree/suid", 0o4755);
    fs::write(at("tree").join(OsStr::from_bytes(b"na\xffme")), "x").unwrap();
    symlink(OsStr::from_bytes(b"to\xff"), at("tree/bad-link")).unwrap();
    symlink("/etc/passwd", at("tree/far-link")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("tree/fifo")).status().unwrap().success());
    symlink(outside.path(), at("out")).unwrap();
    symlink(outside.path().join("x.sql"), at("x.sql")).unwrap();
    symlink("tree", at("in")).unwrap();
    let yaml = "databases: {main: {engine: sqlite}}
modules:
  - {put: tree/, from: tree/}
  - {put: secret, from: out/secret}
  - {put: inside, from: in/good}
  - {put: suid, from: tree/suid, mode: \"4755\"}
sql: [{name: x, database: main, apply: x.sql, rollback: archive}]
";
    put(root.path(), "enhancement.yaml", format!("{HEAD}{yaml}").as_bytes());
    let answer = said(root.path()).replace(&outside.path().display().to_string(), "OUTSIDE");
    insta::assert_snapshot!("files", answer);
}

#[test]
fn warnings_do_not_refuse() {
    let root = tempfile::tempdir().unwrap();
    late_fee(root.path());
    symlink("../../../etc", root.path().join("files/out")).unwrap();
    let yaml = "databases: {main: {engine: sqlite}}
modules: [{put: lib/out, from: files/out}]
sql: [{name: x, database: main, apply: sql/010.sql, rollback: archive}]
";
    put(root.path(), "enhancement.yaml", format!("{HEAD}{yaml}").as_bytes());
    insta::assert_snapshot!("warnings", said(root.path()));
}

#[test]
fn a_private_file_that_becomes_readable_gets_a_warning() {
    let root = tempfile::tempdir().unwrap();
    for (name, mode) in [("key", 0o600), ("run", 0o710), ("kept", 0o600), ("group", 0o640), ("all", 0o644)] {
        put(root.path(), name, name.as_bytes());
        chmod(root.path(), name, mode);
    }
    let yaml = "modules:
  - {put: etc/key, from: key}
  - {put: bin/run, from: run}
  - {put: etc/kept, from: kept, mode: \"0600\"}
  - {put: etc/group, from: group}
  - {put: etc/all, from: all}
";
    put(root.path(), "enhancement.yaml", format!("{HEAD}{yaml}").as_bytes());
    let checked = check(&directory(root.path()), &Scripts).unwrap();
    assert!(checked.warnings.iter().all(|warning| warning.rule == "mode-widened"));
    assert!(tmp_trigger::rules().iter().any(|rule| rule.id == "mode-widened"));
    let real = format!("{}/", root.path().canonicalize().unwrap().display());
    insta::assert_snapshot!("private", said(root.path()).replace(&real, ""));
}

#[test]
fn a_directory_without_a_description() {
    let root = tempfile::tempdir().unwrap();
    assert!(said(root.path()).starts_with("enhancement.yaml: file: \"enhancement.yaml\" does not exist"));
}

#[test]
fn rules_have_explanations() {
    let ids: BTreeSet<_> = tmp_trigger::rules().iter().map(|rule| rule.id).collect();
    assert!(ids.contains("unknown-field") && ids.contains("module-conflict"));
}
