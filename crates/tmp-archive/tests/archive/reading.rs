//! What is read while somebody writes, in many packs, and past a cache.

use std::{
    collections::HashMap,
    fs, io,
    sync::{Arc, Mutex},
};

use tmp_archive::{Archive, ArchiveError, DirectoryStore, Entry, EntryPath};
use tmp_core::{
    Digest,
    store::{ArchiveStore, Filler, Hold, StoreLock},
};

use crate::place::{Place, id, noise, paths, portion, quiet};

#[test]
fn a_file_that_changes_is_read_once_more() {
    let place = Place::new();
    let tree = place.tree("root");
    let file = place.path("root/file");
    let path: EntryPath = (&paths(&["file"])[0]).into();
    for (changes, well) in [(1_usize, true), (2, false)] {
        fs::write(&file, noise(3 << 20)).unwrap();
        let mut left = changes;
        let mut last = 0;
        let covered = paths(&["file"]);
        let archive = place.archive();
        let number = changes as u128;
        let outcome = archive.capture(&portion(number, &tree, &covered), &mut |_, bytes| {
            // Half way through each reading of the file: shorter, at last of the same length.
            if bytes == 2 << 20 && last < bytes && left > 0 {
                left -= 1;
                fs::write(&file, vec![7; if left == 1 { (2 << 20) + 17 } else { 3 << 20 }]).unwrap();
            }
            last = bytes;
        });
        if well {
            outcome.unwrap();
            let snapshot = archive.read(&id(number)).unwrap();
            let Some(Entry::File(entry)) = snapshot.entry(&path) else { panic!("no file") };
            assert_eq!(entry.content.digest, Digest::of(&fs::read(&file).unwrap()));
            assert_eq!(archive.compare(&id(number), &tree).unwrap(), []);
        } else {
            insta::assert_snapshot!(outcome.unwrap_err(), @"file changed while it was read; stop whatever writes there and try again");
            assert!(matches!(archive.read(&id(number)), Err(ArchiveError::NoSuchSnapshot { .. })));
        }
    }
}

#[test]
fn many_packs_and_what_an_interrupted_capture_left() {
    let place = Place::new();
    let tree = place.tree("root");
    fs::write(place.path("root/large"), noise(78 << 20)).unwrap();
    let archive = place.archive();
    let covered = paths(&["large"]);
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        archive.capture(&portion(1, &tree, &covered), &mut |_, bytes| assert!(bytes < 76 << 20, "killed"))
    }));
    assert!(broken.is_err());
    assert_eq!(archive.list().unwrap(), []);

    let captured = archive.capture(&portion(1, &tree, &covered), &mut quiet).unwrap();
    assert!(captured.totals.new_objects < 20, "the finished pack served again: {captured:?}");
    let info = archive.info(&id(1)).unwrap();
    assert_eq!(info.packs.len(), 2);
    archive.verify(&id(1), &mut quiet).unwrap();
}

/// Answers from a cache that only `drop_cache` empties.
#[derive(Debug)]
struct Cached {
    inner: DirectoryStore,
    cache: Mutex<HashMap<String, Vec<u8>>>,
}

impl Cached {
    fn with<T>(&self, name: &str, take: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        let mut cache = self.cache.lock().unwrap();
        if !cache.contains_key(name) {
            let mut bytes = vec![0; usize::try_from(self.inner.size(name)?).unwrap()];
            let mut read = 0;
            while read < bytes.len() {
                read += self.inner.read_at(name, read as u64, &mut bytes[read..])?;
            }
            cache.insert(name.to_owned(), bytes);
        }
        Ok(take(&cache[name]))
    }
}

impl ArchiveStore for Cached {
    fn write(&self, name: &str, fill: &mut Filler<'_>) -> io::Result<()> {
        self.inner.write(name, fill)
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(name, |bytes| {
            let rest = &bytes[usize::try_from(offset).unwrap().min(bytes.len())..];
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            length
        })
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        self.with(name, |bytes| bytes.len() as u64)
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.inner.list(prefix)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn drop_cache(&self, name: &str) -> io::Result<()> {
        self.cache.lock().unwrap().remove(name);
        Ok(())
    }

    fn hold(&self, how: Hold) -> io::Result<Option<StoreLock>> {
        self.inner.hold(how)
    }
}

#[test]
fn verifying_reads_past_every_cache() {
    let place = Place::new();
    let tree = place.tree("root");
    fs::write(place.path("root/file"), noise(5000)).unwrap();
    let inner = DirectoryStore::open(&place.disk, &place.path("store")).unwrap();
    let archive = Archive::open(Arc::new(Cached { inner, cache: Mutex::default() })).unwrap();
    archive.capture(&portion(1, &tree, &paths(&["file"])), &mut quiet).unwrap();
    archive.verify(&id(1), &mut quiet).unwrap();
    for blob in [format!("packs/{}-0", id(1)), format!("snapshots/{}", id(1))] {
        let path = place.path("store").join(blob);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[200] ^= 1;
        fs::write(&path, bad).unwrap();
        assert!(archive.verify(&id(1), &mut quiet).is_err());
        fs::write(&path, good).unwrap();
        archive.verify(&id(1), &mut quiet).unwrap();
    }
}
