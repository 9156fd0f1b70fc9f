//! Looking at a database leaves no trace.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use rusqlite::Connection;
use tmp_core::{Digest, database::Database as _};

use crate::support::{Mode, Shop};

/// Name, content and time of everything in the folder, and the folder's own time.
fn state(folder: &Path) -> Vec<(String, Option<Digest>, i64, i64)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries
        .chain([folder.to_owned()])
        .map(|path| {
            let facts = path.metadata().unwrap();
            let digest = facts.is_file().then(|| Digest::of(&std::fs::read(&path).unwrap()));
            (path.display().to_string(), digest, facts.mtime(), facts.mtime_nsec())
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn notes_without_trace(shop: &Shop) -> Vec<String> {
    let before = state(shop.folder.path());
    let mut target = shop.target();
    let facts = target.inspect().unwrap();
    target.release();
    assert_eq!(state(shop.folder.path()), before);
    assert!(facts.size >= 4096);
    facts.notes
}

#[test]
fn with_every_rollback_journal() {
    for (mode, left) in [("delete", None), ("truncate", Some(true)), ("persist", Some(false))] {
        let shop = Shop::new(Mode::Delete);
        let other: Connection = shop.other();
        other
            .execute_batch(&format!("PRAGMA journal_mode = {mode}; UPDATE customer SET city = 'x'"))
            .unwrap();
        drop(other);
        let journal = shop.path("shop.db-journal").metadata().ok().map(|facts| facts.len() == 0);
        assert_eq!(journal, left, "{mode}");
        assert_eq!(notes_without_trace(&shop), ["rollback journal"], "{mode}");
    }
}

#[test]
fn with_a_clean_log() {
    let shop = Shop::new(Mode::Wal);
    assert_eq!(notes_without_trace(&shop), ["journal mode wal"]);
}

#[test]
fn with_what_a_killed_process_left() {
    for (mode, what) in [(Mode::Wal, "write-ahead log"), (Mode::Delete, "hot journal")] {
        let shop = Shop::new(mode);
        let running = shop.other();
        running.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN").unwrap();
        running
            .execute_batch(
                "CREATE TABLE big(x); WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                 INSERT INTO big SELECT hex(zeroblob(500)) FROM n",
            )
            .unwrap();
        let killed = shop.killed();
        assert_eq!(killed.side_files().len(), 1);
        let notes = notes_without_trace(&killed);
        assert!(notes[1].contains(what), "{notes:?}");
    }
}

#[test]
fn damage_that_a_log_hides_is_found_when_copying() {
    let shop = Shop::new(Mode::Delete);
    let mut bytes = shop.bytes();
    bytes[4096..4096 + 64].fill(0xff);
    std::fs::write(shop.file(), &bytes).unwrap();
    assert!(shop.target().copy_to(&shop.path("copy.db")).is_err());
    assert!(!shop.path("copy.db").exists());
}

#[test]
fn an_applications_kept_journal_outlives_a_session_that_settled_nothing() {
    let shop = Shop::new(Mode::Delete);
    shop.other().execute_batch("PRAGMA journal_mode = TRUNCATE; UPDATE customer SET city = 'x'").unwrap();
    let before = state(shop.folder.path());
    let mut target = shop.target();
    target.fingerprint().unwrap();
    target.inspect().unwrap();
    target.release();
    assert_eq!(state(shop.folder.path()), before);
}
