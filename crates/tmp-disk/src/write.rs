//! Writing files, streaming or whole.

use std::io::{self, Read};

use tmp_core::{Digest, Mode, digest::Hasher};

use crate::{
    disk::{At, Dir, Disk, Extent, OpenFile, Rename},
    error::DiskError,
    observe::BUFFER,
    reader::FileReader,
};

/// A file that was written and is not yet durable.
#[derive(Debug, Clone)]
#[must_use = "nothing is durable before a barrier has settled the file"]
pub struct Written {
    /// Digest of the bytes that were written; holes count as zeros.
    pub digest: Digest,
    /// How many bytes long the file is.
    pub size: u64,
    /// The file, still open.
    pub file: OpenFile,
}

/// Makes a new file with these permission bits and all bytes of `reader`, in constant memory. Nothing
/// may stand there. The file is not synced.
///
/// # Errors
/// The file cannot be made or written, or `reader` failed. A file that was begun is left behind.
pub fn write_new(
    disk: &dyn Disk,
    at: At<'_>,
    mode: Mode,
    reader: &mut dyn Read,
) -> Result<Written, DiskError> {
    let file = disk.create_file(at, mode).map_err(DiskError::at("create", at.name))?;
    let mut hasher = Hasher::new();
    let size =
        copy_run(disk, &file, 0, u64::MAX, reader, &mut hasher).map_err(DiskError::at("write", at.name))?;
    Ok(Written { digest: hasher.finish(), size, file })
}

/// Makes a new file of `size` bytes that are zero but for the `extents`, whose bytes `reader` gives one
/// after the other. The rest becomes holes where the file system has them. The file is not synced.
///
/// # Errors
/// As [`write_new`]; or the extents are out of order or beyond `size`, or `reader` ends before them.
pub fn write_sparse_new(
    disk: &dyn Disk,
    at: At<'_>,
    mode: Mode,
    size: u64,
    extents: &[Extent],
    reader: &mut dyn Read,
) -> Result<Written, DiskError> {
    let file = disk.create_file(at, mode).map_err(DiskError::at("create", at.name))?;
    let mut hasher = Hasher::new();
    sparse(disk, &file, size, extents, reader, &mut hasher).map_err(DiskError::at("write", at.name))?;
    Ok(Written { digest: hasher.finish(), size, file })
}

fn sparse(
    disk: &dyn Disk,
    file: &OpenFile,
    size: u64,
    extents: &[Extent],
    reader: &mut dyn Read,
    hasher: &mut Hasher,
) -> io::Result<()> {
    let mut position = 0;
    for extent in extents {
        let end = extent.offset.checked_add(extent.length).filter(|end| *end <= size);
        let (Some(gap), Some(end)) = (extent.offset.checked_sub(position), end) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its extents overlap or exceed it"));
        };
        hash_zeros(hasher, gap);
        if copy_run(disk, file, extent.offset, extent.length, reader, hasher)? < extent.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        position = end;
    }
    hash_zeros(hasher, size - position);
    disk.set_len(file, size)
}

/// Copies at most `length` bytes to `offset`; answers how many there were.
fn copy_run(
    disk: &dyn Disk,
    file: &OpenFile,
    offset: u64,
    length: u64,
    reader: &mut dyn Read,
    hasher: &mut Hasher,
) -> io::Result<u64> {
    let mut reader = reader.take(length);
    let mut buffer = vec![0; BUFFER];
    let mut copied = 0;
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        hasher.update(bytes);
        write_all_at(disk, file, offset + copied, bytes)?;
        copied += read as u64;
    }
}

fn hash_zeros(hasher: &mut Hasher, mut count: u64) {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let step = count.min(ZEROS.len() as u64);
        hasher.update(usize::try_from(step).ok().and_then(|step| ZEROS.get(..step)).unwrap_or_default());
        count -= step;
    }
}

/// Writes all of `bytes` at `offset`.
///
/// # Errors
/// Not all could be written; some may have been.
pub fn write_all_at(disk: &dyn Disk, file: &OpenFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let (mut offset, mut rest) = (offset, bytes);
    while !rest.is_empty() {
        match disk.write_at(file, offset, rest)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                rest = rest.get(written..).unwrap_or_default();
                offset += written as u64;
            }
        }
    }
    Ok(())
}

/// Puts a file with these bytes and mode 0600 at `name`, replacing what stands there. On return it is
/// durable; at every moment before, and after an error, `name` stands for the whole old or the whole
/// new content.
///
/// # Errors
/// It cannot be written. `.{name}.new` may be left in the directory; the next call removes it. After a
/// failed sync nothing may be concluded about what is on the disk.
pub fn write_durably(disk: &dyn Disk, dir: &Dir, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let beside = format!(".{name}.new");
    let (at, beside) = (At::new(dir, name), At::new(dir, beside.as_str()));
    match disk.remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(DiskError::at("remove", beside.name)(error));
        }
        _ => {}
    }
    let written = write_new(disk, beside, Mode::from_bits(0o600), &mut &*bytes)?;
    disk.sync_file(&written.file).map_err(DiskError::at("make durable", beside.name))?;
    disk.rename(beside, at, Rename::Replace).map_err(DiskError::at("replace", name))?;
    disk.sync_dir(dir).map_err(DiskError::at("make durable the directory of", name))
}

/// Reads a whole small file.
///
/// # Errors
/// It is not there, cannot be read, or is longer than `limit` bytes.
pub fn read_whole(disk: &dyn Disk, at: At<'_>, limit: u64) -> Result<Vec<u8>, DiskError> {
    let read = || {
        let file = disk.open_file(at)?;
        let size = disk.stat(At::itself(&file.itself()))?.map_or(0, |stat| stat.size);
        // A byte more: reading ends where nothing is left.
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or(0).saturating_add(1));
        FileReader::new(disk, &file).take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let text = format!("it is longer than {limit} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(bytes)
    };
    read().map_err(DiskError::at("read", at.name))
}
