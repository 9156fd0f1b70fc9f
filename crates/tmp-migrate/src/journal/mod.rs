//! The journal of one migration: facts that only grow, each durable before the next effect.
//!
//! Format: `docs/format/journal.md`. A record is written once, synced and never touched again. A torn
//! tail is ignored; a hole in the middle means that nothing may be changed.

mod fact;
mod file;
mod slot;

pub use fact::{Fact, PreparedOperation, PreparedSite, PreparedTree, Record};
pub use file::{Journal, JournalError};
