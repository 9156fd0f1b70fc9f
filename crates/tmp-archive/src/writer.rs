//! Writing a file of a [`Disk`] as a stream.

use std::io::{self, Write};

use tmp_disk::{Disk, OpenFile, write_all_at};

/// Writes a file from its beginning. Nothing is buffered and nothing synced.
pub(crate) struct FileWriter<'a> {
    disk: &'a dyn Disk,
    file: &'a OpenFile,
    offset: u64,
}

impl<'a> FileWriter<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, file: &'a OpenFile) -> Self {
        Self { disk, file, offset: 0 }
    }
}

impl Write for FileWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all_at(self.disk, self.file, self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
