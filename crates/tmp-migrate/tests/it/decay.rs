//! The archive of a migration decays while it is made: whichever block it is, nothing is staged.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tmp_core::{
    event::{Event, Work},
    outcome::Outcome,
};

use crate::{
    common::{Lab, assert_same},
    disks::Weak,
};

const BLOCK: usize = 4096;

fn lab() -> Lab {
    let mut lab = Lab::new();
    let noise: Vec<String> = (0..1500_u32).map(|n| tmp_core::Digest::of(&n.to_le_bytes()).hex()).collect();
    lab.write("bin/app", &noise.concat());
    lab.write("lib/gone", "gone");
    lab.put("bin/app", "new app");
    lab.put("bin/added", "added");
    lab.remove("lib/gone");
    lab
}

fn blobs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let hidden = entry.file_name().unwrap().to_str().unwrap().starts_with('.');
        match entry.is_dir() {
            true => found.extend(blobs(&entry)),
            false if !hidden => found.push(entry),
            false => {}
        }
    }
    found.sort();
    found
}

/// What becomes of a block.
#[derive(Debug, Clone, Copy)]
enum Decay {
    Zeroed,
    Flipped,
    Lost,
    Next,
}

/// Puts a decayed block in the place of block `number`, counted over all blobs; answers whether there was one
/// that this changes, and `None` where there are no so many.
fn decays(archive: &Path, number: usize, how: Decay) -> Option<bool> {
    let mut passed = 0;
    for path in blobs(archive) {
        let good = fs::read(&path).unwrap();
        let blocks: Vec<&[u8]> = good.chunks(BLOCK).collect();
        let Some(block) = blocks.get(number - passed) else {
            passed += blocks.len();
            continue;
        };
        let at = (number - passed) * BLOCK;
        let with = match how {
            Decay::Zeroed => vec![0; block.len()],
            Decay::Flipped => {
                block.iter().enumerate().map(|(n, byte)| byte ^ u8::from(n == number)).collect()
            }
            Decay::Lost => Vec::new(),
            Decay::Next => {
                // A write that went to the wrong place: this block and the next are exchanged.
                let rest = good.get(at + BLOCK..).unwrap_or_default();
                let next = &rest[..rest.len().min(BLOCK)];
                [next, block].concat()
            }
        };
        let end = (at + with.len().max(block.len())).min(good.len());
        let bad = [&good[..at], &with, &good[end..]].concat();
        if bad == good {
            return Some(false);
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, bad).unwrap();
        return Some(true);
    }
    None
}

#[test]
fn of_any_block_is_noticed_before_anything_is_staged() {
    let mut cases = 0;
    for how in [Decay::Zeroed, Decay::Flipped, Decay::Lost, Decay::Next] {
        for number in 0.. {
            let mut lab = lab();
            let before = lab.seen();
            let archive = lab.dir.path().join("state/archive");
            let (mut decayed, mut staged) = (None, false);
            let outcome = lab
                .migrate_watched(Weak::hasty(), |event, _| {
                    let done = |what| matches!(event, Event::Done { work, .. } if *work == what);
                    if done(Work::Archive) {
                        decayed = decays(&archive, number, how);
                    }
                    staged |= done(Work::Stage);
                })
                .unwrap();
            match decayed {
                None => break,
                Some(false) => continue,
                Some(true) => cases += 1,
            }
            let what = format!("block {number}, {how:?}");
            assert!(matches!(outcome, Outcome::RolledBack { .. }), "{what}: {outcome:?}");
            assert!(!staged, "{what}");
            assert_same(&before, &lab.seen());
            assert_eq!(lab.leftovers(), [""; 0], "{what}");
        }
    }
    assert!(cases > 50, "{cases}");
}
