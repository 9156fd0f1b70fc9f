//! Paths of program modules: relative, below a root, and unable to leave it.

use std::{collections::HashMap, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// The name reserved for TMP's work directory where it must lie inside a root.
pub const RESERVED: &str = ".tmp-work";

/// The longest path, in bytes: Linux's `PATH_MAX` with room for the root before it.
pub const LONGEST: usize = 2048;

/// The path of a module below the root of its system: `bin/fee`, `lib/late/fee.py`.
///
/// Refused rather than repaired: empty, absolute, `.` and `..`, empty components (a doubled or
/// trailing slash), backslashes, control characters, a drive letter, a component above 255 bytes,
/// a whole above [`LONGEST`], and anything at or below [`RESERVED`]. Ordered by component, so that
/// a directory comes directly before what it holds.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModulePath(String);

/// Why a text is not a module's path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a module's path: {fault}")]
pub struct PathError {
    /// The text, shortened.
    pub text: String,
    /// The rule it breaks.
    pub fault: PathFault,
}

/// The rule of module paths that a text breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Begins at the root of the file system or of a drive.
    #[error("it is absolute; paths are relative to the root of the system")]
    Absolute,
    /// Has a `.` or `..` component.
    #[error("it has a '.' or '..' component")]
    Dots,
    /// Has an empty component.
    #[error("it has an empty component (a doubled or trailing slash)")]
    EmptyComponent,
    /// Has a backslash.
    #[error("it has a backslash; components are separated by '/'")]
    Backslash,
    /// Has a control character.
    #[error("it has a control character")]
    Control,
    /// A component or the whole is too long.
    #[error("it is too long (255 bytes a component, 2048 in all)")]
    TooLong,
    /// Lies in the work directory of TMP.
    #[error("'.tmp-work' is reserved")]
    Reserved,
}

impl ModulePath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }

    /// The directory that holds this module; `None` where that is the root itself.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The directories above this module, nearest first, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The components in order.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether this module lies below `directory` (a path does not lie below itself).
    pub fn is_below(&self, directory: &Self) -> bool {
        self.0.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The part of this path below `directory`, if it lies there.
    pub fn below(&self, directory: &Self) -> Option<&str> {
        self.0.strip_prefix(directory.as_str())?.strip_prefix('/')
    }

    /// The path of `name` in this directory.
    ///
    /// # Errors
    /// `name` is not a path, or the two are too long together.
    pub fn join(&self, name: &str) -> Result<Self, PathError> {
        format!("{}/{name}", self.0).parse()
    }

    /// What this path is on a file system that knows neither case nor Unicode composition. Two
    /// modules with one key would be one module there.
    pub fn twin_key(&self) -> String {
        if self.0.is_ascii() {
            return self.0.to_ascii_lowercase();
        }
        self.0.nfkc().flat_map(char::to_lowercase).nfkc().collect()
    }
}

/// The pairs among `paths` that differ only in case or Unicode composition, or not at all.
pub fn twins<'a>(paths: impl IntoIterator<Item = &'a ModulePath>) -> Vec<(&'a ModulePath, &'a ModulePath)> {
    let mut seen: HashMap<String, &ModulePath> = HashMap::new();
    let mut pairs = Vec::new();
    for path in paths {
        if let Some(first) = seen.get(&path.twin_key()) {
            pairs.push((*first, path));
        } else {
            seen.insert(path.twin_key(), path);
        }
    }
    pairs
}

fn fault(text: &str) -> Option<PathFault> {
    let bytes = text.as_bytes();
    if text.is_empty() {
        return Some(PathFault::Empty);
    }
    let drive = matches!(bytes, [letter, b':', ..] if letter.is_ascii_alphabetic());
    if text.starts_with('/') || drive {
        return Some(PathFault::Absolute);
    }
    let (mut long, mut dots, mut empty) = (text.len() > LONGEST, false, false);
    for component in bytes.split(|byte| *byte == b'/') {
        long |= component.len() > 255;
        dots |= matches!(component, b"." | b"..");
        empty |= component.is_empty();
    }
    if long {
        return Some(PathFault::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Some(PathFault::Control);
    }
    if text.contains('\\') {
        return Some(PathFault::Backslash);
    }
    if dots {
        return Some(PathFault::Dots);
    }
    if empty {
        return Some(PathFault::EmptyComponent);
    }
    let first = text.split('/').next().unwrap_or_default();
    first.eq_ignore_ascii_case(RESERVED).then_some(PathFault::Reserved)
}

impl FromStr for ModulePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(PathError { text: text.chars().take(120).collect(), fault }),
        }
    }
}

