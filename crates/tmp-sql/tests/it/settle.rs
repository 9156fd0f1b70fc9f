//! Whether a migration committed, asked after the process died.

use tmp_core::database::{Database as _, DatabaseError, Settled};

use crate::{
    migrate::spilling,
    support::{MODES, Mode, Shop, marker},
};

#[test]
fn killed_before_commit_is_not_committed() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (bytes, dump) = (shop.bytes(), shop.dump());
        let mut running = shop.target();
        shop.prepare(&mut running, &spilling());
        let killed = shop.killed();
        assert_eq!(killed.side_files().len(), 1, "a hot journal or a log");
        running.abandon().unwrap();
        let mut found = killed.target();
        assert_eq!(found.settle(&marker(1)).unwrap(), Settled::NotCommitted);
        found.release();
        if mode == Mode::Delete {
            assert_eq!(killed.bytes(), bytes);
        }
        assert_eq!(killed.dump(), dump);
    }
}

#[test]
fn killed_after_commit_is_committed() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (target, _, committed) = shop.migrate(&spilling());
        let killed = shop.killed();
        drop(target);
        let mut found = killed.target();
        assert_eq!(found.settle(&marker(1)).unwrap(), Settled::Committed);
        assert_eq!(found.settle(&marker(2)).unwrap(), Settled::NotCommitted);
        assert_eq!(found.fingerprint().unwrap(), committed);
    }
}

#[test]
fn what_is_found_committed_is_committed_once_more() {
    // Visible is not durable: only a COMMIT that really writes syncs what the killed one did not.
    for mode in MODES {
        let shop = Shop::new(mode);
        let (target, ..) = shop.migrate("CREATE TABLE a(x)");
        drop(target);
        let other = shop.other();
        let version = || -> i64 { other.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap() };
        let before = version();
        let mut target = shop.target();
        assert_eq!(target.settle(&marker(1)).unwrap(), Settled::Committed);
        target.release();
        assert_ne!(version(), before, "{mode:?}");
    }
}

#[test]
fn a_hot_journal_of_a_commit_that_did_not_end_is_rolled_back() {
    // The file already holds every new page, the journal is still there: COMMIT had not happened.
    let shop = Shop::new(Mode::Delete);
    let dump = shop.dump();
    let mut running = shop.target();
    shop.prepare(&mut running, &spilling());
    std::fs::hard_link(shop.path("shop.db-journal"), shop.path("kept")).unwrap();
    running.commit().unwrap();
    running.release();
    let killed = shop.killed();
    std::fs::copy(shop.path("kept"), killed.path("shop.db-journal")).unwrap();
    assert_eq!(killed.target().settle(&marker(1)).unwrap(), Settled::NotCommitted);
    assert_eq!(killed.dump(), dump);
}

#[test]
fn the_answer_stays_true_until_release() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let mut target = shop.target();
        assert_eq!(target.settle(&marker(1)).unwrap(), Settled::NotCommitted);
        assert!(shop.other().execute_batch("UPDATE customer SET city = 'x'").is_err());
        target.release();
        shop.other().execute_batch("UPDATE customer SET city = 'x'").unwrap();
    }
}

#[test]
fn not_committed_writes_nothing() {
    let shop = Shop::new(Mode::Delete);
    let bytes = shop.bytes();
    let mut target = shop.target();
    target.settle(&marker(1)).unwrap();
    target.release();
    assert_eq!(shop.bytes(), bytes);
}

#[test]
fn a_commit_behind_the_end_of_the_log_cannot_come_back() {
    // A process wrote its whole COMMIT into the log and died before it told the shared index, which
    // another connection keeps alive. After a power loss the index would be built from the log.
    let shop = Shop::new(Mode::Wal);
    let keeper = shop.other();
    keeper.execute_batch("UPDATE customer SET city = 'a' WHERE id = 1").unwrap();
    let index = std::fs::read(shop.path("shop.db-shm")).unwrap();
    let (running, ..) = shop.migrate("CREATE TABLE ghost(x)");
    drop(running);
    write_in_place(&shop.path("shop.db-shm"), &index);
    let mut target = shop.target();
    assert_eq!(target.settle(&marker(1)).unwrap(), Settled::NotCommitted);
    let lost_power = shop.killed();
    assert!(!lost_power.dump().contains("ghost"), "the log says otherwise now");
    target.release();
}

fn write_in_place(path: &std::path::Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt as _;
    std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, 0).unwrap();
}

#[test]
fn a_foreign_nonce_is_an_error_that_names_the_migration() {
    let shop = Shop::new(Mode::Delete);
    drop(shop.migrate("CREATE TABLE a(x)"));
    let mut other = marker(1);
    other.nonce = "0".repeat(32);
    let error = shop.target().settle(&other).unwrap_err();
    insta::assert_snapshot!(error);
    shop.other().execute_batch("UPDATE customer SET city = 'free'").unwrap();
}

#[test]
fn in_doubt_while_somebody_holds_it() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let other = shop.other();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let result = shop.target().settle(&marker(1));
        assert!(matches!(result, Err(DatabaseError::Busy { .. })), "{mode:?}: {result:?}");
    }
}

#[test]
fn what_it_carries_is_seen_without_a_trace() {
    for mode in MODES {
        let shop = Shop::new(mode);
        assert!(!shop.target().carries(&marker(1)).unwrap(), "{mode:?}");
        let (mut target, ..) = shop.migrate("CREATE TABLE a(x)");
        // With the session at hand, and with somebody else's log in use.
        assert!(target.carries(&marker(1)).unwrap() && shop.target().carries(&marker(1)).unwrap());
        assert!(!target.carries(&marker(2)).unwrap());
        target.release();
        drop(target);
        let (bytes, side_files) = (shop.bytes(), shop.side_files());
        assert!(shop.target().carries(&marker(1)).unwrap() && !shop.target().carries(&marker(2)).unwrap());
        assert_eq!((shop.bytes(), shop.side_files()), (bytes, side_files), "{mode:?}");
    }
}
