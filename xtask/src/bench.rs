//! The workloads side by side with the tools people use today, in one run, on the same trees.

mod archive;
mod case;
mod growth;
mod machine;
mod measure;
mod package;
mod page;
mod release;
mod restore;
mod scratch;
mod setting;
mod sql;
mod start;
mod table;
mod trees;
mod watch;

use std::time::Duration;

use self::{setting::Setting, table::Section};
use crate::{Done, arguments::Arguments, shell};

/// A workload: what is measured, and how.
type Workload = fn(&Setting) -> Done<Section>;

/// Every workload by its id. The first full archive and the ones after it share a module, as do a release and the
/// mixture that is seen while it goes in.
const WORKLOADS: [(&str, Workload); 9] = [
    ("W1", archive::first),
    ("W2", archive::again),
    ("W3", restore::run),
    ("W4", release::run),
    ("W5", release::mixture),
    ("W6", sql::run),
    ("W7", start::run),
    ("W8", package::run),
    ("W9", growth::run),
];
/// Runs of each case when nothing else is said.
const RUNS: u64 = 5;
/// Seconds that each run waits for a quiet machine when nothing else is said.
const PATIENCE: u64 = 60;
const PAGE: &str = "docs/performance.md";

/// Measures the workloads and prints them; with `--write` they replace their sections of docs/performance.md.
pub(crate) fn run(words: &[String]) -> Done {
    let flags =
        Arguments::with_words(words, &["--write", "--small"], &["--runs", "--patience"], &["--only"])?;
    let only = flags.word("--only");
    if let Some(id) = only.filter(|id| WORKLOADS.iter().all(|(known, _)| known != id)) {
        return Err(format!("there is no workload {id}; known are W1 to W9").into());
    }
    let runs = flags.number("--runs").unwrap_or(RUNS).max(1);
    let small = flags.has("--small");
    let patience = flags.number("--patience").unwrap_or(if small { 1 } else { PATIENCE });
    let setting = Setting::prepare(usize::try_from(runs)?, small, Duration::from_secs(patience))?;
    let floors = machine::floors(&setting)?;
    let machine = format!("{}\n\n{}{floors}", machine::description(), machine::versions(&setting));
    println!("{machine}");
    let file = shell::workspace().join(PAGE);
    for (id, workload) in WORKLOADS.iter().filter(|(id, _)| only.is_none_or(|only| only == *id)) {
        let section = workload(&setting).map_err(|error| format!("{id}: {error}"))?;
        let text = section.text(&setting);
        println!("\n{text}");
        if flags.has("--write") {
            let old = std::fs::read_to_string(&file).unwrap_or_default();
            let old = page::with_section(&old, "machine", &machine);
            std::fs::write(&file, page::with_section(&old, id, &text))?;
        }
    }
    Ok(())
}
