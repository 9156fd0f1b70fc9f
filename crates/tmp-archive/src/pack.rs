//! Pack files: many objects one after the other, and an index at the end.
//!
//! Every byte is accounted for: header, objects with their headers, the headers once more as the
//! index, a footer that says where the index is and has its digest.

use std::io::{self, Write};

use tmp_core::{Digest, store::ArchiveStore};

use crate::{
    ArchiveError,
    error::read_exact,
    object::{HEADER, Header, Object},
};

const MAGIC: &[u8; 8] = b"TMPPACK\n";
const END: &[u8; 8] = b"TMPPEND\n";
const VERSION: u32 = 1;

/// A pack ends with the object that takes it past this many bytes. What an interrupted capture has in
/// finished packs need not be stored again by the next.
pub(crate) const PACK: u64 = 64 << 20;

/// The length of what stands before the first object, in bytes: magic, version, four zeros.
const PREAMBLE: usize = 16;

/// The length of the footer in bytes: where the index begins, its length, its SHA-256, magic.
const FOOTER: usize = 56;

fn preamble() -> [u8; PREAMBLE] {
    let mut bytes = [0; PREAMBLE];
    let parts = MAGIC.iter().copied().chain(VERSION.to_le_bytes());
    for (to, from) in bytes.iter_mut().zip(parts) {
        *to = from;
    }
    bytes
}

/// Writes one pack.
pub(crate) struct PackWriter<'a> {
    out: &'a mut dyn Write,
    length: u64,
    index: Vec<u8>,
}

impl<'a> PackWriter<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> io::Result<Self> {
        out.write_all(&preamble())?;
        Ok(Self { out, length: PREAMBLE as u64, index: Vec::new() })
    }

    /// How many bytes the pack has so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn put(&mut self, object: &Object) -> io::Result<()> {
        let header = object.header.encode();
        self.out.write_all(&header)?;
        self.out.write_all(&object.stored)?;
        self.length += (HEADER + object.stored.len()) as u64;
        self.index.extend_from_slice(&header);
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        let footer = [
            &self.length.to_le_bytes()[..],
            &(self.index.len() as u64).to_le_bytes(),
            Digest::of(&self.index).as_bytes(),
            END,
        ]
        .concat();
        self.out.write_all(&self.index)?;
        self.out.write_all(&footer)
    }
}

/// Reads the index of a pack: each object's header with the offset of its stored bytes.
pub(crate) fn read_index(store: &dyn ArchiveStore, name: &str) -> Result<Vec<(Header, u64)>, ArchiveError> {
    let damaged = |fault: &str| ArchiveError::damaged(name, fault);
    let size = store.size(name).map_err(ArchiveError::store("open", name))?;
    let begin = size.checked_sub(FOOTER as u64).ok_or_else(|| damaged("it is too short to be a pack"))?;
    check_preamble(store, name)?;
    let mut footer = [0; FOOTER];
    read_exact(store, name, begin, &mut footer)?;
    let (fields, end) = footer.split_last_chunk::<8>().ok_or_else(|| damaged("its footer is short"))?;
    if end != END {
        return Err(damaged("its end is not the end of a pack: it was cut off or overwritten"));
    }
    let (places, digest) = fields.split_first_chunk::<16>().ok_or_else(|| damaged("its footer is short"))?;
    let (&[offset, length], _) = places.as_chunks::<8>() else { return Err(damaged("its footer is short")) };
    let (offset, length) = (u64::from_le_bytes(offset), u64::from_le_bytes(length));
    if offset.checked_add(length) != Some(begin) || offset < PREAMBLE as u64 {
        return Err(damaged("its footer does not fit its length"));
    }
    let length = usize::try_from(length).map_err(|_| damaged("its index is too long"))?;
    let mut index = vec![0; length];
    read_exact(store, name, offset, &mut index)?;
    if Digest::of(&index).as_bytes() != digest {
        return Err(damaged("its index has another digest"));
    }
    locate(name, &index, offset)
}

fn check_preamble(store: &dyn ArchiveStore, name: &str) -> Result<(), ArchiveError> {
    let mut found = [0; PREAMBLE];
    read_exact(store, name, 0, &mut found)?;
    let (magic, rest) = found.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(ArchiveError::damaged(name, "it does not begin as a pack"));
    }
    if found == preamble() {
        return Ok(());
    }
    match rest.split_first_chunk::<4>() {
        Some((version, [0, 0, 0, 0])) => Err(ArchiveError::UnknownVersion {
            name: name.to_owned(),
            found: format!("pack version {}", u32::from_le_bytes(*version)),
            known: "pack version 1",
        }),
        _ => Err(ArchiveError::damaged(name, "it does not begin as a pack")),
    }
}

fn locate(name: &str, index: &[u8], end: u64) -> Result<Vec<(Header, u64)>, ArchiveError> {
    let damaged = |fault: &str| ArchiveError::damaged(name, fault);
    let (records, rest) = index.as_chunks::<HEADER>();
    if !rest.is_empty() {
        return Err(damaged("its index is no list of objects"));
    }
    let mut offset = PREAMBLE as u64;
    let mut objects = Vec::with_capacity(records.len());
    for record in records {
        let header = Header::decode(record).ok_or_else(|| damaged("its index has an impossible object"))?;
        objects.push((header, offset + HEADER as u64));
        offset += HEADER as u64 + u64::from(header.stored);
    }
    if offset == end { Ok(objects) } else { Err(damaged("its objects do not make up its length")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Encoder;

    #[test]
    fn the_format_of_a_pack() {
        let mut bytes = Vec::new();
        let mut pack = PackWriter::new(&mut bytes).unwrap();
        let mut encoder = Encoder::new().unwrap();
        for raw in [&b"abc"[..], &[b'z'; 200]] {
            pack.put(&encoder.encode(Digest::of(raw), raw).unwrap()).unwrap();
        }
        assert_eq!(pack.length(), 16 + 48 + 3 + 48 + 18);
        pack.finish().unwrap();
        let dump = bytes.chunks(16).enumerate().map(|(row, bytes)| {
            let text = bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
            format!("{:04x}  {:32}  {}", row * 16, tmp_core::hex::encode(bytes), text.collect::<String>())
        });
        insta::assert_snapshot!(dump.collect::<Vec<_>>().join("\n"));
    }
}
