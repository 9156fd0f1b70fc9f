//! A run of bytes of a file, read by position so that several can be read at a time.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
};

/// Reads `remaining` bytes from `offset`. Ends early where the file does.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    file: &'a File,
    offset: u64,
    remaining: u64,
}

impl<'a> Section<'a> {
    pub(crate) fn new(file: &'a File, offset: u64, length: u64) -> Self {
        Self { file, offset, remaining: length }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..most) else { return Ok(0) };
        let count = self.file.read_at(part, self.offset)?;
        self.offset += count as u64;
        self.remaining -= count as u64;
        Ok(count)
    }
}
