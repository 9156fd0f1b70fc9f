//! Writes the bytes of a trigger file in one pass over the contents.

use std::io::{self, Read, Write};

use tmp_core::{Digest, digest::Hasher};
use tmp_disk::{Disk, DiskError, OpenFile, write_all_at};
use zstd::zstd_safe::CParameter;

use crate::{
    assemble::Checked,
    envelope::{self, HEADER, PAYLOAD, SUMS},
    header::TriggerHeader,
    limits,
    package::{PackageError, within, write_error},
    payload::{MANIFEST, content_name, write_canonical},
    tar_member::{END, Member},
    tree::{CHUNK, Place},
};

/// How hard the payload is compressed. Part of the promise that one release makes the same bytes.
const LEVEL: i32 = 3;
/// Threads that compress while this one reads and digests. The bytes are the same however many there are.
const WORKERS: u32 = 2;
/// Bytes that one thread compresses at a time. Part of that promise too.
const JOB: u32 = 1 << 20;

/// All that goes into a trigger file.
pub(crate) struct Writer<'a> {
    /// The enhancement and where each of its contents lies.
    pub checked: &'a Checked,
    /// The bytes of its manifest.
    pub manifest: u64,
    /// The contents in the order of the payload.
    pub members: Vec<(Digest, u64)>,
    /// The description; the digests of its payload are not known yet.
    pub header: TriggerHeader,
}

impl Writer<'_> {
    /// Writes the payload to where it belongs and then what stands before it, whose length does not
    /// depend on the digests. Answers the description, its digest and the length of the file, which
    /// is durable then.
    pub(crate) fn write(
        mut self,
        disk: &dyn Disk,
        file: &OpenFile,
    ) -> Result<(TriggerHeader, Digest, u64), PackageError> {
        let start = self.front(0)?.len() as u64;
        let mut out = FileWriter { disk, file, offset: start, hasher: Hasher::new() };
        let payload = self.payload(&mut out)?;
        let (compressed, digest) = (out.offset - start, out.hasher.clone().finish());
        for entry in &mut self.header.payloads {
            within("the payload", entry.size, limits::payload(compressed))?;
            (entry.digest, entry.payload) = (digest, payload);
        }
        let name = self.header.file_name();
        let written = |source| write_error(DiskError { doing: "write", path: name.clone(), source });
        out.zeros(Member::new(PAYLOAD, compressed).padding()).map_err(written)?;
        out.write_all(&END).map_err(written)?;
        let size = out.offset;
        let front = self.front(compressed)?;
        write_all_at(disk, file, 0, &front).map_err(written)?;
        disk.sync_file(file).map_err(written)?;
        let digest = Digest::of(self.description()?.as_bytes());
        Ok((self.header, digest, size))
    }

    fn description(&self) -> Result<String, PackageError> {
        let text = self.header.to_yaml().map_err(|message| PackageError::Description { message })?;
        within(HEADER, text.len() as u64, limits::HEADER)?;
        Ok(text)
    }

    /// Everything before the bytes of the compressed payload.
    fn front(&self, compressed: u64) -> Result<Vec<u8>, PackageError> {
        let text = self.description()?;
        let payload = self.header.payloads.first().map_or_else(|| Digest::of(b""), |entry| entry.digest);
        let sums = envelope::sums(&Digest::of(text.as_bytes()), &payload);
        let mut front = Vec::new();
        let written = |source| write_error(DiskError { doing: "write", path: HEADER.to_owned(), source });
        for (name, content) in [(SUMS, sums), (HEADER, text)] {
            let member = Member::new(name, content.len() as u64);
            front.extend(member.encode().map_err(written)?);
            front.extend(content.as_bytes());
            front.resize(front.len() + usize::try_from(member.padding()).unwrap_or_default(), 0);
        }
        front.extend(Member::new(PAYLOAD, compressed).encode().map_err(written)?);
        Ok(front)
    }

    /// Compresses the payload into `out`; answers its digest.
    fn payload(&self, out: &mut FileWriter<'_>) -> Result<Digest, PackageError> {
        let name = self.header.file_name();
        let written = |source| write_error(DiskError { doing: "write", path: name.clone(), source });
        let size = self.header.payloads.first().map(|entry| entry.size);
        let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(written)?;
        encoder.set_pledged_src_size(size).map_err(written)?;
        encoder.multithread(WORKERS).map_err(written)?;
        encoder.set_parameter(CParameter::JobSize(JOB)).map_err(written)?;
        let mut payload = Digesting { out: encoder, hasher: Hasher::new() };
        let manifest = Member::new(MANIFEST, self.manifest);
        payload.member(&manifest, |out| write_canonical(&self.checked.enhancement, out)).map_err(written)?;
        let mut buffer = vec![0; CHUNK];
        for (digest, size) in &self.members {
            let Some(place) = self.checked.contents.get(digest) else { continue };
            let member = Member::new(content_name(digest), *size);
            let mut copied = Ok(());
            let copy = |out: &mut dyn Write| copy(place, (digest, *size), out, &mut buffer, &mut copied);
            let wrote = payload.member(&member, copy);
            copied?;
            wrote.map_err(written)?;
        }
        payload.write_all(&END).map_err(written)?;
        payload.out.finish().map_err(written)?;
        Ok(payload.hasher.finish())
    }
}

/// Copies the file at `place`, which must still be what its digest says. What is wrong with the file
/// goes to `fault`, what is wrong with `out` is the answer.
fn copy(
    place: &Place,
    (digest, size): (&Digest, u64),
    out: &mut dyn Write,
    buffer: &mut [u8],
    fault: &mut Result<(), PackageError>,
) -> io::Result<()> {
    let file = || place.shown();
    let mut source = match place.open() {
        Ok(source) => source.take(size.saturating_add(1)),
        Err(source) => {
            *fault = Err(PackageError::Read { file: file(), source });
            return Ok(());
        }
    };
    let (mut hasher, mut total) = (Hasher::new(), 0);
    loop {
        let count = match source.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                *fault = Err(PackageError::Read { file: file(), source });
                return Ok(());
            }
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        total += count as u64;
        if count == 0 || total > size {
            break;
        }
        hasher.update(bytes);
        out.write_all(bytes)?;
    }
    if total != size || hasher.finish() != *digest {
        *fault = Err(PackageError::Changed { file: file() });
    }
    Ok(())
}

/// Writes into a file from an offset on and digests what it writes.
struct FileWriter<'a> {
    disk: &'a dyn Disk,
    file: &'a OpenFile,
    offset: u64,
    hasher: Hasher,
}

impl FileWriter<'_> {
    fn zeros(&mut self, count: u64) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(count), self).map(drop)
    }
}

impl Write for FileWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all_at(self.disk, self.file, self.offset, bytes)?;
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Digests what passes on its way to the compressor.
struct Digesting<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Digesting<W> {
    fn member(
        &mut self,
        member: &Member,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.write_all(&member.encode()?)?;
        fill(self)?;
        io::copy(&mut io::repeat(0).take(member.padding()), self).map(drop)
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