impl TryFrom<String> for ModulePath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<ModulePath> for String {
    fn from(path: ModulePath) -> Self {
        path.0
    }
}

impl Ord for ModulePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // By components, whose separator comes before every other byte: a path holds no control characters.
        let key = |byte: u8| if byte == b'/' { 0 } else { byte };
        self.0.bytes().map(key).cmp(other.0.bytes().map(key))
    }
}

impl PartialOrd for ModulePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl JsonSchema for ModulePath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ModulePath".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST,
            "description": "A path below the root of the system: relative, separated by '/', without '.' or '..'."
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> ModulePath {
        text.parse().unwrap()
    }

    #[test]
    fn refuses_every_way_out_of_the_root() {
        let cases = [
            ("", PathFault::Empty),
            ("/etc/passwd", PathFault::Absolute),
            ("C:/x", PathFault::Absolute),
            ("..", PathFault::Dots),
            ("a/../b", PathFault::Dots),
            ("./a", PathFault::Dots),
            ("a//b", PathFault::EmptyComponent),
            ("a/", PathFault::EmptyComponent),
            ("a\\b", PathFault::Backslash),
            ("a\0b", PathFault::Control),
            ("a\nb", PathFault::Control),
            (".tmp-work", PathFault::Reserved),
            (".tmp-work/x", PathFault::Reserved),
            (".TMP-work/x", PathFault::Reserved),
        ];
        for (text, fault) in cases {
            assert_eq!(text.parse::<ModulePath>().unwrap_err().fault, fault, "{text:?}");
        }
        assert_eq!("a".repeat(256).parse::<ModulePath>().unwrap_err().fault, PathFault::TooLong);
    }

    #[test]
    fn a_directory_sorts_directly_before_what_it_holds() {
        let mut paths = ["a.b", "a/c", "a", "a-b", "a/b/c"].map(path);
        paths.sort();
        assert_eq!(paths.map(|p| p.to_string()), ["a", "a/b/c", "a/c", "a-b", "a.b"]);
    }

    #[test]
    fn knows_what_lies_below() {
        assert!(path("a/b").is_below(&path("a")));
        assert!(!path("ab").is_below(&path("a")));
        assert!(!path("a").is_below(&path("a")));
        assert_eq!(path("a/b/c").below(&path("a")), Some("b/c"));
        assert_eq!(path("a/b/c").ancestors().collect::<Vec<_>>(), [path("a/b"), path("a")]);
    }

    #[test]
    fn finds_twins_of_case_and_composition() {
        let paths = ["Readme", "caf\u{e9}", "x", "README", "cafe\u{301}"].map(path);
        let found = twins(&paths);
        assert_eq!(found, [(&paths[0], &paths[3]), (&paths[1], &paths[4])]);
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_components(one in "[a./\\-é]{1,8}", other in "[a./\\-é]{1,8}") {
            if let (Ok(one), Ok(other)) = (one.parse::<ModulePath>(), other.parse::<ModulePath>()) {
                prop_assert_eq!(one.cmp(&other), one.components().cmp(other.components()));
            }
        }

        #[test]
        fn whatever_is_accepted_stays_below_its_root(text in "[a./\\\\ :~\\-]{0,12}") {
            if let Ok(path) = text.parse::<ModulePath>() {
                let joined = std::path::Path::new("/root").join(path.as_str());
                prop_assert!(joined.components().all(|c| !matches!(c, std::path::Component::ParentDir)));
                prop_assert!(joined.starts_with("/root"));
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
