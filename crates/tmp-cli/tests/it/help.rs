//! What every command says of itself, and what the shell and the manual get.

use crate::support::{Place, settings};

const COMMANDS: &[&str] = &[
    "init",
    "new",
    "check",
    "package",
    "import",
    "import git-diff",
    "inspect",
    "rehearse",
    "plan",
    "run",
    "status",
    "history",
    "log",
    "recover",
    "resolve",
    "archive",
    "demo",
    "doctor",
    "config",
    "schema",
    "explain",
    "completions",
    "man",
];

#[test]
fn of_tmp() {
    let place = Place::new();
    settings(&place).bind(|| insta::assert_snapshot!(place.ends(0, &["--help"]).out));
}

#[test]
fn of_every_command() {
    let place = Place::new();
    let mut text = String::new();
    for command in COMMANDS {
        let help = place.ends(0, &[command.split(' ').collect(), vec!["-h"]].concat()).out;
        let own = help.split("\nGlobal options:").next().unwrap();
        text.push_str(own);
        text.push('\n');
    }
    settings(&place).bind(|| insta::assert_snapshot!(text));
}

#[test]
fn wrong_usage_ends_with_2() {
    let place = Place::new();
    let cases: [&[&str]; 5] = [
        &["frobnicate"],
        &["plan"],
        &["run", "x", "--now"],
        &["status", "--color", "green"],
        &["-q", "-v", "status"],
    ];
    for wrong in cases {
        let ran = place.ends(2, wrong);
        assert!(ran.out.is_empty() && ran.err.contains("--help"), "{ran:?}");
    }
}

#[test]
fn completions_and_manual_pages() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.ends(0, &["completions", shell]).out;
        assert!(script.contains("recover") && script.contains("tmp"), "{shell}");
    }
    assert!(place.ends(0, &["man"]).out.starts_with(".ie"));
    place.ends(0, &["man", "--dir", "man"]);
    for page in ["tmp.1", "tmp-run.1", "tmp-archive-restore.1"] {
        assert!(place.read(&format!("man/{page}")).contains(".TH"), "{page}");
    }
}

#[test]
fn schemas_are_json_and_know_their_fields() {
    let place = Place::new();
    for (name, field) in [("enhancement", "modules"), ("trigger", "payloads"), ("config", "systems")] {
        let schema: serde_json::Value = serde_json::from_str(&place.ends(0, &["schema", name]).out).unwrap();
        assert!(schema["properties"][field].is_object(), "{name}");
    }
    assert!(place.ends(2, &["schema", "nothing"]).err.contains("enhancement, trigger, config"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child =
        place.command(&["completions", "bash"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
