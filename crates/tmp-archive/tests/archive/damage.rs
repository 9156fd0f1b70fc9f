//! Whatever happens to the bytes of a store is noticed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tmp_archive::{Archive, ArchiveError, DirectoryStore};
use tmp_disk::{Disk, RealDisk};

use crate::place::{Place, id, noise, paths, portion, quiet};

/// A small store with a file of two pieces, one that compresses, a symlink and an absence.
fn small_store(place: &Place) -> PathBuf {
    let tree = place.tree("root");
    fs::write(place.path("root/plain"), b"text that compresses, text that compresses, text that compresses")
        .unwrap();
    fs::write(place.path("root/noise"), noise(1300)).unwrap();
    std::os::unix::fs::symlink("plain", place.path("root/link")).unwrap();
    fs::File::create(place.path("root/pieces")).unwrap().set_len((1 << 20) + 5).unwrap();
    fs::write(place.path("root/zeros"), vec![0; (1 << 20) + 5]).unwrap();
    let paths = paths(&["plain", "noise", "link", "zeros", "pieces", "gone"]);
    place.archive().capture(&portion(1, &tree, &paths), &mut quiet).unwrap();
    place.path("store")
}

fn blobs(store: &Path) -> Vec<PathBuf> {
    let folders = [store.to_owned(), store.join("packs"), store.join("snapshots")];
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.is_file() && !path.file_name().unwrap().to_str().unwrap().starts_with('.'))
        .collect();
    files.sort();
    files
}

/// Opens the archive anew and verifies its snapshot.
fn verify(store: &Path) -> Result<(), ArchiveError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let archive = Archive::open(Arc::new(DirectoryStore::open(&disk, store)?))?;
    archive.verify(&id(1), &mut quiet).map(drop)
}

#[test]
fn every_flipped_byte_is_noticed() {
    let place = Place::new();
    let store = small_store(&place);
    verify(&store).unwrap();
    let blobs = blobs(&store);
    assert_eq!(blobs.len(), 3);
    for path in blobs {
        let good = fs::read(&path).unwrap();
        assert!(good.len() < 8192, "small enough to flip every byte");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, &bad).unwrap();
            assert!(verify(&store).is_err(), "byte {at} of {}", path.display());
        }
        fs::write(&path, &good).unwrap();
    }
    verify(&store).unwrap();
}

#[test]
fn every_truncation_and_every_extra_byte_is_noticed() {
    let place = Place::new();
    let store = small_store(&place);
    for path in blobs(&store) {
        let good = fs::read(&path).unwrap();
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(verify(&store).is_err(), "{length} bytes of {}", path.display());
        }
        fs::write(&path, [&good[..], b"\n"].concat()).unwrap();
        assert!(verify(&store).is_err(), "an extra byte of {}", path.display());
        fs::write(&path, &good).unwrap();
    }
    verify(&store).unwrap();
}

#[test]
fn missing_blobs_are_named() {
    let place = Place::new();
    let store = small_store(&place);
    let blobs = blobs(&store);
    let texts: Vec<_> = blobs
        .iter()
        .map(|path| {
            let good = fs::read(path).unwrap();
            fs::remove_file(path).unwrap();
            let text = verify(&store).unwrap_err().to_string();
            fs::write(path, good).unwrap();
            text
        })
        .collect();
    insta::with_settings!({ filters => [("sha256:[0-9a-f]{64}", "[DIGEST]")] }, {
        insta::assert_snapshot!(texts.join("\n"));
    });
}

