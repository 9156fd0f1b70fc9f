//! Stores that earlier releases wrote stay readable.

use std::{fs, path::Path, sync::Arc};

use tmp_archive::{Archive, Entry, EntryPath};
use tmp_core::store::{ArchiveStore, Filler, Hold, StoreLock};

use crate::place::{id, quiet};

/// A directory that is only read, so that the fixture stays as it is.
#[derive(Debug)]
struct ReadOnly(std::path::PathBuf);

impl ArchiveStore for ReadOnly {
    fn write(&self, _: &str, _: &mut Filler<'_>) -> std::io::Result<()> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = fs::read(self.0.join(name))?;
        let rest = &bytes[usize::try_from(offset).unwrap()..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn size(&self, name: &str) -> std::io::Result<u64> {
        Ok(fs::metadata(self.0.join(name))?.len())
    }

    fn list(&self, prefix: &str) -> std::io::Result<Vec<String>> {
        let names = fs::read_dir(self.0.join(prefix))?;
        Ok(names.map(|entry| format!("{prefix}{}", entry.unwrap().file_name().to_str().unwrap())).collect())
    }

    fn remove(&self, _: &str) -> std::io::Result<()> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn drop_cache(&self, _: &str) -> std::io::Result<()> {
        Ok(())
    }

    fn hold(&self, _: Hold) -> std::io::Result<Option<StoreLock>> {
        Ok(Some(StoreLock::new(())))
    }
}

#[test]
fn version_1() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archive/fixtures/v1");
    let archive = Archive::open(Arc::new(ReadOnly(folder))).unwrap();
    assert_eq!(archive.list().unwrap().len(), 1);
    let verified = archive.verify(&id(1), &mut quiet).unwrap();
    assert_eq!((verified.entries, verified.bytes), (6, 2_098_526));
    let snapshot = archive.read(&id(1)).unwrap();
    let kinds: Vec<_> =
        snapshot.entries.iter().map(|(path, entry)| format!("{path}: {}", entry.kind())).collect();
    insta::assert_snapshot!(kinds.join("\n"));
    let path = EntryPath::from_bytes(*b"pieces").unwrap();
    let Some(Entry::File(file)) = snapshot.entry(&path) else { panic!("no file") };
    assert_eq!(file.content.pieces, [None, None], "holes take no room");
}

#[test]
fn version_2() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archive/fixtures/v2");
    let archive = Archive::open(Arc::new(ReadOnly(folder))).unwrap();
    let [info] = archive.list().unwrap().try_into().unwrap();
    assert_eq!(
        (info.schema.as_str(), info.ignored.as_slice()),
        ("tmp/snapshot/v2", &["var/**".to_owned()][..])
    );
    let verified = archive.verify(&info.id, &mut quiet).unwrap();
    assert_eq!((verified.entries, verified.bytes), (9, 3_597_156));
    let snapshot = archive.read(&info.id).unwrap();
    let kinds: Vec<_> =
        snapshot.entries.iter().map(|(path, entry)| format!("{path}: {}", entry.kind())).collect();
    insta::assert_snapshot!(kinds.join("\n"));
}

#[test]
fn packs_of_version_2() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archive/fixtures/v3");
    let archive = Archive::open(Arc::new(ReadOnly(folder))).unwrap();
    let [info] = archive.list().unwrap().try_into().unwrap();
    let verified = archive.verify(&info.id, &mut quiet).unwrap();
    assert_eq!((verified.entries, verified.bytes), (10, 13_000));
    let snapshot = archive.read(&info.id).unwrap();
    let mut out = Vec::new();
    let path = EntryPath::from_bytes(*b"dir/text-2").unwrap();
    let Some(Entry::File(file)) = snapshot.entry(&path) else { panic!("no file") };
    archive.objects(&info).unwrap().copy(&file.content, &mut out).unwrap();
    assert!(out.starts_with(b"line 2 of a text\nline 2") && out.len() == 2000, "from the middle of a block");
}
