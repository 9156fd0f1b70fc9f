//! A content of a snapshot as a stream.

use std::{
    io::{self, Read},
    vec,
};

use tmp_core::Digest;

use crate::{Content, Objects, objects::Raw};

/// Reads the bytes of one content, a piece at a time. Each piece is checked; whoever takes them all in
/// compares the digest of the whole.
#[derive(Debug)]
pub struct ContentReader<'a> {
    objects: &'a Objects<'a>,
    /// The pieces that are still to come, with their lengths in bytes.
    rest: vec::IntoIter<(Option<Digest>, usize)>,
    piece: Piece,
    at: usize,
}

/// The piece at hand.
#[derive(Debug)]
enum Piece {
    Raw(Raw),
    Zeros(Vec<u8>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Raw(raw) => raw,
            Self::Zeros(zeros) => zeros,
        }
    }
}

impl Objects<'_> {
    /// Reads a content.
    pub fn reader(&self, content: &Content) -> ContentReader<'_> {
        let rest = content.pieces().collect::<Vec<_>>().into_iter();
        ContentReader { objects: self, rest, piece: Piece::Zeros(Vec::new()), at: 0 }
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.bytes().len() {
            let Some((digest, length)) = self.rest.next() else { return Ok(0) };
            self.piece = match digest {
                Some(digest) => Piece::Raw(self.objects.object(&digest).map_err(io::Error::other)?),
                None => Piece::Zeros(vec![0; length]),
            };
            self.at = 0;
        }
        let count = self.piece.bytes().get(self.at..).unwrap_or_default().read(buffer)?;
        self.at += count;
        Ok(count)
    }
}
