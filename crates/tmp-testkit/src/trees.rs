//! Random trees and random changes to them, with a pure model of what the changes lead to.
//!
//! Paths are relative to the root, with `/`, without a leading one. Every parent of a path is a directory
//! of the model; the root itself is no entry.

mod build;
mod change;
mod check;
mod strategy;

use std::collections::BTreeMap;

pub use self::{
    build::build,
    change::{Change, What, apply},
    check::check,
    strategy::{changes, tree},
};

/// A tree as data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeModel(pub BTreeMap<String, Node>);

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its type and content.
    pub content: NodeContent,
    /// Permission bits; of no meaning for a symlink, and those of the other name for a hard link.
    pub mode: u32,
    /// Extended attributes; `None` where the model does not say.
    pub xattrs: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Modification time in seconds and nanoseconds; `None` where the model does not say.
    pub mtime: Option<(i64, u32)>,
}

/// The type of a node and what only that type has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeContent {
    /// A regular file: a hole of so many bytes, then these bytes.
    File {
        /// Length of the hole at the start.
        hole: u64,
        /// The bytes after it.
        bytes: Vec<u8>,
    },
    /// Another name of the file at this path, which is a `File`.
    HardLink(String),
    /// A directory.
    Directory,
    /// A symbolic link and its text.
    Symlink(String),
}

impl TreeModel {
    /// The paths below `path`, without itself.
    pub fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a String> {
        let prefix = format!("{path}/");
        self.0.keys().filter(move |other| other.starts_with(&prefix))
    }
}

/// The path of the directory that holds `path`; `None` for the root.
fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

#[cfg(test)]
mod tests;
