//! The outer archive of a trigger file: `SHA256SUMS`, `trigger.yaml`, the payload, in this order.

use std::{
    fs::File,
    io::{self, Read as _},
};

use tmp_core::{Digest, digest::Hasher};

use crate::{
    error::TriggerFault,
    header::{PayloadEntry, TriggerHeader},
    limits,
    section::Section,
    tar_member::{EMPTY, END, Member},
};

pub(crate) const SUMS: &str = "SHA256SUMS";
pub(crate) const HEADER: &str = "trigger.yaml";
pub(crate) const PAYLOAD: &str = "payload/1.tar.zst";
const SIGNATURES: &str = "signatures/";
const ARCHIVE: &str = "the trigger file";

/// What the bounded front of a trigger file says.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub header: TriggerHeader,
    /// Digest of `trigger.yaml`.
    pub digest: Digest,
    /// What `trigger.yaml` says of the payload.
    pub payload: PayloadEntry,
    /// Where the compressed payload begins, and how many bytes it has.
    pub offset: u64,
    pub compressed: u64,
    /// Bytes of the whole file.
    pub size: u64,
}

/// The text of `SHA256SUMS`, as `sha256sum -c` reads it.
pub(crate) fn sums(header: &Digest, payload: &Digest) -> String {
    format!("{}  {HEADER}\n{}  {PAYLOAD}\n", header.hex(), payload.hex())
}

impl Envelope {
    /// Reads the front of `file` and no byte of the payload.
    pub(crate) fn read(file: &File) -> Result<Self, TriggerFault> {
        let metadata = file.metadata().map_err(|source| TriggerFault::Read { source })?;
        if !metadata.is_file() {
            return Err(TriggerFault::NotAFile);
        }
        let size = metadata.len();
        let mut front = Front { file, offset: 0 };
        let listed = front.small(SUMS, limits::SUMS)?;
        let text = front.small(HEADER, limits::HEADER)?;
        let member = front.header(PAYLOAD)?;
        let digest = Digest::of(&text);
        check_sums(&listed, &digest)?;
        let header = TriggerHeader::of_yaml(&text).map_err(|source| TriggerFault::Description { source })?;
        let payload = match header.payloads.as_slice() {
            [one] if one.file == PAYLOAD => one.clone(),
            several => {
                let listed = several.iter().map(|entry| entry.file.clone()).collect();
                return Err(TriggerFault::Payloads { listed });
            }
        };
        if listed != sums(&digest, &payload.digest).as_bytes() {
            return Err(TriggerFault::Sums);
        }
        let limit = limits::payload(member.size);
        if payload.size > limit {
            return Err(TriggerFault::TooLarge { what: "the payload".to_owned(), size: payload.size, limit });
        }
        let envelope = Self { header, digest, payload, offset: front.offset, compressed: member.size, size };
        envelope.check_end(file, &member)?;
        Ok(envelope)
    }

    /// After the payload come zeros up to the next block, two zero blocks, and nothing.
    fn check_end(&self, file: &File, member: &Member) -> Result<(), TriggerFault> {
        let content = self.offset.saturating_add(self.compressed);
        let whole = content.saturating_add(member.padding()).saturating_add(END.len() as u64);
        if self.size > whole {
            return Err(TriggerFault::Trailing { bytes: self.size - whole });
        }
        if self.size < whole {
            return Err(TriggerFault::Truncated { what: PAYLOAD.to_owned() });
        }
        let mut front = Front { file, offset: content };
        front.zeros(member.padding() + END.len() as u64, PAYLOAD)
    }

    /// Compares the digest of the compressed payload with what was promised.
    pub(crate) fn check_payload(&self, file: &File) -> Result<(), TriggerFault> {
        let mut section = Section::new(file, self.offset, self.compressed);
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 256 << 10];
        let mut total = 0;
        loop {
            match section.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(buffer.get(..count).unwrap_or_default());
                    total += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(TriggerFault::Read { source }),
            }
        }
        if total < self.compressed {
            return Err(TriggerFault::Truncated { what: PAYLOAD.to_owned() });
        }
        let found = hasher.finish();
        if found == self.payload.digest {
            Ok(())
        } else {
            Err(TriggerFault::Digest { what: PAYLOAD.to_owned(), expected: self.payload.digest, found })
        }
    }
}

/// `SHA256SUMS` must give `trigger.yaml` the digest it has, whatever else it says.
fn check_sums(listed: &[u8], digest: &Digest) -> Result<(), TriggerFault> {
    let text = std::str::from_utf8(listed).map_err(|_| TriggerFault::Sums)?;
    let first = text.lines().next().unwrap_or_default();
    let hex = first.strip_suffix(HEADER).and_then(|rest| rest.strip_suffix("  ")).unwrap_or_default();
    match Digest::from_hex(hex) {
        Ok(expected) if expected == *digest => Ok(()),
        Ok(expected) => Err(TriggerFault::Digest { what: HEADER.to_owned(), expected, found: *digest }),
        Err(_) => Err(TriggerFault::Sums),
    }
}

struct Front<'a> {
    file: &'a File,
    offset: u64,
}

impl Front<'_> {
    fn exact(&mut self, buffer: &mut [u8], what: &str) -> Result<(), TriggerFault> {
        Section::new(self.file, self.offset, buffer.len() as u64).read_exact(buffer).map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                TriggerFault::Truncated { what: what.to_owned() }
            } else {
                TriggerFault::Read { source }
            }
        })?;
        self.offset += buffer.len() as u64;
        Ok(())
    }

    fn header(&mut self, expected: &'static str) -> Result<Member, TriggerFault> {
        let offset = self.offset;
        let mut block = EMPTY;
        self.exact(&mut block, &format!("the header of {expected}"))?;
        Member::expect(&block, expected, ARCHIVE, offset).map_err(|fault| match fault {
            TriggerFault::Member { found: name, .. } if name.starts_with(SIGNATURES) => {
                TriggerFault::Signature { name }
            }
            fault => fault,
        })
    }

    fn small(&mut self, name: &'static str, limit: u64) -> Result<Vec<u8>, TriggerFault> {
        let member = self.header(name)?;
        let large = TriggerFault::TooLarge { what: name.to_owned(), size: member.size, limit };
        let size = usize::try_from(member.size).ok().filter(|_| member.size <= limit).ok_or(large)?;
        let mut bytes = vec![0; size];
        self.exact(&mut bytes, name)?;
        self.zeros(member.padding(), name)?;
        Ok(bytes)
    }

    fn zeros(&mut self, count: u64, after: &str) -> Result<(), TriggerFault> {
        let mut bytes = [0; 2 * END.len()];
        let Some(part) = usize::try_from(count).ok().and_then(|count| bytes.get_mut(..count)) else {
            return Ok(());
        };
        self.exact(part, after)?;
        if part.iter().any(|byte| *byte != 0) {
            return Err(TriggerFault::Filling { member: after.to_owned() });
        }
        Ok(())
    }
}
