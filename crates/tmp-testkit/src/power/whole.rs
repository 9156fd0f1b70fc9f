//! What every path holds before anything is recovered.

use std::{collections::BTreeSet, io};

use crate::{
    matrix::{Reference, Scene},
    walk::{self, Content, TreeFingerprint},
};

/// One line for each path of the tree that holds neither the whole content it had before nor the whole content it has
/// after. Where it is to be absent before or after, it may be absent.
pub(super) fn torn(scene: &Scene, reference: &Reference) -> io::Result<Vec<String>> {
    let seen = walk::fingerprint(&scene.root())?;
    let (before, after) = (&reference.before.tree, &reference.after.tree);
    let paths: BTreeSet<_> =
        [&seen, before, after].into_iter().flat_map(|tree| tree.entries.keys()).collect();
    let torn = paths.into_iter().filter(|path| {
        let content = content(&seen, path);
        content != self::content(before, path) && content != self::content(after, path)
    });
    Ok(torn
        .map(|path| format!("before recovery: {}: {:?}", String::from_utf8_lossy(path), content(&seen, path)))
        .collect())
}

/// What stands at a path; where its bytes lie on the disk does not matter.
fn content(tree: &TreeFingerprint, path: &[u8]) -> Option<Content> {
    tree.entries.get(path).map(|entry| match &entry.content {
        Content::File { size, sha256, .. } => {
            Content::File { size: *size, sha256: *sha256, data: Vec::new() }
        }
        other => other.clone(),
    })
}
