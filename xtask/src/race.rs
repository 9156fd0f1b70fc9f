//! The race of every operation of the disk against somebody who exchanges directories with symlinks, at length:
//! `crates/tmp-archive/tests/archive/race.rs`.

use crate::{
    Done,
    arguments::Arguments,
    shell::{cargo, run as run_command},
};

/// How long each operation is tried, in seconds.
const SECONDS: u64 = 5;

/// Runs it, until each operation had its time and all a million attempts.
pub(crate) fn run(words: &[String]) -> Done {
    let arguments = Arguments::new(words, &[], &["--seconds"])?;
    let seconds = arguments.number("--seconds").unwrap_or(SECONDS);
    let race = [
        "test",
        "--quiet",
        "--locked",
        "--package",
        "tmp-archive",
        "--test",
        "archive",
        "race::",
        "--",
        "--nocapture",
    ];
    run_command(cargo().args(race).env("TMP_RACE_SECONDS", seconds.to_string()))
}
