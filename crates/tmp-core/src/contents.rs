//! The seam for the bytes an enhancement brings.

use std::{collections::BTreeSet, io};

use crate::Digest;

/// A source of contents by digest: a verified trigger file, or a test's map.
pub trait Contents {
    /// Streams each of the `wanted` contents once, in an order of the source's choosing, to `visit`
    /// with its digest and its length in bytes.
    ///
    /// The source need not check the bytes again: who takes them in compares the digest.
    ///
    /// # Errors
    /// One of `wanted` is not there, the source cannot be read, or `visit` failed.
    fn visit(&self, wanted: &BTreeSet<Digest>, visit: &mut Visitor<'_>) -> io::Result<()>;
}

/// Takes in one content: its digest, its length in bytes, its bytes.
pub type Visitor<'a> = dyn FnMut(&Digest, u64, &mut dyn io::Read) -> io::Result<()> + 'a;

/// Reads one small content whole.
///
/// # Errors
/// As [`Contents::visit`]; or the bytes are longer than `limit` or are not the digest's.
pub fn read_small(contents: &dyn Contents, digest: &Digest, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    contents.visit(&BTreeSet::from([*digest]), &mut |_, length, reader| {
        if length > limit {
            let text = format!("content {digest} is longer than {limit} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        io::Read::read_to_end(&mut io::Read::take(reader, limit), &mut bytes).map(drop)
    })?;
    if Digest::of(&bytes) == *digest {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("content {digest} has another digest")))
    }
}
