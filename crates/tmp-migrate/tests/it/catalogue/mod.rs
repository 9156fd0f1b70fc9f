//! A catalogue of roll-back mistakes, each caught with its class, and of correct roll-backs, none refused.

mod correct;
mod mistakes;

use std::{sync::Mutex, thread};

use tmp_migrate::rehearse::{Class, Proof, Verdict};

use crate::{common::Lab, rehearse::rehearse};

/// A change of a database and its way back.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) before: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

const fn case(name: &'static str, before: &'static str, up: &'static str, down: &'static str) -> Case {
    Case { name, before, up, down }
}

/// A table with something of everything in its columns.
const ITEM: &str =
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER DEFAULT 10, \
                    note TEXT);
INSERT INTO item VALUES (1, 'pen', 3, 'blue'), (2, 'ink', 7, NULL), (3, 'cap', 7, 'red');";

/// Two tables, the one referring to the other.
const PAIR: &str = "CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE pet (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owner (id) ON DELETE CASCADE, name TEXT);
INSERT INTO owner VALUES (1, 'ann'), (2, 'bob');
INSERT INTO pet VALUES (1, 1, 'rex'), (2, 2, 'tom');";

/// A table with an index, a view and triggers on it.
const SEEN: &str = "CREATE TABLE t (a INTEGER, b TEXT COLLATE NOCASE, c TEXT);
CREATE TABLE log (what TEXT);
CREATE INDEX t_a ON t (a) WHERE a > 0;
CREATE UNIQUE INDEX t_lower ON t (lower(b));
CREATE VIEW v AS SELECT a, b FROM t;
CREATE TRIGGER t_log AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.b); END;
INSERT INTO t VALUES (1, 'x', 'one'), (2, 'y', 'two');";

/// How many cases are rehearsed at a time.
const WORKERS: usize = 2;

/// Rehearses every case and answers what `judge` says against it.
fn rehearsed<'a>(
    cases: impl Iterator<Item = &'a Case> + Send,
    judge: impl Fn(&Case, &Proof) -> Option<String> + Sync,
) -> Vec<String> {
    let (cases, wrong) = (Mutex::new(cases), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let next = cases.lock().unwrap().next();
                    let Some(case) = next else { break };
                    let mut lab = in_memory(case.before);
                    lab.sql("change", case.up, Some(case.down), None);
                    let proof = rehearse(&lab, false).unwrap();
                    assert_eq!(lab.beside(), ["app.db", "live"], "{}", case.name);
                    wrong.lock().unwrap().extend(judge(case, &proof));
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

/// A system in memory, where the machine has such a place: what is judged here is SQL.
fn in_memory(sql: &str) -> Lab {
    let mut lab = Lab::new();
    if let Ok(dir) = tempfile::tempdir_in("/dev/shm") {
        lab.dir = dir;
        std::fs::create_dir_all(lab.root()).unwrap();
        lab.ephemeral = true;
    }
    lab.database = true;
    rusqlite::Connection::open(lab.database_path()).unwrap().execute_batch(sql).unwrap();
    lab
}

fn of_change(proof: &Proof) -> Option<Class> {
    proof.parts[0].findings.first().map(|finding| finding.class)
}

#[test]
fn every_mistake_is_caught_with_its_class() {
    let all: Vec<_> =
        mistakes::ALL.iter().flat_map(|(class, cases)| cases.iter().map(|case| (*class, case))).collect();
    assert!(all.len() >= 60, "{}", all.len());
    let class_of = |case: &Case| all.iter().find(|(_, other)| std::ptr::eq(*other, case)).map(|it| it.0);
    let wrong = rehearsed(all.iter().map(|(_, case)| *case), |case, proof| {
        let caught = proof.verdict == Verdict::NotProven && of_change(proof) == class_of(case);
        (!caught).then(|| {
            format!(
                "{}: {:?} instead of {:?}: {:?}",
                case.name,
                of_change(proof),
                class_of(case),
                proof.parts
            )
        })
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[test]
fn no_correct_way_back_is_refused() {
    assert!(correct::ALL.len() >= 60, "{}", correct::ALL.len());
    let wrong = rehearsed(correct::ALL.iter(), |case, proof| {
        (!proof.is_proven()).then(|| format!("{}: {:?}", case.name, proof.parts))
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), correct::ALL.len(), wrong.join("\n"));
}
