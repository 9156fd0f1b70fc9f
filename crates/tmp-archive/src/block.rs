//! Objects, pieces of content named by their SHA-256, and the blocks in which they are kept, raw or compressed.

use std::cell::RefCell;

use tmp_core::Digest;

/// The longest object, and so the length of each piece of a file but its last, in bytes. Short enough
/// that a database changed in places is stored in places, long enough that a piece's 96 bytes of
/// bookkeeping do not count.
pub const PIECE: usize = 1 << 20;

/// The most raw bytes of several objects that share a block. Together they compress faster and to less; whoever
/// reads one of them decompresses them all.
pub(crate) const BLOCK: usize = 128 << 10;

/// How hard blocks are compressed. Level 1 keeps up with a disk.
const LEVEL: i32 = 1;

/// The length of a header without its objects, in bytes.
pub(crate) const FIXED: usize = 16;

/// The length of what a header says of each object, in bytes.
pub(crate) const EACH: usize = 36;

/// What stands before a block in a pack, and once more in the pack's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// The objects in order, each with its length in raw bytes: at least one, and together at most [`PIECE`].
    pub(crate) objects: Vec<(Digest, u32)>,
    /// How the bytes are stored.
    pub(crate) form: Form,
}

/// How the bytes of a block are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// How many bytes are stored.
    pub(crate) stored: u32,
    /// As what.
    pub(crate) encoding: Encoding,
    /// CRC-32C (RFC 3720) of the stored bytes.
    pub(crate) crc: u32,
    /// How many raw bytes they are.
    pub(crate) raw: u32,
}

/// What stored bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The raw bytes.
    Raw,
    /// One Zstandard frame (RFC 8878).
    Zstd,
}

impl Header {
    /// How long [`Header::encode`] is, in bytes.
    pub(crate) fn length(&self) -> usize {
        FIXED + EACH * self.objects.len()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let encoding: u32 = match self.form.encoding {
            Encoding::Raw => 0,
            Encoding::Zstd => 1,
        };
        let count = u32::try_from(self.objects.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(self.length());
        bytes.extend([count, self.form.stored, encoding, self.form.crc].iter().flat_map(|n| n.to_le_bytes()));
        for (digest, raw) in &self.objects {
            bytes.extend_from_slice(digest.as_bytes());
            bytes.extend_from_slice(&raw.to_le_bytes());
        }
        bytes
    }

    /// Takes a header from the beginning of some bytes; `None` for what [`Header::encode`] never writes.
    pub(crate) fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED>()?;
        let (&[count, stored, encoding, crc], []) = fixed.as_chunks::<4>() else { return None };
        let listed = usize::try_from(u32::from_le_bytes(count)).ok()?.checked_mul(EACH)?;
        let (listed, rest) = rest.split_at_checked(listed)?;
        let objects = listed.as_chunks::<EACH>().0.iter().map(|object| {
            let (digest, raw) = object.split_first_chunk::<32>()?;
            Some((Digest::from_bytes(*digest), u32::from_le_bytes(*raw.first_chunk()?)))
        });
        *bytes = rest;
        Self::sound(objects.collect::<Option<_>>()?, [stored, encoding, crc])
    }

    /// The same of a pack of version 1.
    pub(crate) fn take_first(bytes: &mut &[u8]) -> Option<Self> {
        let (digest, rest) = bytes.split_first_chunk::<32>()?;
        let (numbers, rest) = rest.split_first_chunk::<16>()?;
        let (&[raw, stored, encoding, crc], []) = numbers.as_chunks::<4>() else { return None };
        *bytes = rest;
        Self::sound(vec![(Digest::from_bytes(*digest), u32::from_le_bytes(raw))], [stored, encoding, crc])
    }

    fn sound(objects: Vec<(Digest, u32)>, [stored, encoding, crc]: [[u8; 4]; 3]) -> Option<Self> {
        let raw = objects.iter().try_fold(0_u32, |sum, (_, raw)| sum.checked_add(*raw))?;
        let stored = u32::from_le_bytes(stored);
        let encoding = match u32::from_le_bytes(encoding) {
            0 if stored == raw => Encoding::Raw,
            1 if stored < raw => Encoding::Zstd,
            _ => return None,
        };
        let fits = raw as usize <= PIECE && !objects.is_empty();
        let form = Form { stored, encoding, crc: u32::from_le_bytes(crc), raw };
        fits.then_some(Self { objects, form })
    }
}

