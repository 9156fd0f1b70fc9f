//! One entry of a tree, as git records it.

use std::borrow::Cow;

/// An entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: EntryKind,
    /// The id of the object, in hexadecimal digits.
    pub(crate) id: Box<str>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A file, and whether it may be run: all that git knows of a mode.
    File {
        /// Whether it may be run.
        executable: bool,
    },
    /// A symlink.
    Symlink,
    /// A directory.
    Directory,
    /// A commit of another repository.
    Submodule,
}

impl Entry {
    /// An entry by its mode and id; `None` where nothing stands.
    pub(super) fn read(mode: &str, id: &str) -> Result<Option<Self>, String> {
        let bits = u32::from_str_radix(mode, 8).map_err(|_| format!("{mode:?} is not a mode"))?;
        let kind = match bits & 0o170_000 {
            0 if bits == 0 => return Ok(None),
            0o040_000 => EntryKind::Directory,
            0o100_000 => EntryKind::File { executable: bits & 0o100 != 0 },
            0o120_000 => EntryKind::Symlink,
            0o160_000 => EntryKind::Submodule,
            _ => return Err(format!("{mode} is a mode that is not known")),
        };
        if !super::repository::is_id(id) {
            return Err(format!("{id:?} is not the id of an object"));
        }
        Ok(Some(Self { kind, id: id.into() }))
    }
}

/// A name for people, on one line: one that is not UTF-8 or has control characters is escaped.
pub(crate) fn shown(name: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(name) {
        Ok(text) if !text.contains(char::is_control) => Cow::Borrowed(text),
        _ => Cow::Owned(format!("\"{}\"", name.escape_ascii())),
    }
}
