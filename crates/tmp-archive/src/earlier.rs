//! The manifest of the snapshot before, for what is the same still.

use tmp_core::Digest;

use crate::{ArchiveError, Entry, EntryPath, Manifest, Objects, manifest, manifest_writer::Run};

/// A manifest whose runs of lines are known.
pub(crate) struct Earlier<'a> {
    objects: Objects<'a>,
    manifest: Manifest,
    /// Each run with its first line and its first piece.
    runs: Vec<(u32, u32, Run)>,
    /// The run that was read last, and where its lines begin.
    at_hand: Option<(usize, Vec<u8>, Vec<usize>)>,
}

impl<'a> Earlier<'a> {
    /// A manifest with its runs; `None` where they do not fit together.
    pub(crate) fn new(objects: Objects<'a>, manifest: Manifest, runs: &[Run]) -> Option<Self> {
        let (mut line, mut piece) = (0_u32, 0_u32);
        let mut known = Vec::with_capacity(runs.len());
        for run in runs {
            known.push((line, piece, *run));
            line = line.checked_add(run.lines)?;
            piece = piece.checked_add(run.pieces)?;
        }
        let fits = piece as usize == manifest.pieces.len();
        fits.then_some(Self { objects, manifest, runs: known, at_hand: None })
    }

    /// The run that begins with a line, and its pieces.
    pub(crate) fn run(&self, line: u32) -> Option<(Run, &[(Digest, u32)])> {
        let at = self.runs.binary_search_by_key(&line, |(first, ..)| *first).ok()?;
        let (_, _, run) = self.runs.get(at)?;
        Some((*run, self.pieces(at)))
    }

    fn pieces(&self, at: usize) -> &[(Digest, u32)] {
        let Some((_, piece, run)) = self.runs.get(at) else { return &[] };
        let pieces = self.manifest.pieces.get(*piece as usize..).unwrap_or_default();
        pieces.get(..run.pieces as usize).unwrap_or_default()
    }

    /// One line as it stands there, its end included.
    pub(crate) fn line(&mut self, line: u32) -> Result<&[u8], ArchiveError> {
        let wrong = || ArchiveError::damaged("the manifest before", "it has another number of lines");
        let at = self.runs.partition_point(|(first, ..)| *first <= line).checked_sub(1).ok_or_else(wrong)?;
        if self.at_hand.as_ref().is_none_or(|(run, ..)| *run != at) {
            let mut bytes = Vec::new();
            for (digest, _) in self.pieces(at) {
                bytes.extend_from_slice(&self.objects.object(digest)?);
            }
            let mut begins = vec![0];
            begins
                .extend(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(end, _)| end + 1));
            self.at_hand = Some((at, bytes, begins));
        }
        let (first, ..) = self.runs.get(at).ok_or_else(wrong)?;
        let number = (line - first) as usize;
        let found = self
            .at_hand
            .as_ref()
            .and_then(|(_, bytes, begins)| bytes.get(*begins.get(number)?..*begins.get(number + 1)?));
        found.ok_or_else(wrong)
    }

    /// The entry of a line.
    pub(crate) fn entry(&mut self, line: u32) -> Result<(EntryPath, Entry), ArchiveError> {
        let bytes = self.line(line)?;
        manifest::parse(bytes).map_err(|fault| ArchiveError::damaged("the manifest before", fault))
    }
}