/// A block ready to be stored.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) header: Header,
    pub(crate) stored: Vec<u8>,
}

impl Block {
    /// How many bytes it takes in a pack.
    pub(crate) fn length(&self) -> u64 {
        (self.header.length() + self.stored.len()) as u64
    }
}

/// Makes blocks; keeps what compression needs between them.
pub(crate) struct Encoder {
    compressor: zstd::bulk::Compressor<'static>,
    buffer: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { compressor: zstd::bulk::Compressor::new(LEVEL)?, buffer: Vec::new() })
    }

    /// The block of these objects, whose raw bytes follow each other: compressed where that is shorter.
    pub(crate) fn encode(&mut self, objects: Vec<(Digest, u32)>, raw: &[u8]) -> std::io::Result<Block> {
        self.buffer.clear();
        self.buffer.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.compressor.compress_to_buffer(raw, &mut self.buffer)?;
        let (encoding, stored) = if self.buffer.len() < raw.len() {
            (Encoding::Zstd, self.buffer.clone())
        } else {
            (Encoding::Raw, raw.to_vec())
        };
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(std::io::Error::other);
        let crc = crc32c::crc32c(&stored);
        let form = Form { stored: length(&stored)?, encoding, crc, raw: length(raw)? };
        Ok(Block { header: Header { objects, form }, stored })
    }
}

/// The raw bytes of a block.
///
/// # Errors
/// What is wrong with it: the stored bytes are not those that were written.
pub(crate) fn decode(form: &Form, stored: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    if crc32c::crc32c(&stored) != form.crc {
        return Err("its stored bytes have another checksum");
    }
    let raw = match form.encoding {
        Encoding::Raw => stored,
        Encoding::Zstd => {
            decompress(&stored, form.raw as usize).map_err(|_| "its stored bytes do not decompress")?
        }
    };
    if raw.len() == form.raw as usize { Ok(raw) } else { Err("it has another length") }
}

thread_local! {
    /// What decompression needs, kept between blocks: making it takes longer than a small one.
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

    fn alone(raw: &[u8]) -> Block {
        let objects = vec![(Digest::of(raw), u32::try_from(raw.len()).unwrap())];
        Encoder::new().unwrap().encode(objects, raw).unwrap()
    }

    #[test]
    fn compresses_only_where_that_is_shorter() {
        for (raw, encoding) in [(vec![7; 4096], Encoding::Zstd), (b"abc".to_vec(), Encoding::Raw)] {
            let block = alone(&raw);
            assert_eq!(block.header.form.encoding, encoding);
            let bytes = block.header.encode();
            assert_eq!(Header::take(&mut &*bytes).unwrap(), block.header);
            assert_eq!((bytes.len() + block.stored.len()) as u64, block.length());
            assert_eq!(decode(&block.header.form, block.stored), Ok(raw));
        }
    }

    #[test]
    fn notices_each_flipped_bit_of_what_is_stored() {
        let raw = b"abcabcabcabcabcabcabcabcabcabcabcabcabcabc".repeat(3);
        let block = alone(&raw);
        assert_eq!(block.header.form.encoding, Encoding::Zstd);
        for bit in 0..block.stored.len() * 8 {
            let mut stored = block.stored.clone();
            stored[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&block.header.form, stored).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_header_bounds_what_it_promises() {
        let good = alone(&[1; 100]).header;
        let (digest, raw) = good.objects[0];
        let with = |objects: Vec<(Digest, u32)>, form| Header { objects, form };
        for bad in [
            with(vec![(digest, 1 + (1 << 20))], good.form),
            with(vec![(digest, 1 << 20), (digest, 1)], good.form),
            with(vec![(digest, u32::MAX), (digest, 101)], good.form),
            with(Vec::new(), good.form),
            with(vec![(digest, raw)], Form { stored: raw, ..good.form }),
            with(vec![(digest, raw)], Form { encoding: Encoding::Raw, ..good.form }),
        ] {
            assert_eq!(Header::take(&mut &*bad.encode()), None, "{bad:?}");
        }
        let mut many = good.encode();
        many[0] = 2;
        assert_eq!(Header::take(&mut &*many), None, "more objects than there are bytes");
    }
}
