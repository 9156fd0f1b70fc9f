//! The deliberate faults in the source are those in the table, each in one place and with somebody who catches it.

use std::collections::BTreeMap;

use super::TextFile;
use crate::mutants::MUTANTS;

/// The most places one fault may be in.
const PLACES: usize = 2;

/// What is wrong with the names.
pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| file.path.starts_with("crates/")) {
        for name in file.text.split("mutant::is(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            *places.entry(name).or_default() += 1;
        }
    }
    let mut wrong = Vec::new();
    for mutant in MUTANTS {
        match places.remove(mutant.name) {
            None => wrong.push(format!("the fault {} is nowhere in the source", mutant.name)),
            Some(1..=PLACES) => {}
            Some(places) => wrong.push(format!("the fault {} is in {places} places", mutant.name)),
        }
        if mutant.caught_by.is_empty() {
            wrong.push(format!("nothing is to catch the fault {}", mutant.name));
        }
    }
    wrong.extend(places.keys().map(|name| format!("the fault {name} is not in the table")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_complain() {
        let text = |name: &str| format!("if mutant::is(\"{name}\") {{}}\n");
        let file = |text: String| TextFile { path: "crates/a/src/b.rs".into(), text };
        let all: String = MUTANTS.iter().map(|mutant| text(mutant.name)).collect();
        assert_eq!(check(&[file(all.clone())]), [""; 0]);
        let wrong = check(&[file(all + &text("unknown")), file(text("lock").repeat(2))]);
        assert_eq!(wrong, ["the fault lock is in 3 places", "the fault unknown is not in the table"]);
        assert_eq!(check(&[]).len(), MUTANTS.len());
    }
}
