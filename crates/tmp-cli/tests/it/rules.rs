//! Every rule that an error can name is explained.

use std::{collections::BTreeSet, fs, path::Path};

use crate::support::Place;

fn sources(dir: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

/// The first string literal after each of the `calls`.
fn named(text: &str, calls: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for call in calls {
        for rest in text.split(call).skip(1) {
            let argument = rest.trim_start();
            if let Some(literal) = argument.strip_prefix('"') {
                found.insert(literal.split('"').next().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn every_rule_that_is_named_is_explained() {
    let place = Place::new();
    let explained = place.json(&["explain"]);
    let explained: BTreeSet<_> = explained["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["rule"].as_str().unwrap().to_owned())
        .collect();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut rules =
        named(&sources(&crates.join("tmp-migrate/src/planner")), &["PlanFault::new(", "self.fault("]);
    rules.extend(named(&sources(&crates.join("tmp-cli/src")), &[".rule(", "push(fault("]));
    assert!(rules.len() > 20, "{rules:?}");
    let missing: Vec<_> = rules.difference(&explained).collect();
    assert!(missing.is_empty(), "not explained: {missing:?}");
}

#[test]
fn a_rule_is_explained_whole() {
    let place = Place::new();
    let text = place.ends(0, &["explain", "drift"]).out;
    assert!(text.starts_with("drift: ") && text.contains("--base"), "{text}");
    assert!(place.ends(2, &["explain", "no-such-rule"]).err.contains("tmp explain"));
}
