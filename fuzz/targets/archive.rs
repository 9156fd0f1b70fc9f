//! Archives. The first byte says whether the rest is a pack, the index of one, a snapshot's document or its manifest; what
//! is around it is made to fit.
#![no_main]

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use libfuzzer_sys::fuzz_target;
use tmp_archive::{Archive, SnapshotId};
use tmp_core::{
    Digest,
    store::{ArchiveStore, Filler, Hold, StoreLock},
};

const ID: &str = "01a1fcdd-b17d-7228-9f95-022dde30b0c7";

/// An archive that is good.
const PACK: &[u8] = include_bytes!(
    "../../crates/tmp-archive/tests/archive/fixtures/v3/packs/01a1fcdd-b17d-7228-9f95-022dde30b0c7-0"
);
const DOCUMENT: &[u8] = include_bytes!(
    "../../crates/tmp-archive/tests/archive/fixtures/v3/snapshots/01a1fcdd-b17d-7228-9f95-022dde30b0c7"
);

fuzz_target!(|input: &[u8]| {
    let Some((part, rest)) = input.split_first() else { return };
    let (pack, document) = match part % 5 {
        0 => (rest.to_owned(), DOCUMENT.to_owned()),
        version @ (1 | 2) => {
            let (blocks, index) = split(rest);
            (pack(version, blocks, index), DOCUMENT.to_owned())
        }
        3 => (PACK.to_owned(), sealed(rest)),
        _ => of_manifest(rest),
    };
    read(pack, document);
});

/// Does all that reads a snapshot. What reading accepts, comparing it with itself finds to be the same.
fn read(pack: Vec<u8>, document: Vec<u8>) {
    let blobs = [
        ("format".to_owned(), b"tmp/archive/v1\n".to_vec()),
        (format!("packs/{ID}-0"), pack),
        (format!("snapshots/{ID}"), document),
    ];
    let store = Arc::new(Memory(Mutex::new(blobs.into())));
    let id: SnapshotId = ID.parse().expect("an id");
    let archive = Archive::open(store).expect("an archive, whatever is in it");
    let listed = archive.list().is_ok();
    let Ok(snapshot) = archive.read(&id) else {
        assert!(archive.verify(&id, &mut |_, _| ()).is_err(), "what cannot be read was verified");
        return;
    };
    assert!(listed, "what can be read cannot be listed");
    for root in &snapshot.info.roots {
        assert!(snapshot.entry(root).is_some(), "a root that its snapshot does not cover");
    }
    let verified = archive.verify(&id, &mut |_, _| ()).is_ok();
    let exported = archive.export(&id, &mut io::sink()).is_ok();
    assert!(exported || !verified, "what was verified cannot be exported");
    if let Ok(diff) = archive.diff(&id, &id) {
        assert_eq!(diff, tmp_archive::SnapshotDiff::default());
    }
}

/// Two parts, the first as long as two bytes say.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return (bytes, &[]) };
    rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()))
}

/// A pack of these blocks and this index: `docs/format/archive.md`.
fn pack(version: u8, blocks: &[u8], index: &[u8]) -> Vec<u8> {
    let mut pack = [b"TMPPACK\n", &[version, 0, 0, 0, 0, 0, 0, 0][..], blocks, index].concat();
    pack.extend((16 + blocks.len() as u64).to_le_bytes());
    pack.extend((index.len() as u64).to_le_bytes());
    pack.extend(Digest::of(index).as_bytes());
    pack.extend(b"TMPPEND\n");
    pack
}

/// The document with this JSON.
fn sealed(json: &[u8]) -> Vec<u8> {
    [json, b"\nsha256:", Digest::of(json).hex().as_bytes(), b"\n"].concat()
}

/// An archive whose snapshot is of the whole tree and has this manifest.
fn of_manifest(lines: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let lines = lines.get(..lines.len().min(1 << 20)).unwrap_or_default();
    let length = u32::try_from(lines.len()).unwrap_or_default();
    let header = [1_u32, length, 0, crc32c::crc32c(lines)].map(u32::to_le_bytes).concat();
    let header = [&header[..], Digest::of(lines).as_bytes(), &length.to_le_bytes()].concat();
    let entries = lines.iter().filter(|byte| **byte == b'\n').count();
    let json = format!(
        r#"{{"schema":"tmp/snapshot/v2","id":"{ID}","kind":"system","system":"billing","environment":"model","site":"hq",
        "made":"2026-01-01T00:00:00Z","roots":[""],"databases":[],"manifest":{{"size":{length},"pieces":[["{}",{length}]]}},
        "packs":["packs/{ID}-0"],"totals":{{"entries":{entries},"bytes":0,"new_objects":1,"new_bytes":1}}}}"#,
        Digest::of(lines),
    );
    (pack(2, &[&header, lines].concat(), &header), sealed(json.as_bytes()))
}

/// A store in memory.
#[derive(Debug)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Memory {
    fn blobs(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArchiveStore for Memory {
    fn write(&self, name: &str, fill: &mut Filler<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        fill(&mut bytes)?;
        self.blobs().insert(name.to_owned(), bytes);
        Ok(())
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let blobs = self.blobs();
        let blob = blobs.get(name).ok_or(io::ErrorKind::NotFound)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| blob.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(self.blobs().get(name).ok_or(io::ErrorKind::NotFound)?.len() as u64)
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        Ok(self.blobs().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.blobs().remove(name);
        Ok(())
    }

    fn drop_cache(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn hold(&self, _: Hold) -> io::Result<Option<StoreLock>> {
        Ok(Some(StoreLock::new(())))
    }
}
