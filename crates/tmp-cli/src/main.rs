//! The command line of TMP: arguments, wiring of the adapters, rendering, exit codes.
//!
//! Everything that decides lives in the libraries. This binary reads `tmp.yaml`, hands the engine a
//! real disk, a real clock and the site's databases, and tells people and programs what came of it:
//! data on standard output, messages on standard error.

/// Appends formatted text to a `String`, which cannot fail.
macro_rules! push {
    ($text:expr, $($argument:tt)*) => {{
        use std::fmt::Write as _;
        let _ = write!($text, $($argument)*);
    }};
}

mod app;
mod args;
mod command;
mod config;
mod demo;
mod exit;
mod explain;
mod failure;
mod files;
mod git;
mod in_place;
mod journals;
mod mistakes;
mod observer;
mod opening;
mod output;
mod planning;
mod prompt;
mod render;
mod restores;
mod rules;
mod scripts;
mod signals;
mod site;
mod trigger;

fn main() -> std::process::ExitCode {
    app::run()
}
