//! What a snapshot says about one path.

use serde::{Deserialize, Serialize};
use tmp_core::{
    Digest,
    module::{Attributes, Kind},
};
use tmp_disk::Extent;

use crate::{PIECE, text};

/// What stood at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// Nothing.
    Absent,
    /// A regular file.
    File(FileEntry),
    /// A directory; what it held are entries of their own.
    Directory {
        /// Its attributes.
        attributes: Attributes,
    },
    /// A symlink.
    Symlink {
        /// The text of the link. JSON: text, or `hex:` and hexadecimal where it is not UTF-8.
        #[serde(with = "text")]
        target: Vec<u8>,
        /// Its attributes.
        attributes: Attributes,
    },
}

impl Entry {
    /// What it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Absent => Kind::Absent,
            Self::File(_) => Kind::File,
            Self::Directory { .. } => Kind::Directory,
            Self::Symlink { .. } => Kind::Symlink,
        }
    }

    /// Its attributes; nothing has none.
    pub const fn attributes(&self) -> Option<&Attributes> {
        match self {
            Self::Absent => None,
            Self::File(FileEntry { attributes, .. })
            | Self::Directory { attributes }
            | Self::Symlink { attributes, .. } => Some(attributes),
        }
    }
}

/// A regular file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its bytes.
    pub content: Content,
    /// The runs that were not holes, in order, where there were holes; `None` for a file without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extents: Option<Vec<Extent>>,
    /// Its attributes.
    pub attributes: Attributes,
    /// How many names it had, those outside the snapshot included.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub links: u64,
    /// Files with the same number were one file with several names. `None` for a file of one name,
    /// and where no other of its names is in the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_group: Option<u64>,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(links: &u64) -> bool {
    *links == 1
}

/// Bytes kept as objects of at most [`PIECE`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Digest of all the bytes.
    pub digest: Digest,
    /// How many.
    pub size: u64,
    /// The pieces in order, each [`PIECE`] bytes long but the last; `None` is a piece of zeros that
    /// is not stored. Left out where the content is one stored piece, whose digest is `digest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<Option<Digest>>,
}

impl Content {
    /// The content with these pieces, in its canonical form.
    pub(crate) fn new(digest: Digest, size: u64, pieces: Vec<Option<Digest>>) -> Self {
        let single = matches!(pieces.as_slice(), [Some(_)]);
        Self { digest, size, pieces: if single { Vec::new() } else { pieces } }
    }

    /// The pieces in order with their lengths in bytes.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Option<Digest>, usize)> + '_ {
        let single = self.pieces.is_empty() && self.size > 0;
        let pieces = single.then_some(Some(self.digest)).into_iter().chain(self.pieces.iter().copied());
        let lengths = (0..).map(|number: u64| {
            let begin = number.saturating_mul(PIECE as u64);
            usize::try_from(self.size.saturating_sub(begin)).unwrap_or(usize::MAX).min(PIECE)
        });
        pieces.zip(lengths)
    }

    /// What is wrong with it, if anything: the pieces do not make up the size.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let count = self.size.div_ceil(PIECE as u64);
        let fits = match self.pieces.as_slice() {
            [] => count <= 1,
            [Some(_)] => false,
            pieces => pieces.len() as u64 == count,
        };
        (!fits).then_some("its pieces do not make up its size")
    }
}
