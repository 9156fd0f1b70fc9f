//! The engine on a simulated file system that loses whatever was not synced.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]
#![expect(clippy::disallowed_methods, reason = "tests read their settings")]
#![expect(clippy::print_stdout, reason = "figures are read by whoever started it")]

mod boot;
mod bounded;
mod change_sets;
mod clock;
mod explore;
mod eye;
mod kept;
mod machine;
mod matrix;
mod room;
mod world;
