//! Running, taking back and recovering migrations.
//!
//! * [`open`]: the lock, and whether a migration is open. [`site`]: what an open engine holds.
//! * [`run`]: one migration in progress; [`memory`]: what its journal says so far.
//! * Forward, in the order of the protocol: [`archive`], [`stage`], [`atomic`], [`checked`]. Where the whole
//!   tree is exchanged, [`next`] builds what it becomes and [`home`] is where it stands.
//! * Back: [`switch`] (both directions), [`steps`], [`back`], [`compare`]; [`cleanup`] for both, and
//!   [`parked`] for a tree.
//! * [`recover`]: what an interrupted journal leads to. [`resolve`]: a person settles it.

mod acl;
mod archive;
mod atomic;
mod attributes;
mod back;
mod ballast;
mod checked;
mod cleanup;
mod compare;
mod error;
mod home;
mod memory;
mod next;
mod open;
mod parked;
mod recover;
mod replay;
mod resolve;
mod run;
mod sight;
mod site;
mod stage;
mod steps;
mod switch;
mod times;

pub use error::{EngineError, OpenError};
pub use open::{Engine, Opened};
pub use recover::{Interrupted, Recovered};
pub use resolve::{Found, Resolution};
pub use run::Party;

pub(crate) use attributes::{staged_attributes, surroundings};
pub(crate) use back::{AFTER_FINDING, BY_ARCHIVE};
pub(crate) use memory::Memory;
pub(crate) use stage::keep;
pub(crate) use steps::ExportedObject;
