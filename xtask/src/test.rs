//! Everything that must pass before a change goes in.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Done,
    arguments::Arguments,
    crash, fuzz,
    shell::{cargo, metadata, run as run_command, works},
    tidy,
};

/// Programs that the tests start, and how each is asked whether it is there.
const TOOLS: [(&str, &[&str]); 4] = [
    ("cargo", &["fmt", "--version"]),
    ("cargo", &["clippy", "--version"]),
    ("tar", &["--version"]),
    ("zstd", &["--version"]),
];

type Stage = fn() -> Done;

/// Runs every stage, also after one failed, and sums up.
pub(crate) fn run(words: &[String]) -> Done {
    Arguments::new(words, &[], &[])?;
    for (program, question) in TOOLS {
        if !works(Command::new(program).args(question)) {
            let name = question.first().filter(|word| !word.starts_with('-')).map_or(program, |word| *word);
            return Err(format!("{name} is needed and does not start: install it and try again").into());
        }
    }
    let stages: [(&str, Stage); 8] = [
        ("format", || {
            run_command(cargo().args(["fmt", "--all", "--check"]))?;
            run_command(cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
        }),
        ("lints", || {
            let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
            run_command(cargo().args(lints))
        }),
        ("tests", || run_command(cargo().args(["test", "--workspace", "--locked"]))),
        ("examples", examples),
        ("docs", || {
            let docs = ["doc", "--workspace", "--no-deps", "--locked"];
            run_command(cargo().args(docs).env("RUSTDOCFLAGS", "-D warnings"))
        }),
        ("tidy", || tidy::run(&[])),
        ("fuzz", || fuzz::run(&[])),
        ("faults", || crash::run(&[])),
    ];
    let mut results = Vec::new();
    for (name, stage) in stages {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = stage();
        if let Err(error) = &outcome {
            eprintln!("{error}");
        }
        results.push((name, outcome.is_ok(), start.elapsed()));
    }
    summary(&results)
}

fn summary(results: &[(&str, bool, Duration)]) -> Done {
    println!("\n== summary");
    for (name, passed, took) in results {
        println!("{name:10} {} {:4} s", if *passed { "passed" } else { "FAILED" }, took.as_secs());
    }
    let failed: Vec<_> = results.iter().filter(|(_, passed, _)| !passed).map(|(name, ..)| *name).collect();
    if failed.is_empty() {
        println!("everything passed");
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}

/// Runs every example of every crate.
fn examples() -> Done {
    let metadata = metadata()?;
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for package in list(&metadata, "packages") {
        let examples = list(&package, "targets")
            .into_iter()
            .filter(|target| list(target, "kind").contains(&"example".into()));
        for example in examples {
            let text =
                |value: &Value| value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let (package, example) = (text(&package), text(&example));
            println!("{package}: {example}");
            run_command(cargo().args([
                "run",
                "--quiet",
                "--locked",
                "--package",
                &package,
                "--example",
                &example,
            ]))?;
        }
    }
    Ok(())
}
