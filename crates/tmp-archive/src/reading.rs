//! Reading one file piece by piece, and noticing when it changes meanwhile.

use std::collections::BTreeMap;

use tmp_core::{Digest, digest::Hasher, module::Attributes};
use tmp_disk::{At, Disk, Extent, OpenFile, Stat};

use crate::{ArchiveError, Content, EntryPath, FileEntry, block::PIECE, walk::same};

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
    retried: bool,
}

/// What reading on came to.
pub(crate) enum Next {
    /// The next piece; `None` for one that lies wholly in a hole.
    Piece(Option<Vec<u8>>),
    /// It changed and is begun again: the pieces so far are of no use.
    Again,
    /// There are no more pieces, and it did not change meanwhile.
    End(Box<ReadFile>),
}

/// A file that was read whole, and did not change meanwhile.
pub(crate) struct ReadFile {
    pub(crate) stat: Stat,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    extents: Option<Vec<Extent>>,
    hasher: Hasher,
}

impl ReadFile {
    /// What a snapshot says of it, given its pieces.
    pub(crate) fn entry(self, pieces: Vec<Option<Digest>>) -> (Stat, FileEntry) {
        let digest = match pieces.as_slice() {
            [Some(digest)] => *digest,
            _ => self.hasher.finish(),
        };
        let entry = FileEntry {
            content: Content::new(digest, self.stat.size, pieces),
            extents: self.extents,
            attributes: attributes(&self.stat, self.xattrs),
            links: self.stat.links,
            link_group: None,
        };
        (self.stat, entry)
    }
}

/// What a snapshot says of attributes.
pub(crate) fn attributes(stat: &Stat, xattrs: BTreeMap<Vec<u8>, Vec<u8>>) -> Attributes {
    Attributes { mode: stat.mode, uid: stat.uid, gid: stat.gid, mtime: stat.mtime, xattrs }
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
            retried: false,
        })
    }

    /// How many bytes were read so far, holes included.
    pub(crate) fn bytes(&self) -> u64 {
        self.offset
    }

    /// Reads the next piece. A file that changed is begun again, once.
    pub(crate) fn next(&mut self, disk: &dyn Disk, at: At<'_>) -> Result<Next, ArchiveError> {
        let rest = self.stat.size.saturating_sub(self.offset);
        if rest == 0 {
            return self.end(disk, at);
        }
        let length = usize::try_from(rest).unwrap_or(usize::MAX).min(PIECE);
        let mut bytes = vec![0; length];
        let hole = self.is_hole(length as u64);
        if !hole && !self.fill(disk, &mut bytes)? {
            return self.again(disk, at);
        }
        if self.stat.size > PIECE as u64 || hole {
            self.hasher.update(&bytes);
        }
        self.offset += length as u64;
        Ok(Next::Piece((!hole).then_some(bytes)))
    }

    fn is_hole(&self, length: u64) -> bool {
        let end = self.offset + length;
        self.extents.as_ref().is_some_and(|extents| {
            extents.iter().all(|extent| extent.offset >= end || extent.offset + extent.length <= self.offset)
        })
    }

    /// Fills the buffer; `false` where the file is shorter than it was.
    fn fill(&self, disk: &dyn Disk, mut rest: &mut [u8]) -> Result<bool, ArchiveError> {
        let mut offset = self.offset;
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

    fn end(&mut self, disk: &dyn Disk, at: At<'_>) -> Result<Next, ArchiveError> {
        let xattrs = disk.xattrs(at).map_err(ArchiveError::disk(XATTRS, &self.path))?;
        let after = look(disk, at, &self.path)?;
        if !same(&self.stat, &after) {
            return self.again(disk, at);
        }
        Ok(Next::End(Box::new(ReadFile {
            stat: after,
            xattrs,
            extents: self.extents.take(),
            hasher: std::mem::take(&mut self.hasher),
        })))
    }

    fn again(&mut self, disk: &dyn Disk, at: At<'_>) -> Result<Next, ArchiveError> {
        if self.retried {
            return Err(ArchiveError::Changed { path: self.path.clone() });
        }
        *self = Self { retried: true, ..Self::open(disk, at, self.path.clone())? };
        Ok(Next::Again)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, length: u64) -> Extent {
        Extent { offset, length }
    }

    #[test]
    fn runs_that_touch_are_one_and_without_a_hole_there_is_none() {
        let found = holes(vec![extent(0, 4), extent(4, 8), extent(12, 2), extent(20, 4)], 30);
        assert_eq!(found, Some(vec![extent(0, 14), extent(20, 4)]));
        assert_eq!(holes(vec![extent(0, 4), extent(4, 8)], 12), None);
        assert_eq!(holes(Vec::new(), 12), Some(Vec::new()));
        assert_eq!(holes(Vec::new(), 0), None);
    }
}
