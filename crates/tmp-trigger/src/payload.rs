//! The inner archive: `manifest.json` and the contents, each named by its digest.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
};

use tmp_core::{Digest, digest::Hasher, enhancement::Enhancement};

use crate::{
    envelope::Envelope,
    error::TriggerFault,
    limits, manifest,
    section::Section,
    tar_member::{EMPTY, END, Member},
    tree::CHUNK,
};

pub(crate) const MANIFEST: &str = "manifest.json";
const ARCHIVE: &str = "the payload";

/// The member that holds a content.
pub(crate) fn content_name(digest: &Digest) -> String {
    format!("content/{}", digest.hex())
}

/// Writes the canonical form of a manifest: JSON without white space, fields in the order of the format, maps
/// in the order of their keys. It is long where many modules change, so it is never held whole to be written.
///
/// # Errors
/// `out` cannot be written to.
pub(crate) fn write_canonical(enhancement: &Enhancement, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(CHUNK, out);
    serde_json::to_writer(&mut out, enhancement)?;
    out.flush()
}

/// How long a manifest is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Its bytes.
    pub size: u64,
    /// Its commas: no fewer than what its lists and maps hold besides the first of each.
    pub commas: u64,
}

impl Extent {
    /// Of the canonical form of `enhancement`.
    pub(crate) fn of(enhancement: &Enhancement) -> io::Result<Self> {
        let mut extent = Self::default();
        write_canonical(enhancement, &mut extent)?;
        Ok(extent)
    }

    fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.commas += bytes.iter().map(|byte| u64::from(*byte == b',')).sum::<u64>();
    }
}

impl Write for Extent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is still to be written of bytes that are known; an error is another byte than the next.
struct Expected<'a>(&'a [u8]);

impl Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_canonical(bytes: &[u8], enhancement: &Enhancement) -> bool {
    let mut expected = Expected(bytes);
    write_canonical(enhancement, &mut expected).is_ok() && expected.0.is_empty()
}

/// The uncompressed size of a payload.
pub(crate) fn size_of(manifest: u64, members: &[(Digest, u64)]) -> u64 {
    let extents = members.iter().map(|(digest, size)| Member::new(content_name(digest), *size).extent());
    let contents = extents.fold(0, u64::saturating_add);
    Member::new(MANIFEST, manifest).extent().saturating_add(contents).saturating_add(END.len() as u64)
}

/// Reads a payload from its beginning, in constant memory but for the manifest.
pub(crate) struct PayloadReader<'a> {
    bytes: Unpacked<'a>,
    declared: u64,
}

/// The uncompressed bytes: at most as many as were declared, digested as they pass.
struct Unpacked<'a> {
    decoder: zstd::Decoder<'static, BufReader<Section<'a>>>,
    hasher: Hasher,
    offset: u64,
    limit: u64,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.limit - self.offset).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..most) else { return Ok(0) };
        let count = self.decoder.read(part)?;
        self.hasher.update(part.get(..count).unwrap_or_default());
        self.offset += count as u64;
        Ok(count)
    }
}

