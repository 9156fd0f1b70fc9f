//! Reading a file of one piece at most, with as few calls as that takes: most files are.

use tmp_core::{Digest, module::Kind};
use tmp_disk::{At, Disk, OpenFile, Stat};

use crate::{
    ArchiveError, Content, Entry, EntryPath, FileEntry,
    block::PIECE,
    reading::{XATTRS, attributes, holes},
    shelf::Press,
    walk::same,
    workers::Looked,
};

/// Reads a file that looked like `seen`; `None` where it does so no more, or is longer.
pub(crate) fn read(
    disk: &dyn Disk,
    at: At<'_>,
    path: &EntryPath,
    seen: Stat,
    press: &mut Press<'_>,
) -> Result<Option<Looked>, ArchiveError> {
    let Some(length) = usize::try_from(seen.size).ok().filter(|length| *length <= PIECE) else {
        return Ok(None);
    };
    let file = match disk.open_file(at) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ArchiveError::Changed { path: path.clone() });
        }
        opened => opened.map_err(ArchiveError::disk("open", path))?,
    };
    let extents = disk.extents(&file, seen.size).map_err(ArchiveError::disk("find the holes of", path))?;
    let extents = holes(extents, seen.size);
    let is_hole = length > 0 && extents.as_ref().is_some_and(Vec::is_empty);
    let room = press.room(length)?;
    if is_hole {
        room.fill(0);
    } else if !fill(disk, &file, room).map_err(ArchiveError::disk("read", path))? {
        return Ok(None);
    }
    let inode = file.itself();
    let xattrs = disk.xattrs(At::itself(&inode)).map_err(ArchiveError::disk(XATTRS, path))?;
    let stat = disk.stat(at).map_err(ArchiveError::disk("look at", path))?;
    let Some(stat) = stat.filter(|stat| stat.kind == Kind::File && same(&seen, stat)) else {
        return Ok(None);
    };
    let content = match length {
        0 => Content::new(Digest::of(&[]), 0, Vec::new()),
        _ if is_hole => Content::new(Digest::of(press.room(length)?), seen.size, vec![None]),
        _ => {
            let digest = press.keep(length);
            Content::new(digest, seen.size, vec![Some(digest)])
        }
    };
    let attributes = attributes(&stat, xattrs);
    let entry = Entry::File(FileEntry { content, extents, attributes, links: stat.links, link_group: None });
    Ok(Some(Looked { stat, entry }))
}

/// Fills the buffer from the beginning of a file; `false` where the file is shorter.
fn fill(disk: &dyn Disk, file: &OpenFile, mut rest: &mut [u8]) -> std::io::Result<bool> {
    let mut offset = 0;
    while !rest.is_empty() {
        let read = disk.read_at(file, offset, rest)?;
        if read == 0 {
            return Ok(false);
        }
        offset += read as u64;
        rest = rest.get_mut(read..).unwrap_or_default();
    }
    Ok(true)
}
