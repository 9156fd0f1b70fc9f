//! The bytes of a record: a fixed header, canonical JSON, zeros up to the next slot.
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | `TMPJ` |
//! | 4–5 | format version, little-endian: 2 |
//! | 6–7 | how many records before this one were not known to be durable when it was written, little-endian |
//! | 8–15 | sequence number from 0, little-endian |
//! | 16–31 | migration id, big-endian |
//! | 32–63 | SHA-256 of the record before (header and JSON); zeros for the first |
//! | 64–67 | length of the JSON, little-endian |
//! | 68–71 | CRC-32C (RFC 3720) of bytes 0–67 and the JSON, little-endian |
//!
//! A record begins at a multiple of [`SLOT`] and takes as many slots as it needs, so that a torn write
//! cannot damage the one before.

use tmp_core::{Digest, MigrationId, digest::Hasher};

/// The size of a slot in bytes: a page, the unit in which file systems write.
pub(super) const SLOT: u64 = 4096;

/// The format's version. In version 1 every record was durable before the next was written; it is read still.
const VERSION: u16 = 2;

/// The version before, whose bytes 6–7 are zero.
const FIRST: u16 = 1;

const MAGIC: [u8; 4] = *b"TMPJ";
const HEADER: usize = 72;

/// The longest JSON of one record: more than a plan of a million modules needs.
const LONGEST: usize = 1 << 30;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u64,
    /// How many records before this one may be missing although this one can be read.
    pub(super) pending: u16,
    pub(super) migration: u128,
    pub(super) previous: Digest,
    pub(super) length: usize,
    checksum: u32,
}

/// A header that cannot be a record's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotARecord {
    /// No magic, or a length that cannot be.
    Garbage,
    /// A record of another version.
    Version(u16),
}

/// The bytes of a record, whole slots, and the digest that the next record carries.
pub(super) fn encode(
    (sequence, pending): (u64, u16),
    migration: &MigrationId,
    previous: &Digest,
    json: &[u8],
) -> (Vec<u8>, Digest) {
    let slots = slots(json.len());
    let mut bytes = Vec::with_capacity(usize::try_from(slots * SLOT).unwrap_or_default());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(pending.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(migration.bits().to_be_bytes());
    bytes.extend(previous.as_bytes());
    bytes.extend(u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes), json);
    bytes.extend(checksum.to_le_bytes());
    bytes.extend(json);
    let digest = Digest::of(&bytes);
    bytes.resize(usize::try_from(slots * SLOT).unwrap_or_default(), 0);
    (bytes, digest)
}

/// How many slots a record with this much JSON takes.
pub(super) fn slots(json: usize) -> u64 {
    ((HEADER + json) as u64).div_ceil(SLOT)
}

/// Reads the header at the beginning of `slot`.
pub(super) fn header(slot: &[u8]) -> Result<Header, NotARecord> {
    let field = |from: usize, to: usize| slot.get(from..to).ok_or(NotARecord::Garbage);
    if field(0, 4)? != MAGIC {
        return Err(NotARecord::Garbage);
    }
    let version = u16::from_le_bytes(fixed(field(4, 6)?)?);
    if version != VERSION && version != FIRST {
        return Err(NotARecord::Version(version));
    }
    let length = u32::from_le_bytes(fixed(field(64, 68)?)?) as usize;
    if length == 0 || length > LONGEST {
        return Err(NotARecord::Garbage);
    }
    Ok(Header {
        sequence: u64::from_le_bytes(fixed(field(8, 16)?)?),
        pending: u16::from_le_bytes(fixed(field(6, 8)?)?),
        migration: u128::from_be_bytes(fixed(field(16, 32)?)?),
        previous: Digest::from_bytes(fixed(field(32, 64)?)?),
        length,
        checksum: u32::from_le_bytes(fixed(field(68, 72)?)?),
    })
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], NotARecord> {
    bytes.try_into().map_err(|_| NotARecord::Garbage)
}

/// The JSON of a record and the record's digest, if its checksum holds. `bytes` begins at the header.
pub(super) fn body<'a>(header: &Header, bytes: &'a [u8]) -> Option<(&'a [u8], Digest)> {
    let json = bytes.get(HEADER..HEADER + header.length)?;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(bytes.get(..HEADER - 4)?), json);
    let mut hasher = Hasher::new();
    hasher.update(bytes.get(..HEADER + header.length)?);
    (checksum == header.checksum).then(|| (json, hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> MigrationId {
        MigrationId::from_bits(0x0190_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001)
    }

    #[test]
    fn the_bytes_of_a_record() {
        let (bytes, _) = encode((7, 2), &id(), &Digest::of(b"before"), b"{\"a\":1}");
        assert_eq!(bytes.len() as u64, SLOT);
        let shown: Vec<_> = bytes[..96].chunks(16).map(tmp_core::hex::encode).collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        544d504a020002000700000000000000
        0190aaaabbbb7ccc8dddeeeeffff0001
        6db7d803e74f1ffa7d8f5adc0bf95b3e
        15bf4c8373fffadf546227cc6c6742cb
        070000000ec535a37b2261223a317d00
        00000000000000000000000000000000
        ");
    }

    #[test]
    fn a_record_of_version_1_is_read_still() {
        let bytes: Vec<u8> = "544d504a010000000700000000000000\
             0190aaaabbbb7ccc8dddeeeeffff0001\
             6db7d803e74f1ffa7d8f5adc0bf95b3e\
             15bf4c8373fffadf546227cc6c6742cb\
             07000000786ea9da7b2261223a317d00"
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let header = header(&bytes).unwrap();
        assert_eq!((header.sequence, header.pending, header.migration), (7, 0, id().bits()));
        assert_eq!(body(&header, &bytes).unwrap().0, b"{\"a\":1}");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (bytes, _) = encode((7, 2), &id(), &Digest::of(b"before"), b"{\"a\":1}");
        let read = |bytes: &[u8]| {
            let header = header(bytes).ok()?;
            body(&header, bytes).map(|(json, digest)| (header, json.to_vec(), digest))
        };
        let right = read(&bytes);
        assert!(right.is_some());
        for bit in 0..(HEADER + 7) * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bytes).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_long_record_takes_several_slots() {
        let json = vec![b' '; 10_000];
        let (bytes, digest) = encode((0, 0), &id(), &Digest::from_bytes([0; 32]), &json);
        assert_eq!(bytes.len() as u64, 3 * SLOT);
        let header = header(&bytes).unwrap();
        assert_eq!(body(&header, &bytes), Some((json.as_slice(), digest)));
    }
}
