//! Paths of entries: like a module's path, but of bytes.

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt as _};

use serde::{Deserialize, Serialize};
use tmp_core::ModulePath;

use crate::text;

/// Where an entry of a snapshot stands below the root. Any name that Linux allows fits, because what
/// lies below an archived directory was named by others. Ordered by component, so that a directory
/// comes directly before what it holds. The empty path is the root itself.
///
/// JSON: the text, or `hex:` and hexadecimal where it is not UTF-8. Shown to people with control characters
/// and what is not UTF-8 escaped.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct EntryPath(Box<[u8]>);

/// Bytes are not the path of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not the path of an entry: a component is empty, '.', '..', above 255 bytes or has a NUL"
)]
pub struct EntryPathError {
    /// The path.
    pub text: String,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Bytes(#[serde(with = "text")] Vec<u8>);

impl EntryPath {
    /// The root itself.
    pub fn root() -> Self {
        Self(Box::default())
    }

    /// The path with these bytes.
    ///
    /// # Errors
    /// A component is empty, `.`, `..`, longer than 255 bytes or has a NUL.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, EntryPathError> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.split(|byte| *byte == b'/').all(is_name) {
            Ok(Self(bytes.into()))
        } else {
            Err(EntryPathError { text: text::encode(&bytes).chars().take(120).collect() })
        }
    }

    /// The bytes, separated by `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &OsStr {
        OsStr::from_bytes(self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default())
    }

    /// The directory that holds this; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(self.0.get(..end).unwrap_or_default().into()))
    }

    /// The path of `name` in this directory.
    ///
    /// # Errors
    /// `name` is not one component.
    pub fn join(&self, name: &OsStr) -> Result<Self, EntryPathError> {
        if !is_name(name.as_bytes()) {
            return Err(EntryPathError { text: text::encode(name.as_bytes()) });
        }
        let separator: &[u8] = if self.0.is_empty() { b"" } else { b"/" };
        Ok(Self([&*self.0, separator, name.as_bytes()].concat().into()))
    }

    /// The components in order; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
    }

    /// Whether `other` is directly in this directory.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        let begin = if self.0.is_empty() { 0 } else { self.0.len() + 1 };
        let name = other.0.get(begin..).unwrap_or_default();
        !name.is_empty() && !name.contains(&b'/') && other.is_within(self)
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(&*other.0);
        rest.is_some_and(|rest| other.0.is_empty() || rest.is_empty() || rest.first() == Some(&b'/'))
    }
}

fn is_name(component: &[u8]) -> bool {
    !matches!(component, b"" | b"." | b"..")
        && component.len() <= 255
        && !component.iter().any(|byte| matches!(byte, 0 | b'/'))
}

impl Ord for EntryPath {
    /// A separator sorts before every byte of a name, so this is the order of components.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        match self.0.iter().zip(&other.0).find(|(one, two)| one != two) {
            Some((one, two)) => rank(one).cmp(&rank(two)),
            None => self.0.len().cmp(&other.0.len()),
        }
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl From<&ModulePath> for EntryPath {
    fn from(path: &ModulePath) -> Self {
        Self(path.as_str().as_bytes().into())
    }
}

impl TryFrom<Bytes> for EntryPath {
    type Error = EntryPathError;

    fn try_from(bytes: Bytes) -> Result<Self, EntryPathError> {
        Self::from_bytes(bytes.0)
    }
}

impl From<EntryPath> for Bytes {
    fn from(path: EntryPath) -> Self {
        Self(path.0.into())
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            b"" => f.write_str("the root"),
            bytes => bytes.utf8_chunks().try_for_each(|chunk| {
                for letter in chunk.valid().chars() {
                    if letter.is_control() {
                        write!(f, "{}", letter.escape_default())?;
                    } else {
                        write!(f, "{letter}")?;
                    }
                }
                write!(f, "{}", chunk.invalid().escape_ascii())
            }),
        }
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&text::encode(&self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(bytes: &[u8]) -> EntryPath {
        EntryPath::from_bytes(bytes).unwrap()
    }

    #[test]
    fn takes_any_name_that_linux_takes_and_no_way_out() {
        for good in [&b""[..], b"a", b"a/b\\c", b"\xff/\n", b"..a/.b"] {
            assert!(EntryPath::from_bytes(good).is_ok(), "{good:?}");
        }
        for bad in [&b"/"[..], b"/a", b"a/", b"a//b", b".", b"a/..", b"a\0", &[b'a'; 256]] {
            assert!(EntryPath::from_bytes(bad).is_err(), "{bad:?}");
        }
        assert!(path(b"a").join(OsStr::new("b/c")).is_err());
        assert!(path(b"a").join(OsStr::new("..")).is_err());
    }

    #[test]
    fn a_directory_sorts_directly_before_what_it_holds() {
        let mut paths = [&b"a.b"[..], b"a/c", b"a", b"", b"a-b", b"a/b/c"].map(path);
        paths.sort();
        assert_eq!(paths, [&b""[..], b"a", b"a/b/c", b"a/c", b"a-b", b"a.b"].map(path));
    }

    proptest::proptest! {
        #[test]
        fn sorts_as_its_components_do(one in "[a/.-]{0,6}", two in "[a/.-]{0,6}") {
            if let (Ok(one), Ok(two)) = (EntryPath::from_bytes(one), EntryPath::from_bytes(two)) {
                proptest::prop_assert_eq!(one.cmp(&two), one.components().cmp(two.components()));
            }
        }
    }

    #[test]
    fn knows_parent_and_name() {
        assert_eq!(path(b"a/b").parent(), Some(path(b"a")));
        assert_eq!(path(b"a").parent(), Some(EntryPath::root()));
        assert_eq!(EntryPath::root().parent(), None);
        assert_eq!(path(b"a/b").name(), OsStr::new("b"));
        assert_eq!(EntryPath::root().join(OsStr::new("a")).unwrap(), path(b"a"));
        assert!(path(b"a/b").is_within(&path(b"a")) && path(b"a").is_within(&EntryPath::root()));
        assert!(!path(b"ab").is_within(&path(b"a")));
        assert!(path(b"a").holds(&path(b"a/b")) && EntryPath::root().holds(&path(b"a")));
        for other in [&b"a"[..], b"a/b/c", b"ab", b"", b"b"] {
            assert!(!path(b"a").holds(&path(other)), "{other:?}");
        }
        assert_eq!(path(b"\xffb\x1b\xc3\xbc").to_string(), "\\xffb\\u{1b}ü");
    }
}
