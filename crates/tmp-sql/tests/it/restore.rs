//! Compensation by the archived copy.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tmp_core::database::{Database as _, DatabaseError, Undone};

use crate::{
    migrate::spilling,
    support::{MODES, Mode, Shop, marker},
};

const CHANGE: &str = "DROP TABLE invoice; UPDATE customer SET name = 'x'; CREATE TABLE big AS
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000) SELECT x, hex(randomblob(500)) AS y FROM n";

#[test]
fn the_copy_comes_back_whole() {
    for mode in MODES {
        for change in [CHANGE, &spilling(), "SELECT 1"] {
            let shop = Shop::new(mode);
            let dump = shop.dump();
            let (mut target, before, committed) = shop.migrate(change);
            let copy = shop.path("copy.db");
            assert_eq!(target.restore_from(&copy, &marker(1), &committed).unwrap(), Undone::Exact);
            assert_eq!(shop.side_files(), Vec::<String>::new());
            assert_eq!(target.fingerprint().unwrap(), before);
            assert_eq!(target.restore_from(&copy, &marker(1), &committed).unwrap(), Undone::Before);
            target.release();
            assert_eq!(shop.dump(), dump, "journal mode included");
            assert_eq!(shop.side_files(), Vec::<String>::new());
            assert!(!shop.path("copy.db-wal").exists() && !shop.path("copy.db-shm").exists());
        }
    }
}

#[test]
fn others_see_it_and_can_write_at_once() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let other = shop.other();
        let (mut target, _, committed) = shop.migrate(CHANGE);
        other.query_row("SELECT count(*) FROM big", [], |_| Ok(())).unwrap();
        target.restore_from(&shop.path("copy.db"), &marker(1), &committed).unwrap();
        let rows: i64 = other.query_row("SELECT count(*) FROM invoice", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 3);
        other.execute_batch("UPDATE customer SET city = 'free'").unwrap();
    }
}

#[test]
fn what_others_wrote_is_never_lost() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (mut target, _, committed) = shop.migrate(CHANGE);
        shop.other().execute_batch("INSERT INTO customer(id, name) VALUES (77, 'Foreign')").unwrap();
        let dump = shop.dump();
        match target.restore_from(&shop.path("copy.db"), &marker(1), &committed) {
            Err(DatabaseError::WrittenSince { differences, .. }) => {
                assert_eq!(differences.to_string(), "rows differ: customer");
            }
            other => panic!("{mode:?}: {other:?}"),
        }
        assert_eq!(shop.dump(), dump);
        shop.other().execute_batch("UPDATE customer SET city = 'free'").unwrap();
    }
}

#[test]
fn a_writer_at_work_makes_it_busy() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (mut target, before, committed) = shop.migrate(CHANGE);
        let other = shop.other();
        other.execute_batch("BEGIN IMMEDIATE; UPDATE customer SET city = 'late'").unwrap();
        let copy = shop.path("copy.db");
        let result = target.restore_from(&copy, &marker(1), &committed);
        assert!(matches!(result, Err(DatabaseError::Busy { .. })), "{mode:?}: {result:?}");
        other.execute_batch("ROLLBACK").unwrap();
        target.restore_from(&copy, &marker(1), &committed).unwrap();
        assert_eq!(target.fingerprint().unwrap(), before);
    }
}

#[test]
fn a_writer_that_commits_while_it_is_waited_for_is_seen() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (_, _, committed) = shop.migrate(CHANGE);
        let mut target = shop.target().with_busy_timeout(std::time::Duration::from_secs(10));
        let other = shop.other();
        other.execute_batch("BEGIN IMMEDIATE; UPDATE customer SET city = 'late'").unwrap();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(200));
            other.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
            other.execute_batch("COMMIT").unwrap();
        });
        let result = target.restore_from(&shop.path("copy.db"), &marker(1), &committed);
        writer.join().unwrap();
        assert!(matches!(result, Err(DatabaseError::WrittenSince { .. })), "{mode:?}: {result:?}");
    }
}

