//! What really stands at a place: content by digest, and attributes.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};

use tmp_core::{
    Digest,
    digest::Hasher,
    module::{Attributes, Kind},
};

use crate::{
    disk::{At, Disk, Extent, OpenFile, Stat},
    error::DiskError,
    reader::FileReader,
};

/// How much of a file is in memory at a time.
pub(crate) const BUFFER: usize = 128 * 1024;

/// Everything about what stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What it is.
    pub stat: Stat,
    /// Its extended attributes, ACLs and capabilities among them.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it holds.
    pub content: ObservedContent,
}

/// What something holds. What a directory holds is observed on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservedContent {
    /// Bytes.
    File {
        /// Their digest, holes read as zeros.
        digest: Digest,
        /// The runs that are not holes.
        extents: Vec<Extent>,
    },
    /// Other things.
    Directory,
    /// The text of a link.
    Symlink {
        /// The text, which need not be UTF-8.
        target: Vec<u8>,
    },
    /// A device, FIFO or socket.
    Special,
}

impl Observed {
    /// Its attributes, in the form in which they are kept and set.
    pub fn attributes(&self) -> Attributes {
        Attributes {
            mode: self.stat.mode,
            uid: self.stat.uid,
            gid: self.stat.gid,
            mtime: self.stat.mtime,
            xattrs: self.xattrs.clone(),
        }
    }
}

/// Observes what stands at a place, reading and digesting a file's content. `None` where nothing does.
///
/// # Errors
/// It cannot be read; or it was exchanged or changed while it was read, so that digest and attributes
/// would not belong together. A change is noticed by the change time, so one that comes within a tick of
/// the kernel's clock after the first look can go unseen before Linux 6.13.
pub fn observe(disk: &dyn Disk, at: At<'_>) -> Result<Option<Observed>, DiskError> {
    let Some(stat) = disk.stat(at).map_err(DiskError::at("look at", at.name))? else { return Ok(None) };
    let content = content(disk, at, &stat).map_err(DiskError::at("read", at.name))?;
    let xattrs = match stat.kind {
        Kind::Absent | Kind::Special => BTreeMap::new(),
        _ => disk.xattrs(at).map_err(DiskError::at("read the extended attributes of", at.name))?,
    };
    let after = disk.stat(at).map_err(DiskError::at("look again at", at.name))?;
    if after.is_none_or(|after| (after.identity, after.ctime) != (stat.identity, stat.ctime)) {
        let changed = io::Error::other("it changed while it was read; see who writes to it, and try again");
        return Err(DiskError::at("observe", at.name)(changed));
    }
    Ok(Some(Observed { stat, xattrs, content }))
}

fn content(disk: &dyn Disk, at: At<'_>, stat: &Stat) -> io::Result<ObservedContent> {
    Ok(match stat.kind {
        Kind::File => {
            let file = disk.open_file(at)?;
            let (digest, size) = digest_of(disk, &file)?;
            ObservedContent::File { digest, extents: disk.extents(&file, size)? }
        }
        Kind::Directory => ObservedContent::Directory,
        Kind::Symlink => ObservedContent::Symlink { target: disk.read_link(at)? },
        Kind::Special | Kind::Absent => ObservedContent::Special,
    })
}

/// The digest of a file's content, and its length in bytes.
///
/// # Errors
/// The file cannot be read.
pub fn digest_of(disk: &dyn Disk, file: &OpenFile) -> io::Result<(Digest, u64)> {
    let mut reader = FileReader::new(disk, file);
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok((hasher.finish(), size)),
            read => {
                hasher.update(buffer.get(..read).unwrap_or_default());
                size += read as u64;
            }
        }
    }
}
