//! A trigger file that is not exactly what was packaged is refused.

use std::{fs, path::Path};

use tmp_trigger::{Trees, Trigger, TriggerError};

use crate::common::{pack, small};

fn refused(path: &Path, bytes: &[u8]) -> Result<(), TriggerError> {
    fs::write(path, bytes).unwrap();
    Trigger::open(path)?.verify().map(drop)
}

#[test]
fn every_flipped_byte_is_found() {
    let source = tempfile::tempdir().unwrap();
    let path = pack(&small(source.path()), source.path(), Trees::None).unwrap().path;
    let good = fs::read(&path).unwrap();
    assert!(good.len() >= 2048, "{}", good.len());
    assert!(refused(&path, &good).is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(refused(&path, &bad).is_err(), "byte {at} of {}", good.len());
    }
}

#[test]
fn every_truncation_and_every_addition_is_found() {
    let source = tempfile::tempdir().unwrap();
    let path = pack(&small(source.path()), source.path(), Trees::None).unwrap().path;
    let good = fs::read(&path).unwrap();
    for length in 0..good.len() {
        let error = refused(&path, &good[..length]).unwrap_err().to_string();
        assert!(error.contains("cut off"), "{length}: {error}");
    }
    for more in [&[0; 1][..], &[0; 512], &[1; 1], &good] {
        let error = refused(&path, &[&good, more].concat()).unwrap_err().to_string();
        assert!(error.contains(&format!("{} bytes follow after the end", more.len())), "{error}");
    }
}

#[test]
fn what_is_no_file_is_no_trigger() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| Trigger::open(&directory.path().join(name)).unwrap_err().to_string();
    assert!(open("missing").contains("cannot be read: No such file"));
    assert!(Trigger::open(directory.path()).unwrap_err().to_string().contains("not a regular file"));
    std::process::Command::new("mkfifo").arg(directory.path().join("fifo")).status().unwrap();
    assert!(open("fifo").contains("not a regular file"));
}
