//! Loss of power, failing disks and full disks: reference packages on real file systems of their own.
//!
//! Each point starts from the same disk. What must hold besides what [`crate::matrix`] asks for: after a loss of power
//! every path of the tree holds the whole old or the whole new content, or nothing where it is to be absent, *before*
//! `tmp recover` runs; a disk can always be mounted again; a sync that failed is never asked for again and never
//! followed by success; a full disk keeps nothing from recovering.

mod cut;
mod failing;
mod full;
mod ground;
mod replay;
mod whole;

pub use self::{
    failing::FailedDisk,
    full::Shortage,
    ground::{Ground, Place},
    replay::{Loss, Recording},
};
