//! Rules about the crates: who may depend on whom, and who may print.

use serde_json::Value;

use super::{TextFile, find};

/// The crates of the workspace that each may use outside of its tests.
const DIRECTIONS: [(&str, &[&str]); 9] = [
    ("tmp-core", &[]),
    ("tmp-disk", &["tmp-core"]),
    ("tmp-trigger", &["tmp-core", "tmp-disk"]),
    ("tmp-archive", &["tmp-core", "tmp-disk"]),
    ("tmp-sql", &["tmp-core", "tmp-disk"]),
    ("tmp-migrate", &["tmp-core", "tmp-disk", "tmp-archive"]),
    ("tmp-cli", &["tmp-core", "tmp-disk", "tmp-trigger", "tmp-archive", "tmp-sql", "tmp-migrate"]),
    ("tmp-testkit", &[]),
    ("xtask", &["tmp-testkit"]),
];

/// Crates from elsewhere that only these may use outside of their tests.
const RESERVED: [(&str, &[&str]); 8] = [
    ("serde_yaml", &["tmp-trigger", "tmp-cli"]),
    ("rusqlite", &["tmp-sql", "tmp-cli", "tmp-testkit"]),
    ("clap", &["tmp-cli"]),
    ("miette", &["tmp-cli"]),
    ("anstream", &["tmp-cli"]),
    ("indicatif", &["tmp-cli"]),
    ("comfy-table", &["tmp-cli"]),
    ("proptest", &["tmp-testkit"]),
];

/// All that the vocabulary may use: nothing that reads a disk, a network or a clock.
const CORE: [&str; 7] = ["camino", "schemars", "serde", "sha2", "thiserror", "time", "unicode-normalization"];
const CORE_WORDS: [&str; 7] =
    ["std::fs", "std::net", "std::process", "std::env", "SystemTime::now", "Instant::now", "now_utc"];

/// The one place that reads the environment, in a build for tests alone.
const FAULTS: &str = "crates/tmp-core/src/mutant.rs";

/// What is wrong with the crates.
pub(super) fn check(files: &[TextFile], metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in list(metadata, "packages") {
        let name = text(package, "name");
        let used: Vec<_> = list(package, "dependencies")
            .iter()
            .filter(|dependency| dependency.get("kind").is_none_or(Value::is_null))
            .map(|dependency| {
                dependency.get("rename").and_then(Value::as_str).unwrap_or_else(|| text(dependency, "name"))
            })
            .collect();
        wrong.extend(used.iter().filter_map(|other| forbidden(name, other)));
        let manifest =
            if name == "xtask" { "xtask/Cargo.toml".to_owned() } else { format!("crates/{name}/Cargo.toml") };
        if !find(files, &manifest).is_some_and(|text| text.contains("[lints]\nworkspace = true")) {
            wrong.push(format!("{manifest}: does not take the lints of the workspace"));
        }
    }
    wrong.extend(files.iter().flat_map(source));
    wrong
}

fn forbidden(name: &str, other: &str) -> Option<String> {
    let is_ours = DIRECTIONS.iter().any(|(ours, _)| *ours == other);
    let allowed = if is_ours {
        DIRECTIONS.iter().any(|(user, used)| *user == name && used.contains(&other))
    } else if name == "tmp-core" {
        CORE.contains(&other)
    } else {
        RESERVED.iter().all(|(reserved, users)| *reserved != other || users.contains(&name))
    };
    (!allowed).then(|| format!("{name}: must not depend on {other}"))
}

fn source(file: &TextFile) -> Vec<String> {
    let Some((name, path)) = file.path.strip_prefix("crates/").and_then(|path| path.split_once("/src/"))
    else {
        return Vec::new();
    };
    let is_test = path.ends_with("tests.rs") || path.contains("tests/");
    let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut wrong = Vec::new();
    for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        let mut say = |what: &str| wrong.push(format!("{}:{}: {what}", file.path, number + 1));
        if !["tmp-cli", "tmp-testkit"].contains(&name) && !is_test {
            let prints = ["println!(", "print!(", "std::io::stdout", "std::io::stderr"]
                .iter()
                .any(|word| line.contains(word));
            if prints {
                say("only the command line prints");
            }
        }
        let core = name == "tmp-core" && file.path != FAULTS;
        for word in CORE_WORDS.iter().filter(|word| core && line.contains(**word)) {
            say(&format!("{word}: the vocabulary does no I/O and reads no clock"));
        }
    }
    wrong
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_kept() {
        assert_eq!(forbidden("tmp-cli", "tmp-sql"), None);
        assert_eq!(forbidden("tmp-disk", "rustix"), None);
        for (name, other) in [
            ("tmp-core", "tmp-disk"),
            ("tmp-core", "rustix"),
            ("tmp-migrate", "tmp-sql"),
            ("tmp-migrate", "serde_yaml"),
            ("tmp-testkit", "tmp-core"),
            ("tmp-archive", "clap"),
        ] {
            assert!(forbidden(name, other).is_some(), "{name} -> {other}");
        }
    }

    #[test]
    fn printing_and_clocks_are_seen_outside_of_tests() {
        let lines = |path: &str, text: &str| source(&TextFile { path: path.into(), text: text.into() }).len();
        assert_eq!(lines("crates/tmp-disk/src/a.rs", "fn a() { println!(\"a\") }\n"), 1);
        assert_eq!(lines("crates/tmp-disk/src/a.rs", "#[cfg(test)]\nfn a() { println!(\"a\") }\n"), 0);
        assert_eq!(lines("crates/tmp-cli/src/a.rs", "fn a() { println!(\"a\") }\n"), 0);
        assert_eq!(lines("crates/tmp-core/src/a.rs", "use std::fs;\n"), 1);
        assert_eq!(lines("crates/tmp-disk/src/a.rs", "use std::fs;\n"), 0);
    }
}
