//! The vocabulary of TMP, the touch-less migration process.
//!
//! This crate names things and says which states are possible; it does nothing. It performs no I/O,
//! reads no clock and knows neither YAML nor the text of SQL, so a web server, an engine and a test
//! can all depend on it alone.
//!
//! * [`path`], [`id`], [`digest`], [`mode`]: values that cannot be wrong once they exist.
//! * [`enhancement`]: what a payload changes. [`plan`]: what one migration will do about it.
//! * [`phase`]: the one transition function of a migration, live and on replay.
//! * [`event`], [`outcome`]: what is told while it runs and what came of it.
//! * [`database`], [`step`], [`contents`], [`clock`], [`store`]: the seams an embedder can fill.

pub mod clock;
pub mod contents;
pub mod database;
pub mod digest;
pub mod enhancement;
pub mod event;
pub mod hex;
pub mod id;
pub mod mode;
pub mod module;
pub mod mutant;
pub mod outcome;
pub mod path;
pub mod phase;
pub mod plan;
pub mod step;
pub mod store;

pub use digest::Digest;
pub use id::{DatabaseName, EnhancementId, EnvironmentName, MigrationId, Revision, SiteName, SystemName};
pub use mode::Mode;
pub use path::ModulePath;
pub use phase::Phase;
