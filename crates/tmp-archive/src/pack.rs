//! Pack files: many blocks of objects one after the other, and an index at the end.
//!
//! Every byte is accounted for: preamble, blocks with their headers, the headers once more as the
//! index, a footer that says where the index is and has its digest.

use std::io::{self, Write};

use tmp_core::{Digest, store::ArchiveStore};

use crate::{
    ArchiveError,
    block::{self, Block, Form, Header},
    error::read_exact,
};

const MAGIC: &[u8; 8] = b"TMPPACK\n";
const END: &[u8; 8] = b"TMPPEND\n";
const VERSION: u32 = 2;

/// The version before, in which each object was a block of its own. It is read still.
const FIRST: u32 = 1;

/// A pack ends with the block that takes it past this many bytes. What an interrupted capture has in
/// finished packs need not be stored again by the next.
pub(crate) const PACK: u64 = 64 << 20;

/// The length of what stands before the first block, in bytes: magic, version, four zeros.
const PREAMBLE: usize = 16;

/// The length of the footer in bytes: where the index begins, its length, its SHA-256, magic.
const FOOTER: usize = 56;

fn preamble(version: u32) -> [u8; PREAMBLE] {
    let mut bytes = [0; PREAMBLE];
    let parts = MAGIC.iter().copied().chain(version.to_le_bytes());
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
        out.write_all(&preamble(VERSION))?;
        Ok(Self { out, length: PREAMBLE as u64, index: Vec::new() })
    }

    /// How many bytes the pack has so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn put(&mut self, block: &Block) -> io::Result<()> {
        let header = block.header.encode();
        self.out.write_all(&header)?;
        self.out.write_all(&block.stored)?;
        self.length += block.length();
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

/// One block as the index of its pack says.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) header: Header,
    pub(crate) place: Place,
}

/// Where a block is in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where its header begins.
    pub(crate) begin: u64,
    /// How long the header is.
    pub(crate) header: u32,
    /// CRC-32C (RFC 3720) of the header.
    pub(crate) crc: u32,
}

/// Reads the index of a pack.
pub(crate) fn read_index(store: &dyn ArchiveStore, name: &str) -> Result<Vec<Listed>, ArchiveError> {
    let damaged = |fault: &str| ArchiveError::damaged(name, fault);
    let size = store.size(name).map_err(ArchiveError::store("open", name))?;
    let begin = size.checked_sub(FOOTER as u64).ok_or_else(|| damaged("it is too short to be a pack"))?;
    let version = check_preamble(store, name)?;
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
    locate(name, version, &index, offset)
}

/// The version of a pack.
fn check_preamble(store: &dyn ArchiveStore, name: &str) -> Result<u32, ArchiveError> {
    let mut found = [0; PREAMBLE];
    read_exact(store, name, 0, &mut found)?;
    let (magic, rest) = found.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(ArchiveError::damaged(name, "it does not begin as a pack"));
    }
    if let Some(version) = [VERSION, FIRST].into_iter().find(|version| found == preamble(*version)) {
        return Ok(version);
    }
    match rest.split_first_chunk::<4>() {
        Some((version, [0, 0, 0, 0])) => Err(ArchiveError::UnknownVersion {
            name: name.to_owned(),
            found: format!("pack version {}", u32::from_le_bytes(*version)),
            known: "pack version 2",
        }),
        _ => Err(ArchiveError::damaged(name, "it does not begin as a pack")),
    }
}

fn locate(name: &str, version: u32, index: &[u8], end: u64) -> Result<Vec<Listed>, ArchiveError> {
    let damaged = |fault: &str| ArchiveError::damaged(name, fault);
    let take = if version == FIRST { Header::take_first } else { Header::take };
    let mut begin = PREAMBLE as u64;
    let mut blocks = Vec::new();
    let mut rest = index;
    while !rest.is_empty() {
        let before = rest;
        let header = take(&mut rest).ok_or_else(|| damaged("its index has an impossible block"))?;
        let written = before.get(..before.len() - rest.len()).unwrap_or_default();
        let length = u32::try_from(written.len()).unwrap_or(u32::MAX);
        let place = Place { begin, header: length, crc: crc32c::crc32c(written) };
        begin += u64::from(length) + u64::from(header.form.stored);
        blocks.push(Listed { header, place });
    }
    if begin == end { Ok(blocks) } else { Err(damaged("its blocks do not make up its length")) }
}

/// The raw bytes of a block that is in a pack.
///
/// # Errors
/// The pack cannot be read, or the block is not what its index says.
pub(crate) fn read_block(
    store: &dyn ArchiveStore,
    name: &str,
    place: &Place,
    form: &Form,
) -> Result<Vec<u8>, ArchiveError> {
    let damaged =
        |fault: &str| ArchiveError::damaged(format!("the block at byte {} of {name}", place.begin), fault);
    let mut bytes = vec![0; place.header as usize + form.stored as usize];
    read_exact(store, name, place.begin, &mut bytes)?;
    let stored = bytes.split_off(place.header as usize);
    if crc32c::crc32c(&bytes) != place.crc {
        return Err(damaged("its header is not what the pack's index says"));
    }
    block::decode(form, stored).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Encoder;

    #[test]
    fn the_format_of_a_pack() {
        let mut bytes = Vec::new();
        let mut pack = PackWriter::new(&mut bytes).unwrap();
        let mut encoder = Encoder::new().unwrap();
        let objects = |raws: &[&[u8]]| {
            raws.iter().map(|raw| (Digest::of(raw), u32::try_from(raw.len()).unwrap())).collect::<Vec<_>>()
        };
        for raws in [&[&b"abc"[..]][..], &[&[b'z'; 200], &[b'z'; 77]]] {
            pack.put(&encoder.encode(objects(raws), &raws.concat()).unwrap()).unwrap();
        }
        pack.finish().unwrap();
        let dump = bytes.chunks(16).enumerate().map(|(row, bytes)| {
            let text = bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
            format!("{:04x}  {:32}  {}", row * 16, tmp_core::hex::encode(bytes), text.collect::<String>())
        });
        insta::assert_snapshot!(dump.collect::<Vec<_>>().join("\n"));
    }
}
