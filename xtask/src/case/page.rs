//! docs/cases.md.

use std::fmt::Write as _;

use super::{
    Differences, Told,
    inputs::{DATABASE, NEW, OLD},
    scene::Story,
};

/// The page of the last run.
pub(super) fn page(differences: &Differences, told: &[Told]) -> String {
    let Differences { added, removed, changed, symlinks } = differences;
    let mut text = format!(
        "# Real input\n\n\
         `cargo xtask case` downloads two consecutive feature releases of a real package (`{OLD}` and `{NEW}`, sources\n\
         from the Python Package Index) and a database that was made elsewhere (the coordinate systems inside\n\
         `{DATABASE}`), packages the difference with SQL changes to that database, and migrates it three times: once to the\n\
         end, once with a statement that fails before COMMIT, once with a check that fails after it. An independent\n\
         walker compares files and rows. Below is the last run.\n\n\
         Between the releases {added} modules are added, {removed} removed and {changed} changed; {symlinks} of them\n\
         are symlinks.\n\n\
         | case | must end | exit | seconds | differences found |\n|---|---|---|---|---|\n"
    );
    for Told { story, code, seconds, wrong } in told {
        let (what, end) = match story {
            Story::Forward => ("forward", "as the new release, 0"),
            Story::BeforeCommit => ("a SQL statement fails before COMMIT", "as it was, 10"),
            Story::AfterCommit => ("a check fails after COMMIT", "as it was, 10"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {what} | {end} | {code} | {seconds:.1} | {} |", wrong.len());
    }
    text
}
