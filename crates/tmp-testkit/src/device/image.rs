//! What a disk holds, kept in memory so that it can be laid down again and again.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::FileExt,
    path::Path,
};

use crate::context::Context;

/// How finely zeros are left out.
const PIECE: usize = 16 << 10;

/// The content of a disk. Zeros are not kept.
#[derive(Debug, Clone)]
pub struct Image {
    length: u64,
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Image {
    /// Reads the file of a disk that is not in use.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path).context("open", path.display())?;
        let (mut offset, mut pieces) = (0, Vec::new());
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            file.by_ref().take(PIECE as u64).read_to_end(&mut piece).context("read", path.display())?;
            if piece.is_empty() {
                return Ok(Self { length: offset, pieces });
            }
            let length = piece.len() as u64;
            if piece.iter().any(|byte| *byte != 0) {
                pieces.push((offset, piece));
            }
            offset += length;
        }
    }

    /// Lays it down in a new file and returns that, open for reading and writing. A file that was there
    /// before loses its name only, so whatever still has it in use is not disturbed.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn lay(&self, path: &Path) -> io::Result<File> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context("remove", path.display());
            }
            _ => {}
        }
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.context("make", path.display())?;
        file.set_len(self.length)?;
        for (offset, piece) in &self.pieces {
            file.write_all_at(piece, *offset).context("write", path.display())?;
        }
        Ok(file)
    }
}
