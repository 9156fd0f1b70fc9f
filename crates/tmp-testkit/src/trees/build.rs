//! Makes a tree of the model on a disk.

use std::{
    fs::{self, File, Permissions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use super::{Node, NodeContent, TreeModel};
use crate::{context::Context, walk};

/// Makes the tree below `root`, an existing and empty directory. Attributes are set last and deepest first,
/// so every time is as the model says.
///
/// # Errors
/// The file system refuses something; the text says what. What was made so far stays.
pub fn build(model: &TreeModel, root: &Path) -> io::Result<()> {
    for (path, node) in &model.0 {
        let at = root.join(path);
        match &node.content {
            NodeContent::Directory => fs::create_dir(&at),
            NodeContent::Symlink(target) => symlink(target, &at),
            NodeContent::File { hole, bytes } => write(&at, *hole, bytes),
            NodeContent::HardLink(_) => Ok(()),
        }
        .context("make", at.display())?;
    }
    for (path, node) in &model.0 {
        if let NodeContent::HardLink(other) = &node.content {
            fs::hard_link(root.join(other), root.join(path)).context("link", path)?;
        }
    }
    for (path, node) in model.0.iter().rev() {
        if !matches!(node.content, NodeContent::HardLink(_)) {
            set_attributes(&root.join(path), node).context("set the attributes of", path)?;
        }
    }
    Ok(())
}

fn write(path: &Path, hole: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.seek(SeekFrom::Start(hole))?;
    file.write_all(bytes)?;
    file.set_len(hole + bytes.len() as u64)
}

fn set_attributes(path: &Path, node: &Node) -> io::Result<()> {
    for (name, value) in node.xattrs.iter().flatten() {
        walk::set_xattr(path, name, value)?;
    }
    let is_link = matches!(node.content, NodeContent::Symlink(_));
    if !is_link {
        fs::set_permissions(path, Permissions::from_mode(node.mode))?;
    }
    let Some((seconds, nanoseconds)) = node.mtime else { return Ok(()) };
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
