//! What is left out of whole-system snapshots, and left alone when they are restored in place.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::ArchiveError;

/// Paths that match globs, each with everything below it. In a glob `*` stops at `/` and `**` does not.
#[derive(Debug, Clone, Default)]
pub struct Ignored {
    globs: Vec<String>,
    set: GlobSet,
}

impl Ignored {
    /// Paths that match any of these globs, relative to the root.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn new(globs: impl IntoIterator<Item = String>) -> Result<Self, ArchiveError> {
        let mut globs: Vec<_> = globs.into_iter().collect();
        globs.sort_unstable();
        globs.dedup();
        let mut builder = GlobSetBuilder::new();
        let bad = |error: globset::Error| ArchiveError::Glob { fault: error.to_string() };
        for glob in &globs {
            builder.add(GlobBuilder::new(glob).literal_separator(true).build().map_err(bad)?);
        }
        Ok(Self { set: builder.build().map_err(bad)?, globs })
    }

    /// The glob that matches this path alone.
    pub fn literally(path: &str) -> String {
        globset::escape(path)
    }

    /// The globs, sorted.
    pub fn globs(&self) -> &[String] {
        &self.globs
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    /// Whether a glob matches this path. What lies below one that does is not asked about.
    pub(crate) fn has(&self, path: &[u8]) -> bool {
        !self.is_empty() && self.set.is_match(Path::new(OsStr::from_bytes(path)))
    }
}
