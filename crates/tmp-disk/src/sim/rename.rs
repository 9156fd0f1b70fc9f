//! The rules of `rename(2)`.

use std::{ffi::OsStr, io};

use rustix::io::Errno;

use super::{
    inode::Body,
    log::{Change, Entries},
    state::State,
};
use crate::disk::Rename;

/// A name in a directory.
pub(super) type Name<'a> = (u64, &'a OsStr);

/// Renames, as one operation.
pub(super) fn rename(state: &mut State, from: Name<'_>, to: Name<'_>, how: Rename) -> io::Result<()> {
    if how == Rename::Exchange && !state.exchange {
        return Err(Errno::INVAL.into());
    }
    let moved = state.present(from.0, from.1)?;
    let replaced = state.find(to.0, to.1)?;
    match (how, replaced) {
        (Rename::NoReplace, Some(_)) => return Err(Errno::EXIST.into()),
        (Rename::Exchange, None) => return Err(Errno::NOENT.into()),
        _ => {}
    }
    if contains(state, moved, to.0)? {
        return Err(Errno::INVAL.into());
    }
    if let Some(replaced) = replaced {
        if contains(state, replaced, from.0)? {
            return Err(if how == Rename::Exchange { Errno::INVAL } else { Errno::NOTEMPTY }.into());
        }
        // Two names of one inode: nothing is to be done, says POSIX, and nothing is.
        if replaced == moved {
            return Ok(());
        }
        if how == Rename::Replace {
            replaceable(state, moved, replaced)?;
        }
    }
    let change = |(dir, name): Name<'_>, inode| Change { dir, name: name.to_owned(), inode };
    let left = replaced.filter(|_| how == Rename::Exchange);
    let changes = vec![change(from, left), change(to, Some(moved))];
    state.enter(changes, |_| ())
}

/// Whether what is replaced may be.
fn replaceable(state: &State, moved: u64, replaced: u64) -> io::Result<()> {
    match (&state.inode(moved)?.body, &state.inode(replaced)?.body) {
        (Body::Directory(_), Body::Directory(entries)) if entries.is_empty() => Ok(()),
        (Body::Directory(_), Body::Directory(_)) => Err(Errno::NOTEMPTY.into()),
        (Body::Directory(_), _) => Err(Errno::NOTDIR.into()),
        (_, Body::Directory(_)) => Err(Errno::ISDIR.into()),
        _ => Ok(()),
    }
}

/// Whether `inner` is `outer` or lies below it.
fn contains(state: &State, outer: u64, inner: u64) -> io::Result<bool> {
    let Body::Directory(entries) = &state.inode(outer)?.body else { return Ok(false) };
    let mut pending: Vec<&Entries> = vec![entries];
    if outer == inner {
        return Ok(true);
    }
    while let Some(entries) = pending.pop() {
        for inode in entries.values() {
            if *inode == inner {
                return Ok(true);
            }
            if let Body::Directory(entries) = &state.inode(*inode)?.body {
                pending.push(entries);
            }
        }
    }
    Ok(false)
}