#[test]
fn no_write_slips_in_between_comparison_and_restore() {
    for mode in MODES {
        for round in 0..20 {
            let shop = Shop::new(mode);
            let (mut target, _, committed) = shop.migrate(CHANGE);
            let other = shop.other();
            let over = Arc::new(AtomicBool::new(false));
            let is_over = Arc::clone(&over);
            let writer = std::thread::spawn(move || {
                // Until the lock is seen to be held nothing is written, then as soon as it can be. On a busy
                // machine it may be held and given back unseen.
                while !is_over.load(Ordering::SeqCst) && other.execute_batch("BEGIN IMMEDIATE").is_ok() {
                    other.execute_batch("ROLLBACK").unwrap();
                }
                while other.execute_batch("INSERT INTO customer(id, name) VALUES (77, 'late')").is_err() {}
            });
            let mut result =
                Err(DatabaseError::Misuse { database: "main".parse().unwrap(), doing: "nothing" });
            while matches!(result, Err(DatabaseError::Busy { .. } | DatabaseError::Misuse { .. })) {
                result = target.restore_from(&shop.path("copy.db"), &marker(1), &committed);
            }
            over.store(true, Ordering::SeqCst);
            writer.join().unwrap();
            assert!(
                matches!(result, Ok(Undone::Exact) | Err(DatabaseError::WrittenSince { .. })),
                "{result:?}"
            );
            assert!(shop.dump().contains("late"), "{mode:?}, round {round}: lost after {result:?}");
        }
    }
}

#[test]
fn a_reader_is_in_the_way_of_a_rollback_journal_only() {
    for mode in MODES {
        let shop = Shop::new(mode);
        let (mut target, before, committed) = shop.migrate(CHANGE);
        let other = shop.other();
        other.execute_batch("BEGIN; SELECT count(*) FROM big").unwrap();
        let result = target.restore_from(&shop.path("copy.db"), &marker(1), &committed);
        match mode {
            Mode::Delete => assert!(matches!(result, Err(DatabaseError::Busy { .. }))),
            Mode::Wal => {
                assert_eq!(result.unwrap(), Undone::Exact);
                other.query_row("SELECT count(*) FROM big", [], |_| Ok(())).unwrap();
                assert_eq!(target.fingerprint().unwrap(), before);
            }
        }
    }
}

#[test]
fn a_bad_copy_is_refused() {
    let shop = Shop::new(Mode::Delete);
    let (mut target, _, committed) = shop.migrate(CHANGE);
    let dump = shop.dump();
    let good = std::fs::read(shop.path("copy.db")).unwrap();
    let mut torn = good.clone();
    torn.truncate(good.len() - 4096);
    let mut flipped = good.clone();
    flipped[4096..4160].fill(0xff);
    for (name, bytes) in [("torn.db", torn), ("flipped.db", flipped), ("text.db", b"no database".repeat(50))]
    {
        std::fs::write(shop.path(name), bytes).unwrap();
        let result = target.restore_from(&shop.path(name), &marker(1), &committed);
        assert!(matches!(result, Err(DatabaseError::Engine { .. })), "{name}: {result:?}");
    }
    assert!(target.restore_from(&shop.path("absent.db"), &marker(1), &committed).is_err());
    assert!(!shop.path("absent.db").exists());
    let mut late = shop.target();
    late.copy_to(&shop.path("late.db")).unwrap();
    let result = target.restore_from(&shop.path("late.db"), &marker(1), &committed);
    assert!(matches!(result, Err(DatabaseError::Engine { .. })), "{result:?}");
    assert_eq!(shop.dump(), dump);
}

#[test]
fn an_odd_path_is_no_uri() {
    let shop = Shop::new(Mode::Wal);
    let (mut target, before, committed) = shop.migrate(CHANGE);
    let odd = shop.path("a copy?mode=rw#100% ü.db");
    std::fs::rename(shop.path("copy.db"), &odd).unwrap();
    assert_eq!(target.restore_from(&odd, &marker(1), &committed).unwrap(), Undone::Exact);
    assert_eq!(target.fingerprint().unwrap(), before);
}
