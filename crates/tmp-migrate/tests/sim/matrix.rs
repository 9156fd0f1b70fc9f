//! All change sets, on as many threads as there are.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::{
    change_sets::{COUNT, Operation, operations},
    explore::{Case, Extent, Tally, explore, seed_of},
    world::{Way, World},
};

const WAYS: [Way; 3] = [Way::Files, Way::Atomic, Way::WithoutExchange];

/// A point is told by one number: that of the case times this, and that of the effect.
pub(crate) const POINTS: u64 = 1000;

/// Explores all of these, on as many threads as there are.
fn run(cases: &[(Case, Extent)]) -> Tally {
    let bases = WAYS.map(|way| (way, World::new(way).with_bystanders()));
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((case, extent)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let (_, base) = bases.iter().find(|(way, _)| *way == case.way).unwrap();
                    let tally = explore(*case, *extent, base);
                    total.lock().unwrap().add(&tally);
                }
            });
        }
    });
    total.into_inner().unwrap()
}

/// Every case there is. Without exchange a directory cannot be replaced, which `plan` says.
fn cases() -> impl Iterator<Item = Case> {
    let ways = WAYS.into_iter().flat_map(|way| [false, true].map(|refused| (way, refused)));
    let all = ways.flat_map(|(way, refused)| (0..COUNT).map(move |set| (set, way, refused)));
    let possible = all.filter(|(set, way, _)| {
        *way != Way::WithoutExchange || !operations(*set).contains(&Operation::ChangeKind)
    });
    possible.enumerate().map(|(number, (set, way, refused))| Case {
        number: number as u64,
        set,
        way,
        refused,
    })
}

pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Tells the figures in one line of JSON, which `cargo xtask crash` reads.
fn tell(of: usize, tally: &Tally, since: Instant) {
    let Tally { cases, states, points, kills, losses, in_recovery, before, after } = tally;
    let milliseconds = since.elapsed().as_millis();
    println!(
        "{{\"of\":{of},\"cases\":{cases},\"states\":{states},\"points\":{points},\"kills\":{kills},\"losses\":{losses},\
         \"in_recovery\":{in_recovery},\"before\":{before},\"after\":{after},\"ms\":{milliseconds}}}"
    );
}

/// A few of them, for every run of the tests. All of them: [`the_whole_model`].
#[test]
fn a_sample_of_all_change_sets_ends_before_or_after() {
    let extent = Extent { seed: 1, losses: 1, every: 5, strike: 100, only: None };
    let cases: Vec<_> = cases().step_by(211).map(|case| (case, extent)).collect();
    let tally = run(&cases);
    assert!(tally.before > 500 && tally.after > 50 && tally.in_recovery > 50, "{tally:?}");
}

/// Every change set, switched in every way, at every effect. Settings, all optional: `TMP_MODEL_SEED`;
/// `TMP_MODEL_POINT`, only this: a case and an effect, as a violation tells it; `TMP_MODEL_LONG`, so many power
/// losses at every effect of every case, where otherwise there is one at each of the change sets that are
/// switched file by file and one at every seventh effect of the rest. The cases come in an order that the seed chooses.
#[test]
#[ignore = "some minutes in a release build: started by `cargo xtask crash --only model`"]
fn the_whole_model() {
    let seed = setting("TMP_MODEL_SEED").unwrap_or(1);
    let (long, point) = (setting("TMP_MODEL_LONG"), setting("TMP_MODEL_POINT"));
    let mut chosen: Vec<(Case, Extent)> = cases()
        .filter(|case| point.is_none_or(|point| point / POINTS == case.number))
        .map(|case| {
            let every = match (long, point) {
                (None, None) if case.way != Way::Files || case.refused => 7,
                _ => 1,
            };
            let only = point.map(|point| point % POINTS);
            let strike = match (long, point) {
                (_, Some(_)) => 1,
                (Some(_), None) => 60,
                (None, None) => 600,
            };
            (case, Extent { seed, losses: long.unwrap_or(1), every, strike, only })
        })
        .collect();
    assert!(!chosen.is_empty(), "no case has this number");
    chosen.sort_by_key(|(case, _)| seed_of(&[seed, case.number]));
    let since = Instant::now();
    let tally = run(&chosen);
    let enough = tally.states >= 100_000 && tally.before > 0 && tally.after > 0;
    assert!(point.is_some() || enough, "{tally:?}");
    tell(chosen.len(), &tally, since);
}
