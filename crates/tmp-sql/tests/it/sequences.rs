//! Sequences are part of what a database was: after every way back the next row gets the number it would have got.

use tmp_core::database::{Database as _, Undo, Undone};

use crate::support::{MODES, Shop, marker, text};

/// What is done to sequences, and the script that takes it back.
const CHANGES: &[(&str, &str)] = &[
    (
        "INSERT INTO invoice(customer, cents) VALUES (1, 1), (1, 2)",
        "DELETE FROM invoice WHERE id > 3; UPDATE sqlite_sequence SET seq = 3 WHERE name = 'invoice'",
    ),
    (
        "INSERT INTO invoice(id, cents) VALUES (1000000, 1); DELETE FROM invoice WHERE id = 1000000",
        "UPDATE sqlite_sequence SET seq = 3 WHERE name = 'invoice'",
    ),
    (
        "UPDATE sqlite_sequence SET seq = 77 WHERE name = 'invoice'",
        "UPDATE sqlite_sequence SET seq = 3 WHERE name = 'invoice'",
    ),
    ("DELETE FROM sqlite_sequence", "INSERT INTO sqlite_sequence(name, seq) VALUES ('invoice', 3)"),
    (
        "CREATE TABLE fee(id INTEGER PRIMARY KEY AUTOINCREMENT, cents); INSERT INTO fee(cents) VALUES (1), (2)",
        "DROP TABLE fee",
    ),
    ("DELETE FROM invoice", "INSERT INTO invoice VALUES (1, 1, 100, 'a'), (2, 1, 250, 'b'), (3, 2, 0, NULL)"),
    ("ALTER TABLE invoice RENAME TO bill", "ALTER TABLE bill RENAME TO invoice"),
    (
        "INSERT INTO invoice(id, cents) VALUES (9223372036854775807, 1)",
        "DELETE FROM invoice WHERE id > 3; UPDATE sqlite_sequence SET seq = 3 WHERE name = 'invoice'",
    ),
];

/// Every sequence, and the number that the next row gets, by somebody else's connection. Changes nothing.
fn sequences(shop: &Shop) -> (Vec<(String, i64)>, i64) {
    let mut other = shop.other();
    let mut all = Vec::new();
    {
        let mut rows = other.prepare("SELECT name, seq FROM sqlite_sequence ORDER BY name").unwrap();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            all.push((row.get(0).unwrap(), row.get(1).unwrap()));
        }
    }
    let trial = other.transaction().unwrap();
    trial.execute("INSERT INTO invoice(customer, cents) VALUES (1, 5)", []).unwrap();
    let next = trial.last_insert_rowid();
    trial.rollback().unwrap();
    (all, next)
}

#[test]
fn are_the_same_where_nothing_committed() {
    for mode in MODES {
        for (change, _) in CHANGES {
            let shop = Shop::new(mode);
            let before = sequences(&shop);
            let mut target = shop.target();
            drop(shop.prepare(&mut target, change));
            target.abandon().unwrap();
            target.release();
            assert_eq!(sequences(&shop), before, "{change}");
        }
    }
}

#[test]
fn are_the_same_after_the_scripts_and_missing_ones_are_found_out() {
    for mode in MODES {
        for (change, back) in CHANGES {
            let shop = Shop::new(mode);
            let (expected, dump) = (sequences(&shop), shop.dump());
            let (mut target, before, committed) = shop.migrate(change);
            let mut undo = |back: &str| {
                let scripts = [text(back)];
                let undo =
                    Undo { marker: &marker(1), scripts: &scripts, before: &before, committed: &committed };
                target.undo(&undo)
            };
            // Without what is said of the sequences, it does not lead back.
            let careless: Vec<&str> =
                back.split("; ").filter(|part| !part.contains("sqlite_sequence")).collect();
            if back.contains("sqlite_sequence") {
                let careless = if careless.is_empty() { "SELECT 1".to_owned() } else { careless.join("; ") };
                let error = undo(&careless).unwrap_err().to_string();
                assert!(error.contains("sqlite_sequence"), "{change}: {error}");
            }
            assert_eq!(undo(back).unwrap(), Undone::Exact, "{change}");
            target.release();
            assert_eq!(sequences(&shop), expected, "{change}");
            assert_eq!(shop.dump(), dump, "{change}");
        }
    }
}

#[test]
fn are_the_same_after_the_archive() {
    for mode in MODES {
        for (change, _) in CHANGES {
            let shop = Shop::new(mode);
            let (expected, dump) = (sequences(&shop), shop.dump());
            let (mut target, _, committed) = shop.migrate(change);
            let copy = shop.path("copy.db");
            assert_eq!(
                target.restore_from(&copy, &marker(1), &committed).unwrap(),
                Undone::Exact,
                "{change}"
            );
            target.release();
            assert_eq!(sequences(&shop), expected, "{change}");
            assert_eq!(shop.dump(), dump, "{change}");
        }
    }
}
