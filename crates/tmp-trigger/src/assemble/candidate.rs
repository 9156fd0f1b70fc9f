//! What stands in a tree and may be packaged.

use std::io;

use crate::tree::{Digested, Found, Place, digests};

/// A file, directory or symlink that may become a module.
pub(super) struct Candidate {
    pub(super) place: Place,
    pub(super) found: Found,
    /// Of a file that has been read already.
    pub(super) digest: Option<io::Result<Digested>>,
}

impl Candidate {
    pub(super) fn new(place: Place, found: Found) -> Self {
        Self { place, found, digest: None }
    }
}

/// Reads the files among `candidates`, on every processor.
pub(super) fn read(candidates: &mut [Candidate]) {
    let is_file = |candidate: &Candidate| matches!(candidate.found, Found::File { .. });
    let files = candidates.iter().filter(|candidate| is_file(candidate));
    let digests = digests(&files.map(|candidate| &candidate.place).collect::<Vec<_>>());
    let files = candidates.iter_mut().filter(|candidate| is_file(candidate));
    for (candidate, digest) in files.zip(digests) {
        candidate.digest = Some(digest);
    }
}
