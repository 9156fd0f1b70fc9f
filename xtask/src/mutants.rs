//! Deliberate faults: each must be caught by the tests that are to hold the promise it breaks.
//!
//! Why they exist and how they are built: docs/decisions/0013-deliberate-faults.md.

mod table;

use std::{fs, process::Command, time::Instant};

pub(crate) use self::table::{Catcher, MUTANTS, Mutant};
use crate::{Done, arguments::Arguments, parts::with_part, shell};

/// What turns a fault on.
const VARIABLE: &str = "TMP_MUTANT";

/// The page that keeps the last result.
const PAGE: &str = "docs/reliability.md";

/// The part of the page that has the table.
pub(crate) const PART: &str = "mutants";

/// Builds the tests with all faults in them, and demands of each test that it passes without any and of each fault
/// that its tests fail.
pub(crate) fn run(words: &[String]) -> Done {
    let flags = Arguments::with_words(words, &["--write"], &[], &["--only"])?;
    let chosen: Vec<&Mutant> =
        MUTANTS.iter().filter(|mutant| flags.word("--only").is_none_or(|only| only == mutant.name)).collect();
    if chosen.is_empty() {
        return Err("no fault has this name; xtask/src/mutants/table.rs names them all".into());
    }
    let start = Instant::now();
    let mut catchers: Vec<&Catcher> = chosen.iter().flat_map(|mutant| mutant.caught_by).collect();
    catchers.sort_by_key(|catcher| (catcher.package, catcher.target, catcher.test));
    catchers.dedup_by_key(|catcher| (catcher.package, catcher.target, catcher.test));
    let mut wrong = Vec::new();
    for catcher in catchers {
        if !passes(catcher, None)? {
            wrong.push(format!("{} fails without any fault", catcher.shown()));
        }
    }
    let mut rows = Vec::new();
    for mutant in &chosen {
        let mut caught = Vec::new();
        for catcher in mutant.caught_by {
            if !passes(catcher, Some(mutant.name))? {
                caught.push(catcher.shown());
            }
        }
        println!("{:18} {}", mutant.name, if caught.is_empty() { "NOT CAUGHT" } else { "caught" });
        if caught.len() < mutant.caught_by.len() {
            wrong.push(format!(
                "{} is not caught by all that are to catch it, only by {caught:?}",
                mutant.name
            ));
        }
        rows.push(format!("| `{}` | {} | {} |\n", mutant.name, mutant.leaves_out, caught.join(", ")));
    }
    println!("{} deliberate faults in {} s", rows.len(), start.elapsed().as_secs());
    if flags.has("--write") && wrong.is_empty() {
        write(&rows)?;
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("deliberate faults:\n  {}", wrong.join("\n  ")).into())
    }
}

/// Whether a test passes in the build with the faults. A test that does not run at all is an error.
fn passes(catcher: &Catcher, fault: Option<&str>) -> Done<bool> {
    let mut command = shell::cargo();
    command.args([
        "test",
        "--quiet",
        "--locked",
        "--target-dir",
        "target/mutants",
        "--package",
        catcher.package,
    ]);
    match catcher.target {
        "lib" => command.arg("--lib"),
        target => command.args(["--test", target]),
    };
    command.args(["--", "--exact", catcher.test]);
    // Every crate is built anew with the other flags; `target/mutants` keeps them apart.
    command.env("RUSTFLAGS", "--cfg tmp_mutants").env_remove(VARIABLE);
    if let Some(fault) = fault {
        command.env(VARIABLE, fault);
    }
    judged(&mut command, catcher)
}

fn judged(command: &mut Command, catcher: &Catcher) -> Done<bool> {
    let output = command.output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    if told.contains("1 passed") && output.status.success() {
        Ok(true)
    } else if told.contains("1 failed") {
        Ok(false)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{} did not run:\n{told}{said}", catcher.shown()).into())
    }
}

/// Keeps the table on the page of results.
fn write(rows: &[String]) -> Done {
    let path = shell::workspace().join(PAGE);
    let page = fs::read_to_string(&path)?;
    let head = "| fault | what is left out or done wrongly | caught by |\n|---|---|---|\n";
    let page = with_part(&page, PART, &format!("{head}{}", rows.concat()));
    Ok(fs::write(path, page)?)
}
