//! Rules about the documents.

use super::{TextFile, find};

/// The longest ARCHITECTURE.md may be, in lines.
const ARCHITECTURE: usize = 250;
const DIAGRAM: &str = "crates/tmp-core/src/snapshots/tmp_core__phase__tests__the_diagram.snap";

/// What is wrong with the documents.
pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    let mut wrong = Vec::new();
    for path in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "docs/format/README.md",
    ] {
        if find(files, path).is_none() {
            wrong.push(format!("{path}: is missing"));
        }
    }
    let lines = find(files, "ARCHITECTURE.md").map_or(0, |text| text.lines().count());
    if lines > ARCHITECTURE {
        wrong.push(format!("ARCHITECTURE.md: {lines} lines; {ARCHITECTURE} is the limit"));
    }
    let index = find(files, "docs/format/README.md").unwrap_or_default();
    for file in files {
        if let Some(page) = file.path.strip_prefix("docs/format/").filter(|page| *page != "README.md")
            && !index.contains(&format!("({page})"))
        {
            wrong.push(format!("docs/format/README.md: has no link to {page}"));
        }
    }
    wrong.extend(diagram(files));
    wrong
}

/// The diagram of the phases in the journal's page must be the one that the transition table gives.
fn diagram(files: &[TextFile]) -> Option<String> {
    let page = "docs/format/journal.md";
    let (Some(snapshot), Some(text)) = (find(files, DIAGRAM), find(files, page)) else {
        return Some(format!("{page} or {DIAGRAM}: is missing"));
    };
    let diagram = snapshot.splitn(3, "---\n").nth(2).unwrap_or_default().trim();
    let shown = text.contains(&format!("```mermaid\n{diagram}\n```"));
    (!shown).then(|| format!("{page}: does not show the diagram of {DIAGRAM} between ```mermaid and ```"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), text: text.into() }
    }

    #[test]
    fn every_rule_can_complain() {
        let mut files = vec![
            file("docs/format/README.md", "[journal](journal.md)\n"),
            file("docs/format/journal.md", "```mermaid\na --> b\n```\n"),
            file(DIAGRAM, "---\nsource: x\n---\na --> b\n"),
        ];
        assert!(!check(&files).iter().any(|line| line.contains("docs/format")), "{:?}", check(&files));
        assert!(check(&files).contains(&"README.md: is missing".to_owned()));
        files.push(file("ARCHITECTURE.md", &"\n".repeat(251)));
        files.push(file("docs/format/trigger.md", ""));
        files.retain(|file| file.path != DIAGRAM);
        files.push(file(DIAGRAM, "---\nsource: x\n---\na --> c\n"));
        let wrong = check(&files).join("\n");
        assert!(wrong.contains("251 lines") && wrong.contains("no link to trigger.md"), "{wrong}");
        assert!(wrong.contains("does not show the diagram"), "{wrong}");
    }
}
