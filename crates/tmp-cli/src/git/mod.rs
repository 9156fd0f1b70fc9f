//! Reads git repositories with the `git` program: labels, the trees of commits, and what differs between
//! two. Why the program and not a library: `docs/decisions/0009-reading-git.md`.
//!
//! Nothing here writes to a repository, opens a network connection or runs what a repository configures.

mod blobs;
mod difference;
mod entry;
mod program;
mod records;
mod repository;
mod tree;

pub(crate) use self::{
    blobs::Blobs,
    difference::{Difference, Sides},
    entry::{Entry, EntryKind, shown},
    repository::{Commit, Repository},
    tree::GitTree,
};