#[test]
fn unknown_versions_and_other_folders_are_refused() {
    let place = Place::new();
    let store = small_store(&place);
    let refusal = |name: &str, from: &[u8], to: &[u8]| {
        let path = store.join(name);
        let good = fs::read(&path).unwrap();
        let at = good.windows(from.len()).position(|window| window == from).unwrap();
        let mut bad = good.clone();
        bad.splice(at..at + from.len(), to.iter().copied());
        if name.starts_with("snapshots") {
            let json = bad.len() - 73;
            let digest = tmp_core::Digest::of(&bad[..json]).hex();
            bad.splice(json + 8..json + 72, digest.into_bytes());
        }
        fs::write(&path, bad).unwrap();
        let text = verify(&store).unwrap_err().to_string();
        fs::write(&path, good).unwrap();
        text
    };
    let pack = format!("packs/{}-0", id(1));
    let snapshot = format!("snapshots/{}", id(1));
    let mut texts = vec![
        refusal("format", b"v1", b"v2"),
        refusal("format", b"tmp/archive", b"git"),
        refusal(&pack, b"PACK\n\x02", b"PACK\n\x03"),
        refusal(&snapshot, b"snapshot/v2", b"snapshot/v7"),
    ];
    fs::create_dir(place.path("other")).unwrap();
    fs::write(place.path("other/readme.md"), "mine").unwrap();
    texts.push(verify(&place.path("other")).unwrap_err().to_string());
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_damaged_pack_does_not_serve_new_snapshots() {
    let place = Place::new();
    let store = small_store(&place);
    let pack = store.join(format!("packs/{}-0", id(1)));
    let good = fs::read(&pack).unwrap();
    fs::write(&pack, &good[..good.len() - 1]).unwrap();
    let tree = place.tree("root");
    let paths = paths(&["plain"]);
    let archive = place.archive();
    archive.capture(&portion(2, &tree, &paths), &mut quiet).unwrap();
    archive.verify(&id(2), &mut quiet).unwrap();
    assert!(archive.verify(&id(1), &mut quiet).is_err());
}

/// Blocks of a disk go as a whole: each one of every blob, zeroed, other bytes, left out, exchanged with the next, or
/// with that in its place.
#[test]
fn every_lost_block_and_every_wrong_length_is_noticed() {
    let place = Place::new();
    let tree = place.tree("root");
    for number in 0..40_usize {
        let bytes = if number % 2 == 0 { noise(700 * number) } else { vec![b'a'; 1000 * number] };
        fs::write(place.path("root").join(format!("file-{number}")), bytes).unwrap();
    }
    fs::write(place.path("root/long"), noise((1 << 20) + 99)).unwrap();
    let archive = place.archive();
    archive.capture(&crate::place::whole(1, &tree), &mut quiet).unwrap();
    drop(archive);
    let store = place.path("store");
    let mut tried = 0;
    for path in blobs(&store) {
        let good = fs::read(&path).unwrap();
        for (number, block) in good.chunks(4096).enumerate() {
            let at = number * 4096;
            let replaced = |with: Vec<u8>| [&good[..at], &with, &good[at + block.len()..]].concat();
            let other: Vec<u8> = block.iter().map(|byte| byte.wrapping_add(1)).collect();
            // What went to the wrong place: this block where the next belongs, and the reverse.
            let rest = &good[at + block.len()..];
            let next = &rest[..rest.len().min(block.len())];
            let swapped = [&good[..at], next, block, &rest[next.len()..]].concat();
            let doubled = [&good[..at], next, rest].concat();
            for bad in
                [replaced(vec![0; block.len()]), replaced(other), replaced(Vec::new()), swapped, doubled]
            {
                if bad == good {
                    continue;
                }
                fs::write(&path, bad).unwrap();
                assert!(verify(&store).is_err(), "block {number} of {}", path.display());
                tried += 1;
            }
        }
        for length in [good.len() - 1, good.len() / 2, 0] {
            fs::write(&path, &good[..length]).unwrap();
            assert!(verify(&store).is_err(), "{length} bytes of {}", path.display());
        }
        fs::write(&path, [&good[..], &[0; 4096]].concat()).unwrap();
        assert!(verify(&store).is_err(), "a block more of {}", path.display());
        fs::write(&path, &good).unwrap();
    }
    verify(&store).unwrap();
    assert!(tried > 1400, "{tried}");
}
