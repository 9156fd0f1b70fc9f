//! docs/requirements.md names every requirement and guarantee, and tests that exist; so do the other pages
//! that name tests.

use std::collections::BTreeMap;

use super::{TextFile, find};

const PAGE: &str = "docs/requirements.md";

/// Other pages that name tests.
const OTHERS: [&str; 2] = ["docs/track-record.md", "SECURITY.md"];

/// The ids: a prefix and the highest number.
const IDS: [(&str, u32); 10] = [
    ("IN-", 8),
    ("AN-", 7),
    ("TR-", 5),
    ("AR-", 2),
    ("MG-", 10),
    ("NO-", 1),
    ("AC-", 2),
    ("PR-", 4),
    ("SY-", 4),
    ("G", 32),
];

/// What is wrong with the table: each row is `| id | what | proof |`, and a proof is tests in back quotes,
/// `path/to/file.rs::test_name`, or `open: what is missing`, or both.
pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    let Some(text) = find(files, PAGE) else { return vec![format!("{PAGE}: is missing")] };
    let rows: BTreeMap<&str, (&str, &str)> = text.lines().filter_map(row).collect();
    let mut wrong = Vec::new();
    for id in IDS.iter().flat_map(|(prefix, last)| (1..=*last).map(move |number| format!("{prefix}{number}")))
    {
        match rows.get(id.as_str()) {
            None => wrong.push(format!("{PAGE}: {id} has no row")),
            Some((what, proof)) => wrong.extend(proof_of(files, &id, what, proof)),
        }
    }
    for page in OTHERS {
        let names = names(find(files, page).unwrap_or_default());
        wrong.extend(names.filter_map(|test| missing(files, test)).map(|what| format!("{page}: {what}")));
    }
    wrong
}

/// The tests that a text names, in back quotes.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|name| name.contains(".rs::"))
}

fn missing(files: &[TextFile], test: &str) -> Option<String> {
    let (path, name) = test.rsplit_once("::").unwrap_or((test, ""));
    let exists = find(files, path).is_some_and(|text| text.contains(&format!("fn {name}(")));
    (!exists).then(|| format!("there is no test {test}"))
}

fn row(line: &str) -> Option<(&str, (&str, &str))> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    Some((cells.next()?, (cells.next()?, cells.next()?)))
}

fn proof_of(files: &[TextFile], id: &str, what: &str, proof: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if what.is_empty() {
        wrong.push(format!("{PAGE}: {id} is not described"));
    }
    let tests: Vec<_> = names(proof).collect();
    if tests.is_empty() && !proof.starts_with("open") {
        wrong.push(format!("{PAGE}: {id} names no test and does not start with open"));
    }
    wrong.extend(
        tests.iter().filter_map(|test| missing(files, test)).map(|what| format!("{PAGE}: {id}: {what}")),
    );
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_can_complain() {
        let page = "| IN-1 | one | `a.rs::works` |\n| IN-2 | two | `a.rs::lost` |\n| IN-3 | | open: later |\n| IN-4 | x | done |\n";
        let files = [
            TextFile { path: PAGE.into(), text: page.into() },
            TextFile { path: "a.rs".into(), text: "fn works() {}\n".into() },
            TextFile { path: "SECURITY.md".into(), text: "| a | `a.rs::works`, `a.rs::gone` |\n".into() },
        ];
        let wrong = check(&files);
        let about = |id: &str| {
            wrong
                .iter()
                .filter(|line| line.contains(&format!("{id} ")) || line.contains(&format!("{id}:")))
                .count()
        };
        assert_eq!(
            (about("IN-1"), about("IN-2"), about("IN-3"), about("IN-4"), about("IN-5")),
            (0, 1, 1, 1, 1),
            "{wrong:?}"
        );
        assert!(wrong.contains(&"SECURITY.md: there is no test a.rs::gone".to_owned()), "{wrong:?}");
        assert!(wrong.contains(&"docs/requirements.md: G32 has no row".to_owned()));
        assert!(wrong.contains(&"docs/requirements.md: IN-2: there is no test a.rs::lost".to_owned()));
    }
}
