//! What a plan does to each module, as unified diffs of text.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use similar::TextDiff;
use tmp_core::{
    Digest, Mode, ModulePath,
    contents::Contents,
    module::{Content, Kind},
    plan::{Action, Operation},
};
use tmp_disk::{Tree, read_whole};

use super::bytes;
use crate::failure::Failure;

/// The longest module whose lines are compared, in bytes.
const LONGEST: u64 = 256 << 10;

/// One module that changes.
#[derive(Debug, Serialize)]
pub(crate) struct ModuleDiff {
    /// Which.
    pub(crate) path: ModulePath,
    /// In one line.
    pub(crate) summary: String,
    /// The lines that differ, where both sides are text.
    pub(crate) diff: Option<String>,
}

/// Compares what is there with what is to come, reading each new content once.
///
/// # Errors
/// The contents cannot be read. What cannot be read of the target is said in the summary.
pub(crate) fn diffs(
    tree: &Tree,
    operations: &[Operation],
    contents: &dyn Contents,
) -> Result<Vec<ModuleDiff>, Failure> {
    let new = texts(operations, contents)?;
    let mut found = Vec::new();
    for operation in operations {
        match &operation.action {
            Action::Put { staged } => {
                found.extend(
                    staged.iter().map(|module| put(tree, operation, &module.path, &module.content, &new)),
                );
            }
            Action::Remove => found.push(remove(tree, operation)),
            Action::SetMode { from, to } => found.push(ModuleDiff {
                path: operation.path.clone(),
                summary: format!("mode {from} -> {to}"),
                diff: None,
            }),
        }
    }
    Ok(found)
}

fn texts(operations: &[Operation], contents: &dyn Contents) -> Result<BTreeMap<Digest, Vec<u8>>, Failure> {
    let staged = operations.iter().filter_map(|operation| match &operation.action {
        Action::Put { staged } => Some(staged),
        Action::Remove | Action::SetMode { .. } => None,
    });
    let wanted: BTreeSet<_> = staged
        .flatten()
        .filter_map(|module| match &module.content {
            Content::File { digest, size, .. } if *size <= LONGEST => Some(*digest),
            _ => None,
        })
        .collect();
    let mut texts = BTreeMap::new();
    contents
        .visit(&wanted, &mut |digest, _, reader| {
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(reader, LONGEST), &mut content)?;
            texts.insert(*digest, content);
            Ok(())
        })
        .map_err(Failure::unexpected)?;
    Ok(texts)
}

/// What stands at a path now, as far as it can be shown.
enum Old {
    Nothing,
    Text(String),
    Link(String),
    Other(String),
}

fn old(tree: &Tree, path: &ModulePath) -> Old {
    let disk = tree.disk().as_ref();
    let Ok(Some(place)) = tree.locate(path) else { return Old::Nothing };
    match disk.stat(place.at()) {
        Ok(None) => Old::Nothing,
        Ok(Some(stat)) if stat.kind == Kind::File && stat.size <= LONGEST => {
            match read_whole(disk, place.at(), LONGEST).map(text) {
                Ok(Ok(text)) => Old::Text(text),
                Ok(Err(length)) => Old::Other(format!("binary, {}", bytes(length))),
                Err(error) => Old::Other(format!("unreadable: {error}")),
            }
        }
        Ok(Some(stat)) if stat.kind == Kind::Symlink => match disk.read_link(place.at()) {
            Ok(target) => Old::Link(String::from_utf8_lossy(&target).into_owned()),
            Err(error) => Old::Other(format!("unreadable: {error}")),
        },
        Ok(Some(stat)) if stat.kind == Kind::File => Old::Other(format!("a file of {}", bytes(stat.size))),
        Ok(Some(stat)) => Old::Other(stat.kind.to_string()),
        Err(error) => Old::Other(format!("unreadable: {error}")),
    }
}

fn text(content: Vec<u8>) -> Result<String, u64> {
    let length = content.len() as u64;
    if content.contains(&0) { Err(length) } else { String::from_utf8(content).map_err(|_| length) }
}

fn put(
    tree: &Tree,
    operation: &Operation,
    path: &ModulePath,
    content: &Content,
    new: &BTreeMap<Digest, Vec<u8>>,
) -> ModuleDiff {
    let old = if operation.replaces == Kind::Absent { Old::Nothing } else { old(tree, path) };
    let verb = if matches!(old, Old::Nothing) { "added" } else { "changed" };
    let (summary, diff) = match content {
        Content::Directory { mode } => (format!("{verb}: a directory, {mode}"), None),
        Content::Symlink { target } => {
            let before = match &old {
                Old::Link(before) => format!("symlink to {before} -> "),
                _ => String::new(),
            };
            (format!("{verb}: {before}symlink to {target}"), None)
        }
        Content::File { digest, size, mode } => {
            let fresh = new.get(digest).cloned().map(text);
            let lines = match (&old, fresh) {
                (Old::Nothing, Some(Ok(fresh))) => Some(unified(path, "", &fresh)),
                (Old::Text(before), Some(Ok(fresh))) => Some(unified(path, before, &fresh)),
                _ => None,
            };
            let was = match &old {
                Old::Link(target) => format!(", in place of a symlink to {target}"),
                Old::Other(what) => format!(", in place of {what}"),
                Old::Nothing | Old::Text(_) => String::new(),
            };
            let modes =
                if operation.replaces == Kind::File { modes(tree, path, *mode) } else { mode.to_string() };
            (format!("{verb}: a file of {}, {modes}{was}", bytes(*size)), lines)
        }
    };
    ModuleDiff { path: path.clone(), summary, diff }
}

/// The mode that a file gets, with the one of the file it replaces where that differs.
fn modes(tree: &Tree, path: &ModulePath, new: Mode) -> String {
    match tree.stat(path) {
        Ok(Some(old)) if old.mode != new => format!("mode {} -> {new}", old.mode),
        _ => new.to_string(),
    }
}

fn remove(tree: &Tree, operation: &Operation) -> ModuleDiff {
    let path = &operation.path;
    let (summary, diff) = match old(tree, path) {
        Old::Text(before) => ("removed: a file".to_owned(), Some(unified(path, &before, ""))),
        Old::Link(target) => (format!("removed: symlink to {target}"), None),
        Old::Other(what) => (format!("removed: {what}"), None),
        Old::Nothing => ("removed".to_owned(), None),
    };
    ModuleDiff { path: path.clone(), summary, diff }
}

fn unified(path: &ModulePath, before: &str, after: &str) -> String {
    let name = |text: &str, side: &str| {
        if text.is_empty() { "/dev/null".to_owned() } else { format!("{side}/{path}") }
    };
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(&name(before, "a"), &name(after, "b"))
        .to_string()
}
