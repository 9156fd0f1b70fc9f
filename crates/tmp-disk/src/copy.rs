//! Copying a file, holes included.

use std::io::{self, Read};

use tmp_core::Mode;

use crate::{
    disk::{At, Disk, Extent, OpenFile},
    error::DiskError,
    write::write_sparse_new,
};

/// Makes a new file at `to`, where nothing may stand, with the content of the file at `from`: sharing its
/// blocks where the file system can, else run by run, so that holes stay holes. Attributes are not copied,
/// nothing is synced.
///
/// # Errors
/// The one cannot be read or the other not be made. A file that was begun is left behind.
pub fn copy_new(disk: &dyn Disk, from: At<'_>, to: At<'_>, mode: Mode) -> Result<OpenFile, DiskError> {
    let source = disk.open_file(from).map_err(DiskError::at("open", from.name))?;
    let shared = || {
        let file = disk.create_file(to, mode)?;
        if disk.clone_file(&source, &file)? {
            return Ok(Some(file));
        }
        disk.remove_file(to).map(|()| None)
    };
    if let Some(file) = shared().map_err(DiskError::at("create", to.name))? {
        return Ok(file);
    }
    let known = || {
        let stat = disk.stat(from)?.ok_or(io::ErrorKind::NotFound)?;
        Ok((stat.size, disk.extents(&source, stat.size)?))
    };
    let (size, extents) = known().map_err(DiskError::at("read", from.name))?;
    let mut reader = RunReader { disk, file: &source, left: extents.iter().copied().collect() };
    write_sparse_new(disk, to, mode, size, &extents, &mut reader).map(|written| written.file)
}

/// Reads the runs of a file one after the other.
struct RunReader<'a> {
    disk: &'a dyn Disk,
    file: &'a OpenFile,
    left: std::collections::VecDeque<Extent>,
}

impl Read for RunReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(run) = self.left.front_mut() else { return Ok(0) };
        let most = usize::try_from(run.length).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.disk.read_at(self.file, run.offset, buffer.get_mut(..most).unwrap_or_default())?;
        run.offset += read as u64;
        run.length -= read as u64;
        if run.length == 0 {
            self.left.pop_front();
        }
        Ok(read)
    }
}
