//! What is told about an inode.

use std::io;

use tmp_core::module::Kind;

use super::{content::PAGE, inode::Body, state::State};
use crate::disk::{Identity, Stat};

/// What is told about an inode.
pub(super) fn stat(state: &State, number: u64) -> io::Result<Stat> {
    let inode = state.inode(number)?;
    let (size, links) = match &inode.body {
        Body::File(content) => (content.size(), inode.names),
        Body::Symlink(target) => (target.len() as u64, inode.names),
        // Its name, its own `.`, and the `..` of each directory in it.
        Body::Directory(entries) => {
            let mut links = if inode.names == 0 { 0 } else { 2 };
            for number in entries.values() {
                links += u64::from(state.inode(*number)?.kind() == Kind::Directory);
            }
            (PAGE, links)
        }
    };
    Ok(Stat {
        kind: inode.kind(),
        identity: Identity { inode: number, born: Some(inode.born) },
        mode: inode.meta.mode,
        uid: inode.meta.uid,
        gid: inode.meta.gid,
        size,
        allocated: inode.pages() * PAGE,
        links,
        mtime: inode.meta.mtime,
        ctime: inode.meta.ctime,
        immutable: false,
        mount: 1,
        device: 1,
    })
}
