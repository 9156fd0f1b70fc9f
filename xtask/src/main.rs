//! Tasks of the workspace: `cargo xtask TASK`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to the developer who runs them")]

mod arguments;
mod bench;
mod case;
mod crash;
mod download;
mod fuzz;
mod mutants;
mod parts;
mod race;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test     everything that must pass: format, lints, tests, examples, docs, tidy, fuzz, faults
cargo xtask tidy     the house rules that a script can check
cargo xtask crash    the fault matrices: the real program killed, torn, failed, signalled at a seeded sample of points
                     --long at all of them   --seed N   --only MATRIX, kind or package   --list their names
                     --point MATRIX/K only this point (a number alone: killed before call K, package sqlite)
                     --scratch DIRECTORY where to work   --write keep the result in docs/reliability.md
cargo xtask mutants  deliberate faults: each must be caught by the tests that are to hold what it breaks
                     --only NAME   --write keep the table in docs/reliability.md
cargo xtask fuzz     every parser against a fuzzer led by coverage: twenty seconds each, within 256 MiB
                     --seconds N each   --only NAME
cargo xtask race     every operation of the disk against a live attacker: five seconds each, a million attempts of all
                     --seconds N each
cargo xtask case     consecutive releases of seven real projects, with SQL; the result goes to docs/cases.md   --seed N
cargo xtask bench    the workloads W1 to W9 side by side with the tools people use today; takes about an hour, and root
                     --only W4   --runs N (5)   --patience SECONDS (60) for a quiet machine before each run
                     --small a small tree, to try the bench itself   --write keep the result in docs/performance.md
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let task = words.next().unwrap_or_default();
    let rest: Vec<_> = words.collect();
    let done = match task.as_str() {
        "test" => test::run(&rest),
        "tidy" => tidy::run(&rest),
        "crash" => crash::run(&rest),
        "bench" => bench::run(&rest),
        "case" => case::run(&rest),
        "fuzz" => fuzz::run(&rest),
        "mutants" => mutants::run(&rest),
        "race" => race::run(&rest),
        _ => Err(HELP.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What a task ends with; the error is told to the developer as it is.
type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;
