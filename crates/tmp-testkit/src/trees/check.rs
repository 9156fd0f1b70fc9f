//! Compares a tree on a disk with what the model says it is.

use std::{collections::BTreeMap, io, path::Path};

use sha2::{Digest as _, Sha256};

use super::{Node, NodeContent, TreeModel};
use crate::walk::{self, Content, Entry};

/// Compares the tree below `root` with the model: type, bytes, mode, link texts, hard-link groups, and times
/// and extended attributes where the model says them. One line for each difference; empty when there is none.
///
/// # Errors
/// The tree cannot be read.
pub fn check(model: &TreeModel, root: &Path) -> io::Result<Vec<String>> {
    let seen = walk::fingerprint(root)?.entries;
    let mut lines = Vec::new();
    for path in seen.keys().filter(|path| !path.is_empty()) {
        let name = String::from_utf8_lossy(path);
        if !model.0.contains_key(&*name) {
            lines.push(format!("/{name}: must not be there"));
        }
    }
    let groups = groups(model);
    for (path, node) in &model.0 {
        let Some(entry) = seen.get(path.as_bytes()) else {
            lines.push(format!("/{path}: is missing"));
            continue;
        };
        let file = match &node.content {
            NodeContent::HardLink(other) => model.0.get(other).unwrap_or(node),
            _ => node,
        };
        lines.extend(different(file, entry).into_iter().map(|what| format!("/{path}: {what}")));
        let first = groups.get(path.as_str()).filter(|first| **first != path).map(|first| first.as_bytes());
        if entry.same_as.as_deref() != first {
            lines.push(format!("/{path}: is not in the group of hard links it must be in"));
        }
    }
    Ok(lines)
}

/// The first name of each file that has several, by each of its names.
fn groups(model: &TreeModel) -> BTreeMap<&str, &str> {
    let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, node) in &model.0 {
        if let NodeContent::HardLink(other) = &node.content {
            members.entry(other).or_insert_with(|| vec![other]).push(path);
        }
    }
    let mut groups = BTreeMap::new();
    for names in members.values() {
        if let Some(first) = names.iter().min() {
            groups.extend(names.iter().map(|name| (*name, *first)));
        }
    }
    groups
}

fn different(node: &Node, entry: &Entry) -> Vec<&'static str> {
    let mut lines = Vec::new();
    let same = match (&node.content, &entry.content) {
        (NodeContent::Directory, Content::Directory) => true,
        (NodeContent::Symlink(target), Content::Symlink(seen)) => target.as_bytes() == seen,
        (NodeContent::File { hole, bytes }, Content::File { size, sha256, .. }) => {
            *size == hole + bytes.len() as u64 && *sha256 == digest(*hole, bytes)
        }
        _ => false,
    };
    if !same {
        lines.push("has another type or content");
    }
    if entry.mode != node.mode && !matches!(node.content, NodeContent::Symlink(_)) {
        lines.push("has another mode");
    }
    if node.xattrs.as_ref().is_some_and(|xattrs| *xattrs != entry.xattrs) {
        lines.push("has other extended attributes");
    }
    if let Some((seconds, nanoseconds)) = node.mtime
        && entry.mtime != Some((seconds, nanoseconds.into()))
    {
        lines.push("has another modification time");
    }
    lines
}

fn digest(hole: u64, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let zeros = vec![0; usize::try_from(hole).unwrap_or(usize::MAX)];
    hasher.update(&zeros);
    hasher.update(bytes);
    hasher.finalize().into()
}