impl<'a> PayloadReader<'a> {
    pub(crate) fn new(file: &'a File, envelope: &Envelope) -> Result<Self, TriggerFault> {
        let section = Section::new(file, envelope.offset, envelope.compressed);
        let unpack = |source| TriggerFault::Unpack { source };
        let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(CHUNK, section))
            .map_err(unpack)?
            .single_frame();
        decoder.window_log_max(limits::WINDOW_LOG).map_err(unpack)?;
        let declared = envelope.payload.size;
        Ok(Self { bytes: Unpacked { decoder, hasher: Hasher::new(), offset: 0, limit: declared }, declared })
    }

    fn fault(&self, source: io::Error) -> TriggerFault {
        if source.kind() != io::ErrorKind::UnexpectedEof {
            TriggerFault::Unpack { source }
        } else if self.bytes.offset == self.declared {
            TriggerFault::PayloadSize { declared: self.declared }
        } else {
            TriggerFault::Truncated { what: ARCHIVE.to_owned() }
        }
    }

    fn exact(&mut self, buffer: &mut [u8]) -> Result<(), TriggerFault> {
        self.bytes.read_exact(buffer).map_err(|source| self.fault(source))
    }

    /// Reads the header of the member `expected`.
    fn header(&mut self, expected: &str) -> Result<Member, TriggerFault> {
        let offset = self.bytes.offset;
        let mut block = EMPTY;
        self.exact(&mut block)?;
        let member = Member::expect(&block, expected, ARCHIVE, offset)?;
        let left = self.declared - self.bytes.offset;
        if member.size > left {
            return Err(TriggerFault::TooLarge { what: member.name, size: member.size, limit: left });
        }
        Ok(member)
    }

    fn zeros(&mut self, count: u64, after: &str) -> Result<(), TriggerFault> {
        let mut bytes = END;
        let Some(part) = usize::try_from(count).ok().and_then(|count| bytes.get_mut(..count)) else {
            return Ok(());
        };
        self.exact(part)?;
        if part.iter().any(|byte| *byte != 0) {
            return Err(TriggerFault::Filling { member: after.to_owned() });
        }
        Ok(())
    }

    /// Reads the manifest, the first member: its canonical form only.
    pub(crate) fn manifest(&mut self) -> Result<Enhancement, TriggerFault> {
        let member = self.header(MANIFEST)?;
        let limit = limits::MANIFEST;
        let large = TriggerFault::TooLarge { what: MANIFEST.to_owned(), size: member.size, limit };
        let size = usize::try_from(member.size).ok().filter(|_| member.size <= limit).ok_or(large)?;
        let mut bytes = vec![0; size];
        self.exact(&mut bytes)?;
        self.zeros(member.padding(), MANIFEST)?;
        let mut extent = Extent::default();
        extent.add(&bytes);
        if extent.commas > limits::COMMAS {
            return Err(TriggerFault::TooMany { count: extent.commas, limit: limits::COMMAS });
        }
        let enhancement: Enhancement = serde_json::from_slice(&bytes)
            .map_err(|error| TriggerFault::Manifest { message: error.to_string() })?;
        if !is_canonical(&bytes, &enhancement) {
            return Err(TriggerFault::ManifestForm);
        }
        drop(bytes);
        let faults = manifest::faults(&enhancement);
        if faults.is_empty() { Ok(enhancement) } else { Err(TriggerFault::ManifestRules { faults }) }
    }

    /// Reads the member of a content and hands its bytes to `take`; what that leaves is skipped.
    pub(crate) fn content(
        &mut self,
        (digest, size): (Digest, u64),
        take: impl FnOnce(&mut dyn Read) -> io::Result<()>,
    ) -> Result<(), TriggerFault> {
        let name = content_name(&digest);
        let member = self.header(&name)?;
        if member.size != size {
            let expected = format!("{name} of {size} bytes");
            let found = format!("{name} of {} bytes", member.size);
            return Err(TriggerFault::Member { archive: ARCHIVE, expected, found });
        }
        let mut content = (&mut self.bytes).take(size);
        let took = take(&mut content).and_then(|()| io::copy(&mut content, &mut io::sink()));
        let left = content.limit();
        match took {
            Ok(_) if left == 0 => self.zeros(member.padding(), &name),
            Ok(_) => Err(self.fault(io::ErrorKind::UnexpectedEof.into())),
            Err(source) => Err(self.fault(source)),
        }
    }

    /// Reads the end: two zero blocks, no further byte, compressed or not. Answers the payload digest.
    pub(crate) fn end(mut self) -> Result<Digest, TriggerFault> {
        self.zeros(END.len() as u64, MANIFEST).map_err(|fault| match fault {
            TriggerFault::Filling { .. } => TriggerFault::Unlisted,
            fault => fault,
        })?;
        let wrong = TriggerFault::PayloadSize { declared: self.declared };
        if self.bytes.offset != self.declared {
            return Err(wrong);
        }
        let mut more = [0; 1];
        match self.bytes.decoder.read(&mut more) {
            Ok(0) => {}
            Ok(_) => return Err(wrong),
            Err(source) => return Err(TriggerFault::Unpack { source }),
        }
        let mut rest = self.bytes.decoder.finish();
        match rest.read(&mut more) {
            Ok(0) => Ok(self.bytes.hasher.finish()),
            Ok(_) => Err(wrong),
            Err(source) => Err(TriggerFault::Read { source }),
        }
    }
}
