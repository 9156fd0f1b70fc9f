//! Writing a manifest: lines, cut where paths say so.
//!
//! A line whose path has a certain checksum begins a new piece. So what changes in one place of a tree
//! leaves the other pieces as they were, and a manifest that resembles an earlier one is stored in places.

use serde::Serialize;
use tmp_core::Digest;

use crate::{
    ArchiveError, Entry, EntryPath, Manifest,
    block::PIECE,
    shelf::{Press, Shelf},
};

/// One line in so many, on average, begins a piece: of about 40 KiB.
const LINES: u32 = 128;

/// Whether the line of this path begins a piece.
pub(crate) fn begins_piece(path: &[u8]) -> bool {
    crc32c::crc32c(path).is_multiple_of(LINES)
}

/// Whole lines, and how many pieces they take: more than one where a line is longer than a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) pieces: u32,
    pub(crate) lines: u32,
}

/// Writes a manifest as it goes; at most one piece of it, or one line, is in memory.
#[derive(Debug, Default)]
pub(crate) struct ManifestWriter {
    buffer: Vec<u8>,
    lines: u32,
    manifest: Manifest,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Line<'a> {
    path: &'a EntryPath,
    entry: &'a Entry,
}

impl ManifestWriter {
    /// Adds an entry.
    pub(crate) fn push(
        &mut self,
        path: &EntryPath,
        entry: &Entry,
        press: &mut Press<'_>,
        shelf: &mut Shelf,
    ) -> Result<(), ArchiveError> {
        let mut line = serde_json::to_vec(&Line { path, entry })
            .map_err(|error| ArchiveError::store("write", "the manifest")(error.into()))?;
        line.push(b'\n');
        self.push_line(&line, begins_piece(path.as_bytes()), press, shelf)
    }

    /// Adds a line as it is; `begins` says whether it begins a piece.
    pub(crate) fn push_line(
        &mut self,
        line: &[u8],
        begins: bool,
        press: &mut Press<'_>,
        shelf: &mut Shelf,
    ) -> Result<(), ArchiveError> {
        if begins || self.buffer.len() + line.len() > PIECE {
            self.end_run(press, shelf)?;
        }
        self.buffer.extend_from_slice(line);
        self.lines += 1;
        Ok(())
    }

    /// Whether the next line begins a run.
    pub(crate) fn is_between_runs(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Adds a run of lines that another manifest has in these pieces.
    pub(crate) fn reuse(&mut self, run: Run, pieces: &[(Digest, u32)]) {
        self.manifest.pieces.extend_from_slice(pieces);
        self.manifest.size += pieces.iter().map(|(_, length)| u64::from(*length)).sum::<u64>();
        self.runs.push(run);
    }

    pub(crate) fn finish(
        mut self,
        press: &mut Press<'_>,
        shelf: &mut Shelf,
    ) -> Result<(Manifest, Vec<Run>), ArchiveError> {
        self.end_run(press, shelf)?;
        Ok((self.manifest, self.runs))
    }

    /// Ends a run: the next line begins a piece.
    pub(crate) fn end_run(&mut self, press: &mut Press<'_>, shelf: &mut Shelf) -> Result<(), ArchiveError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let before = self.manifest.pieces.len();
        for piece in self.buffer.chunks(PIECE) {
            let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            self.manifest.pieces.push((shelf.alone(press, piece)?, length));
            self.manifest.size += u64::from(length);
        }
        let pieces = u32::try_from(self.manifest.pieces.len() - before).unwrap_or(u32::MAX);
        self.runs.push(Run { pieces, lines: std::mem::take(&mut self.lines) });
        self.buffer.clear();
        Ok(())
    }
}
