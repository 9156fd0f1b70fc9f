//! docs/cases.md.

use std::fmt::Write as _;

use super::{Case, scene::Story};

/// The page of the last run.
pub(super) fn page(cases: &[Case], seed: u64) -> String {
    let mut text = format!(
        "# Real cases\n\n\
         `cargo xtask case` takes two releases of each project below from its registry by name, packages the difference, and\n\
         on one system in a row: lets it fail and be taken back (at a SQL statement, at a check after COMMIT, at a random call\n\
         of the operating system), lets it succeed, and reverses it. An independent walker compares after each story: content,\n\
         type, mode, owner, times, links, attributes, and every row. What failed must be exactly as before; what succeeded\n\
         must be the new release; what was reversed must be the old one again, but for the times of directories and for files\n\
         that were one inode and come back on their own. Where SQL has no roll-back scripts, it goes back by the archive.\n\
         Below is the last run, seed {seed}; seconds are those of a debug build.\n\n\
         | project | from | to | registry | added | removed | changed | symlinks | change type | SQL | why |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for Case { project, differences, scripts, .. } in cases {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {scripts} | {} |",
            project.name,
            project.old,
            project.new,
            project.registry.title(),
            differences.added,
            differences.removed,
            differences.changed,
            differences.symlinks,
            differences.retyped,
            project.why
        );
    }
    text +=
        "\n| project | story | must end | exit | seconds | differences found |\n|---|---|---|---|---|---|\n";
    for case in cases {
        for told in &case.told {
            let end = match told.story {
                Story::Statement | Story::Check | Story::Call => "as it was",
                Story::Forward => "as the new release",
                Story::Reversed => "as the old release",
            };
            let _ = writeln!(
                text,
                "| {} {} | {} | {end} | {} | {:.1} | {} |",
                case.project.name,
                case.project.new,
                told.what,
                told.code,
                told.seconds,
                told.wrong.len()
            );
        }
    }
    text
}
