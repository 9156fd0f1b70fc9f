//! Everything of TMP that changes a file system, and everything it may rely on there.
//!
//! * [`disk`]: the seam, at the level of system calls. [`RealDisk`] is this machine's; [`SimDisk`] is
//!   kept in memory and can lose what was not synced; [`FaultDisk`] wraps another and fails at a
//!   chosen call.
//! * [`Tree`]: confined access below a root that is held open. [`observe`]: what stands there.
//! * [`write_new`], [`set_attributes`], [`remove_tree`] and their like: the few ways things are made,
//!   given attributes, and removed.
//! * [`SystemClock`]: the time of this machine, for those who need both.
//! * [`Barrier`]: when something is durable. [`probe`]: whether a file system can be relied on at all.
//!
//! What a file system has to keep, for TMP to be right on it: a rename is atomic; `fsync` of a directory
//! makes its entries durable; `fsync` of a file makes its content and size durable; exclusive creation
//! is exclusive; errors are reported. Nothing else is assumed; a rename between two directories counts as durable
//! once both were synced.

mod attributes;
mod barrier;
mod clock;
mod component;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod copy;
mod dirs;
pub mod disk;
mod error;
mod fault;
mod gate;
mod latch;
mod observe;
mod owner;
mod probe;
mod reader;
mod real;
mod remove;
mod sim;
mod tree;
mod write;

pub use attributes::{attributes_of, set_attributes};
pub use barrier::Barrier;
pub use clock::SystemClock;
pub use copy::copy_new;
pub use dirs::{create_dir_durably, ensure_dirs, ensure_private_dir, exposed};
pub use disk::{
    At, Dir, Disk, Durability, Extent, FileSystem, Identity, Lock, OpenFile, Rename, Right, Sharing, Stat,
};
pub use error::DiskError;
pub use fault::{Fault, FaultDisk};
pub use latch::LatchedDisk;
pub use observe::{Observed, ObservedContent, digest_of, observe};
pub use owner::{OwnerError, resolve_owner};
pub use probe::{Capabilities, ProbeError, keeps, probe};
pub use reader::FileReader;
pub use real::RealDisk;
pub use remove::remove_tree;
pub use sim::SimDisk;
pub use tree::{Place, Tree};
pub use write::{Written, read_whole, write_all_at, write_durably, write_new, write_sparse_new};
