//! The engine on a real file system with a real database, judged by the testkit's eye.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]
#![expect(clippy::disallowed_methods, reason = "tests build their own trees and read the clock")]

mod atomic;
mod beginning;
mod beside;
mod careless;
mod catalogue;
mod change_sets;
mod checks;
mod common;
mod compensation;
mod confined;
mod decay;
mod disks;
mod drift;
mod every_step;
mod first;
mod foreign;
mod journal;
mod meddling;
mod no_exchange;
mod panics;
mod places;
mod power;
mod progress;
mod properties;
mod recovery;
mod refusals;
mod rehearse;
mod reversal;
mod rights;
mod sick;
mod staging;
mod surroundings;
mod syncs;
mod tampered;
mod unproven;
