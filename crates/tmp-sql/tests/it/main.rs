//! SQLite databases as an engine uses them: real files, real locks, second connections, killed processes.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests build their own databases, and fail by panicking"
)]

mod errors;
mod fingerprints;
mod foreign_keys;
mod hostile;
mod inspect;
mod killed;
mod migrate;
mod property;
mod restore;
mod script_from;
mod scripts;
mod sequences;
mod settle;
mod support;
mod undo;
