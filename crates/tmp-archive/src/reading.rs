//! Reading one file piece by piece, and noticing when it changes meanwhile.

use std::collections::BTreeMap;

use tmp_core::{Digest, digest::Hasher};
use tmp_disk::{At, Disk, Extent, OpenFile, Stat};

use crate::{ArchiveError, Content, EntryPath, object::PIECE, produce::Shelf, walk::same};

/// What reading extended attributes is called in errors.
pub(crate) const XATTRS: &str = "read the extended attributes of";

/// A file of which some pieces were read.
pub(crate) struct Reading {
    path: EntryPath,
    stat: Stat,
    file: OpenFile,
    extents: Option<Vec<Extent>>,
    offset: u64,
    hasher: Hasher,
    pieces: Vec<Option<Digest>>,
    buffer: Vec<u8>,
    retried: bool,
}

/// A file that was read whole, and did not change meanwhile.
pub(crate) struct ReadFile {
    pub(crate) stat: Stat,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) content: Content,
    pub(crate) extents: Option<Vec<Extent>>,
}

impl Reading {
    pub(crate) fn open(disk: &dyn Disk, at: At<'_>, path: EntryPath) -> Result<Self, ArchiveError> {
        let stat = look(disk, at, &path)?;
        let file = disk.open_file(at).map_err(ArchiveError::disk("open", &path))?;
        let extents =
            disk.extents(&file, stat.size).map_err(ArchiveError::disk("find the holes of", &path))?;
        Ok(Self {
            path,
            stat,
            file,
            extents: holes(extents, stat.size),
            offset: 0,
            hasher: Hasher::new(),
            pieces: Vec::new(),
            buffer: Vec::new(),
            retried: false,
        })
    }

    /// How many bytes were read so far, holes included.
    pub(crate) fn bytes(&self) -> u64 {
        self.offset
    }

    /// Reads the next piece; the file once there are no more. One that changed is begun again, once.
    pub(crate) fn advance(
        &mut self,
        disk: &dyn Disk,
        at: At<'_>,
        shelf: &mut Shelf<'_>,
    ) -> Result<Option<ReadFile>, ArchiveError> {
        let rest = self.stat.size.saturating_sub(self.offset);
        if rest == 0 {
            return self.end(disk, at);
        }
        let length = usize::try_from(rest).unwrap_or(usize::MAX).min(PIECE);
        self.buffer.clear();
        self.buffer.resize(length, 0);
        let piece = if self.is_hole(length as u64) {
            None
        } else if self.fill(disk)? {
            Some(shelf.put(&self.buffer)?)
        } else {
            return self.again(disk, at);
        };
        if self.is_long() || piece.is_none() {
            self.hasher.update(&self.buffer);
        }
        self.pieces.push(piece);
        self.offset += length as u64;
        Ok(None)
    }

    fn is_long(&self) -> bool {
        self.stat.size > PIECE as u64
    }

    fn is_hole(&self, length: u64) -> bool {
        let end = self.offset + length;
        self.extents.as_ref().is_some_and(|extents| {
            extents.iter().all(|extent| extent.offset >= end || extent.offset + extent.length <= self.offset)
        })
    }

    /// Fills the buffer; `false` where the file is shorter than it was.
    fn fill(&mut self, disk: &dyn Disk) -> Result<bool, ArchiveError> {
        let mut offset = self.offset;
        let mut rest = self.buffer.as_mut_slice();
        while !rest.is_empty() {
            let read =
                disk.read_at(&self.file, offset, rest).map_err(ArchiveError::disk("read", &self.path))?;
            if read == 0 {
                return Ok(false);
            }
            offset += read as u64;
            rest = rest.get_mut(read..).unwrap_or_default();
        }
        Ok(true)
    }

    fn end(&mut self, disk: &dyn Disk, at: At<'_>) -> Result<Option<ReadFile>, ArchiveError> {
        let xattrs = disk.xattrs(at).map_err(ArchiveError::disk(XATTRS, &self.path))?;
        let after = look(disk, at, &self.path)?;
        if !same(&self.stat, &after) {
            return self.again(disk, at);
        }
        let pieces = std::mem::take(&mut self.pieces);
        let digest = match pieces.as_slice() {
            [Some(digest)] => *digest,
            _ => std::mem::take(&mut self.hasher).finish(),
        };
        Ok(Some(ReadFile {
            stat: after,
            xattrs,
            content: Content::new(digest, after.size, pieces),
            extents: self.extents.take(),
        }))
    }

    fn again(&mut self, disk: &dyn Disk, at: At<'_>) -> Result<Option<ReadFile>, ArchiveError> {
        if self.retried {
            return Err(ArchiveError::Changed { path: self.path.clone() });
        }
        *self = Self { retried: true, ..Self::open(disk, at, self.path.clone())? };
        Ok(None)
    }
}

fn look(disk: &dyn Disk, at: At<'_>, path: &EntryPath) -> Result<Stat, ArchiveError> {
    let stat = disk.stat(at).map_err(ArchiveError::disk("look at", path))?;
    stat.ok_or_else(|| ArchiveError::Changed { path: path.clone() })
}

/// The runs of a file that are not holes, runs that touch taken together; `None` where there is no hole.
pub(crate) fn holes(extents: Vec<Extent>, size: u64) -> Option<Vec<Extent>> {
    let mut runs: Vec<Extent> = Vec::new();
    for extent in extents {
        match runs.last_mut() {
            Some(last) if last.offset + last.length == extent.offset => last.length += extent.length,
            _ => runs.push(extent),
        }
    }
    let covered: u64 = runs.iter().map(|run| run.length).sum();
    (covered < size).then_some(runs)
}

/// The parts of the `length` bytes at `offset` that are no holes: where each begins in the file, and its
/// range in those bytes.
pub(crate) fn runs(
    extents: Option<&[Extent]>,
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let all = extents.is_none().then_some(Extent { offset, length: length as u64 });
    all.into_iter().chain(extents.unwrap_or_default().iter().copied()).filter_map(move |extent| {
        let begin = extent.offset.max(offset);
        let end = extent.offset.saturating_add(extent.length).min(offset.saturating_add(length as u64));
        let from = usize::try_from(begin.checked_sub(offset)?).ok()?;
        let to = usize::try_from(end.checked_sub(offset)?).ok()?;
        (from < to).then_some((begin, from..to))
    })
}
