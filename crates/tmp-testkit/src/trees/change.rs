//! What an enhancement does to modules, and what it leads to.

use super::{Node, NodeContent, TreeModel, parent};

/// What is done at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: String,
    /// What.
    pub what: What,
}

/// What is done at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It becomes a file, whatever it was.
    PutFile {
        /// The bytes.
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// It becomes a directory, whatever it was; one that is there keeps what it holds.
    PutDirectory {
        /// Permission bits.
        mode: u32,
    },
    /// It becomes a symlink, whatever it was.
    PutSymlink {
        /// The text of the link.
        target: String,
    },
    /// It goes, with everything below it.
    Remove,
}

/// What a tree is after the changes. Where a change was made, and in the directories around it, times are
/// unknown; a put node's extended attributes are unknown too, because some come from what was there.
#[must_use = "the model itself stays as it is"]
pub fn apply(model: &TreeModel, changes: &[Change]) -> TreeModel {
    let mut after = model.clone();
    for change in changes {
        one(&mut after, change);
    }
    let mut made: Vec<(&String, u32)> =
        changes.iter().filter_map(|change| new_directory(model, change)).collect();
    made.sort_unstable();
    for (path, mode) in made {
        inherit(&mut after, path, mode);
    }
    after
}

/// A directory that a change makes, and its mode.
fn new_directory<'a>(model: &TreeModel, change: &'a Change) -> Option<(&'a String, u32)> {
    let was = model.0.get(&change.path).is_some_and(|node| node.content == NodeContent::Directory);
    match change.what {
        What::PutDirectory { mode } if !was => Some((&change.path, mode)),
        _ => None,
    }
}

/// As on every Unix, a directory made in a set-group-id directory is one too; here it is the mode in the end that
/// counts, because changes are made as one.
fn inherit(model: &mut TreeModel, path: &str, mode: u32) {
    let above = parent(path).and_then(|parent| model.0.get(parent)).map_or(0, |above| above.mode & 0o2000);
    if let Some(node) = model.0.get_mut(path).filter(|node| node.content == NodeContent::Directory) {
        node.mode = mode | above;
    }
}

fn one(model: &mut TreeModel, change: &Change) {
    let path = &change.path;
    let (content, mode) = match &change.what {
        What::Remove => {
            remove(model, path);
            return forget_parent(model, path);
        }
        What::PutFile { bytes, mode } => (NodeContent::File { hole: 0, bytes: bytes.clone() }, *mode),
        What::PutSymlink { target } => (NodeContent::Symlink(target.clone()), 0o777),
        What::PutDirectory { mode } => (NodeContent::Directory, *mode),
    };
    if let Some(there) = model.0.get_mut(path)
        && there.content == NodeContent::Directory
        && content == NodeContent::Directory
    {
        there.mode = mode;
        there.mtime = None;
        return;
    }
    if holds(model, path, &content, mode) {
        return;
    }
    remove(model, path);
    model.0.insert(path.clone(), Node { content, mode, xattrs: None, mtime: None });
    forget_parent(model, path);
}

/// Whether a file is there already, with this content and mode: then it stays, with all its other names.
fn holds(model: &TreeModel, path: &str, content: &NodeContent, mode: u32) -> bool {
    let there = match model.0.get(path) {
        Some(Node { content: NodeContent::HardLink(first), .. }) => model.0.get(first),
        there => there,
    };
    matches!(content, NodeContent::File { .. })
        && there.is_some_and(|there| there.content == *content && there.mode == mode)
}

fn forget_parent(model: &mut TreeModel, path: &str) {
    if let Some(node) = parent(path).and_then(|parent| model.0.get_mut(parent)) {
        node.mtime = None;
    }
}

/// Takes a path and everything below it out; a file that has names elsewhere lives on under the first.
fn remove(model: &mut TreeModel, path: &str) {
    let below: Vec<_> = model.below(path).cloned().collect();
    let gone: Vec<_> = below.into_iter().chain([path.to_owned()]).collect();
    for path in &gone {
        let Some(node) = model.0.remove(path) else { continue };
        let mut heir: Option<String> = None;
        for (name, other) in &mut model.0 {
            if other.content != NodeContent::HardLink(path.clone()) || gone.contains(name) {
                continue;
            }
            if let Some(heir) = &heir {
                other.content = NodeContent::HardLink(heir.clone());
            } else {
                other.clone_from(&node);
                heir = Some(name.clone());
            }
        }
    }
}
