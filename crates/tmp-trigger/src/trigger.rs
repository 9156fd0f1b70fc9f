//! Trigger files: opened by their bounded front, then verified whole.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::Path,
};

use tmp_core::{
    Digest,
    contents::{Contents, Visitor},
    digest::Hasher,
    enhancement::Enhancement,
    plan::Provenance,
};

use crate::{
    envelope::Envelope,
    error::{TriggerError, TriggerFault},
    header::TriggerHeader,
    inspection::Inspection,
    manifest,
    payload::PayloadReader,
    tree::CHUNK,
};

/// A trigger file of which only the bounded front has been read: nothing of the payload.
#[derive(Debug)]
#[must_use = "verify it before anything relies on it"]
pub struct Trigger {
    name: String,
    file: File,
    envelope: Envelope,
}

/// A trigger file that is whole: every byte belongs there and has the digest that was promised.
///
/// It keeps the file open and reads contents from it again on demand. Whoever writes into that very
/// file in the meantime is found out by the digests of the contents.
#[derive(Debug)]
pub struct VerifiedTrigger {
    trigger: Trigger,
    enhancement: Enhancement,
}

impl Trigger {
    /// Opens the trigger file at `path` and reads its front: at most 64 KiB of digests and 1 MiB of
    /// description, however large the file is.
    ///
    /// # Errors
    /// What is wrong with the front, with the length of the file or with what ends it.
    pub fn open(path: &Path) -> Result<Self, TriggerError> {
        let name = path.display().to_string();
        match open(path) {
            Ok((file, envelope)) => Ok(Self { name, file, envelope }),
            Err(fault) => Err(TriggerError { file: name, fault }),
        }
    }

    /// What `trigger.yaml` says.
    pub fn header(&self) -> &TriggerHeader {
        &self.envelope.header
    }

    /// The digest of `trigger.yaml`: what a signature would sign.
    pub fn digest(&self) -> Digest {
        self.envelope.digest
    }

    /// The payload digest that `trigger.yaml` promises.
    pub fn payload(&self) -> Digest {
        self.envelope.payload.payload
    }

    /// Bytes of the whole file.
    pub fn size(&self) -> u64 {
        self.envelope.size
    }

    /// Reads the whole file: digests, canonical form, limits, and the rules that a manifest keeps.
    /// Memory does not grow with the payload, apart from the manifest.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(self) -> Result<VerifiedTrigger, TriggerError> {
        match self.read_whole() {
            Ok(enhancement) => Ok(VerifiedTrigger { trigger: self, enhancement }),
            Err(fault) => Err(TriggerError { file: self.name, fault }),
        }
    }

    fn read_whole(&self) -> Result<Enhancement, TriggerFault> {
        self.envelope.check_payload(&self.file)?;
        let mut payload = PayloadReader::new(&self.file, &self.envelope)?;
        let enhancement = payload.manifest()?;
        for member in manifest::members(&enhancement) {
            let mut hasher = Hasher::new();
            payload.content(member, |bytes| digest_into(bytes, &mut hasher))?;
            check(format!("content/{}", member.0.hex()), member.0, hasher.finish())?;
        }
        check("the payload".to_owned(), self.payload(), payload.end()?)?;
        match self.header().disagreement(&enhancement) {
            Some(field) => Err(TriggerFault::Disagreement { field }),
            None => Ok(enhancement),
        }
    }
}

fn open(path: &Path) -> Result<(File, Envelope), TriggerFault> {
    let read = |source| TriggerFault::Read { source };
    // Asked before it is opened, because opening a FIFO waits for a writer.
    if !std::fs::metadata(path).map_err(read)?.is_file() {
        return Err(TriggerFault::NotAFile);
    }
    let file = File::open(path).map_err(read)?;
    let envelope = Envelope::read(&file)?;
    Ok((file, envelope))
}

fn check(what: String, expected: Digest, found: Digest) -> Result<(), TriggerFault> {
    if expected == found { Ok(()) } else { Err(TriggerFault::Digest { what, expected, found }) }
}

fn digest_into(bytes: &mut dyn Read, hasher: &mut Hasher) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match bytes.read(&mut buffer)? {
            0 => return Ok(()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

impl VerifiedTrigger {
    /// What it changes.
    pub fn enhancement(&self) -> &Enhancement {
        &self.enhancement
    }

    /// What `trigger.yaml` says.
    pub fn header(&self) -> &TriggerHeader {
        self.trigger.header()
    }

    /// The digest of `trigger.yaml`.
    pub fn digest(&self) -> Digest {
        self.trigger.digest()
    }

    /// The payload digest: the enhancement's identity.
    pub fn payload(&self) -> Digest {
        self.trigger.payload()
    }

    /// Where a plan made from this trigger comes from; `reason` is why it runs outside a window.
    pub fn provenance(&self, reason: Option<String>) -> Provenance {
        Provenance { trigger: self.digest(), payload: self.payload(), reason }
    }

    /// Everything there is to show of it.
    pub fn inspect(&self) -> Inspection<'_> {
        Inspection::new(&self.trigger, &self.enhancement)
    }
}

impl Contents for VerifiedTrigger {
    fn visit(&self, wanted: &BTreeSet<Digest>, visit: &mut Visitor<'_>) -> io::Result<()> {
        let error = |fault: TriggerFault| match fault {
            TriggerFault::Unpack { source } | TriggerFault::Read { source } => source,
            fault => io::Error::new(io::ErrorKind::InvalidData, fault),
        };
        let mut missing = wanted.clone();
        let mut payload = PayloadReader::new(&self.trigger.file, &self.trigger.envelope).map_err(error)?;
        if !missing.is_empty() {
            payload.manifest().map_err(error)?;
        }
        for (digest, size) in manifest::members(&self.enhancement) {
            if missing.is_empty() {
                break;
            }
            let is_wanted = missing.remove(&digest);
            let take = |bytes: &mut dyn Read| if is_wanted { visit(&digest, size, bytes) } else { Ok(()) };
            payload.content((digest, size), take).map_err(error)?;
        }
        match missing.first() {
            None => Ok(()),
            Some(digest) => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("the trigger has no content {digest}")))
            }
        }
    }
}
