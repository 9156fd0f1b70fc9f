//! Reading a file of a [`Disk`] as a stream.

use std::io::{self, Read};

use crate::disk::{Disk, OpenFile};

/// Reads a file from its beginning. Clones of the handle are not disturbed.
#[derive(Debug)]
pub struct FileReader<'a> {
    disk: &'a dyn Disk,
    file: OpenFile,
    offset: u64,
}

impl<'a> FileReader<'a> {
    /// A reader at the beginning of `file`.
    pub fn new(disk: &'a dyn Disk, file: &OpenFile) -> Self {
        Self { disk, file: file.clone(), offset: 0 }
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.disk.read_at(&self.file, self.offset, buffer)?;
        self.offset += read as u64;
        Ok(read)
    }
}
