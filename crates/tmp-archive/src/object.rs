//! Objects: pieces of content, named by their SHA-256, raw or compressed.

use std::cell::RefCell;

use tmp_core::Digest;

/// The longest object, and so the length of each piece of a file but its last, in bytes. Short enough
/// that a database changed in places is stored in places, long enough that a piece's 96 bytes of
/// bookkeeping do not count.
pub const PIECE: usize = 1 << 20;

/// How hard objects are compressed. Level 1 keeps up with a disk.
const LEVEL: i32 = 1;

/// The length of an object's header in bytes.
pub(crate) const HEADER: usize = 48;

/// What stands before an object in a pack, and once more in the pack's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Digest of the raw bytes.
    pub(crate) digest: Digest,
    /// How many raw bytes.
    pub(crate) raw: u32,
    /// How many bytes are stored.
    pub(crate) stored: u32,
    /// How they are stored.
    pub(crate) encoding: Encoding,
    /// CRC-32C (RFC 3720) of the stored bytes.
    pub(crate) crc: u32,
}

/// How an object's bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are.
    Raw,
    /// As one Zstandard frame (RFC 8878).
    Zstd,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let encoding: u32 = match self.encoding {
            Encoding::Raw => 0,
            Encoding::Zstd => 1,
        };
        let mut bytes = [0; HEADER];
        let numbers = [self.raw, self.stored, encoding, self.crc].into_iter().flat_map(u32::to_le_bytes);
        for (to, from) in bytes.iter_mut().zip(self.digest.as_bytes().iter().copied().chain(numbers)) {
            *to = from;
        }
        bytes
    }

    /// Reads a header; `None` for what [`Header::encode`] never writes.
    pub(crate) fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let (digest, numbers) = bytes.split_first_chunk::<32>()?;
        let (&[raw, stored, encoding, crc], []) = numbers.as_chunks::<4>() else { return None };
        let header = Self {
            digest: Digest::from_bytes(*digest),
            raw: u32::from_le_bytes(raw),
            stored: u32::from_le_bytes(stored),
            encoding: match u32::from_le_bytes(encoding) {
                0 => Encoding::Raw,
                1 => Encoding::Zstd,
                _ => return None,
            },
            crc: u32::from_le_bytes(crc),
        };
        let fits = header.raw as usize <= PIECE
            && match header.encoding {
                Encoding::Raw => header.stored == header.raw,
                Encoding::Zstd => header.stored < header.raw,
            };
        fits.then_some(header)
    }
}

/// An object ready to be stored.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) header: Header,
    pub(crate) stored: Vec<u8>,
}

/// Makes objects; keeps what compression needs between them.
pub(crate) struct Encoder(zstd::bulk::Compressor<'static>);

impl Encoder {
    pub(crate) fn new() -> std::io::Result<Self> {
        zstd::bulk::Compressor::new(LEVEL).map(Self)
    }

    /// The object of at most [`PIECE`] raw bytes with this digest: compressed where that is shorter.
    pub(crate) fn encode(&mut self, digest: Digest, raw: &[u8]) -> std::io::Result<Object> {
        let compressed = self.0.compress(raw)?;
        let (encoding, stored) = if compressed.len() < raw.len() {
            (Encoding::Zstd, compressed)
        } else {
            (Encoding::Raw, raw.to_vec())
        };
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(std::io::Error::other);
        let header = Header {
            digest,
            raw: length(raw)?,
            stored: length(&stored)?,
            encoding,
            crc: crc32c::crc32c(&stored),
        };
        Ok(Object { header, stored })
    }
}

/// The raw bytes of an object.
///
/// # Errors
/// What is wrong with it: the stored bytes are not those that were written.
pub(crate) fn decode(header: &Header, stored: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    if crc32c::crc32c(&stored) != header.crc {
        return Err("its stored bytes have another checksum");
    }
    let raw = match header.encoding {
        Encoding::Raw => stored,
        Encoding::Zstd => {
            decompress(&stored, header.raw as usize).map_err(|_| "its stored bytes do not decompress")?
        }
    };
    if raw.len() != header.raw as usize {
        return Err("it has another length");
    }
    if Digest::of(&raw) != header.digest {
        return Err("it has another digest");
    }
    Ok(raw)
}

thread_local! {
    /// What decompression needs, kept between objects: making it takes longer than a small one.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

fn decompress(stored: &[u8], length: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(decompressor) => decompressor.decompress(stored, length),
        None => kept.insert(zstd::bulk::Decompressor::new()?).decompress(stored, length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compresses_only_where_that_is_shorter() {
        let mut encoder = Encoder::new().unwrap();
        for (raw, encoding) in [(vec![7; 4096], Encoding::Zstd), (b"abc".to_vec(), Encoding::Raw)] {
            let object = encoder.encode(Digest::of(&raw), &raw).unwrap();
            assert_eq!(object.header.encoding, encoding);
            assert_eq!(Header::decode(&object.header.encode()), Some(object.header));
            assert_eq!(decode(&object.header, object.stored), Ok(raw));
        }
    }

    #[test]
    fn notices_each_flipped_bit_of_what_is_stored() {
        let raw = b"abcabcabcabcabcabcabcabcabcabcabcabcabcabc".repeat(3);
        let object = Encoder::new().unwrap().encode(Digest::of(&raw), &raw).unwrap();
        assert_eq!(object.header.encoding, Encoding::Zstd);
        for bit in 0..object.stored.len() * 8 {
            let mut stored = object.stored.clone();
            stored[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&object.header, stored).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_header_bounds_what_it_promises() {
        let raw = [1; 100];
        let good = Encoder::new().unwrap().encode(Digest::of(&raw), &raw).unwrap().header;
        for bad in [
            Header { raw: 1 + (1 << 20), ..good },
            Header { stored: good.raw, ..good },
            Header { encoding: Encoding::Raw, ..good },
        ] {
            assert_eq!(Header::decode(&bad.encode()), None, "{bad:?}");
        }
    }
}
