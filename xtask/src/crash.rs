//! The crash matrix as a task: which points, on how many workers, and the table.

mod table;

use std::{fs, path::Path, sync::Mutex};

use tmp_testkit::{
    matrix::{Fault as Point, Matrix, Package, Tried, Verdict, sample},
    stepper::{Action, Counting},
};

use self::table::Table;
use crate::{Done, arguments::Arguments, shell};

/// Errors that calls are made to fail with: EIO, ENOSPC, EDQUOT, EROFS, EMFILE, ENOMEM, EACCES, EINTR.
const ERRORS: [i32; 8] = [5, 28, 122, 30, 24, 12, 13, 4];
/// Double kills: in a normal run, and in a long one.
const PAIRS: (u64, u64) = (60, 1000);
const WORKERS: usize = 2;

/// Runs the matrix; fails when a point is violated.
pub(crate) fn run(words: &[String]) -> Done {
    let flags =
        Arguments::new(words, &["--long", "--write", "--atomic"], &["--seed", "--sample", "--point"])?;
    let package = if flags.has("--atomic") { Package::Atomic } else { Package::Sqlite };
    if flags.has("--write") && flags.has("--atomic") {
        return Err("the page is of modules that are switched one by one".into());
    }
    let seed = flags.number("--seed").unwrap_or(1);
    let tmp = shell::build_tmp()?;
    let scratch = tempfile::tempdir()?;
    let workers = (0..WORKERS)
        .map(|number| prepare(&tmp, scratch.path(), (number, package)))
        .collect::<Done<Vec<_>>>()?;
    let Some(first) = workers.first() else { return Err("there is no worker".into()) };
    let calls = first.calls(Counting::Changing)?;
    let last = calls.len() as u64;
    println!("the reference migration makes {last} calls that change something, the same in 3 runs");
    if let Some(at) = flags.number("--point") {
        return one(first, at);
    }
    let chosen = sample(seed, flags.number("--sample").unwrap_or(last), last);
    let mut points = with(&chosen, Action::Kill);
    if flags.has("--long") {
        points.extend(with(&chosen, Action::Tear));
        for errno in ERRORS {
            points.extend(with(&chosen, |at| Action::Fail { at, errno, persistent: false }));
            points.extend(with(&chosen, |at| Action::Fail { at, errno, persistent: true }));
        }
    }
    let mut tried = attempt_all(&workers, &points)?;
    let count = if flags.has("--long") { PAIRS.1 } else { PAIRS.0 };
    tried.extend(attempt_all(&workers, &pairs(&tried, seed, count))?);
    let flips = flips(&tried);
    let table = Table { calls: &calls, seed, tried: &tried };
    print!("{}", table.text());
    if flags.has("--write") {
        fs::write(shell::workspace().join("docs/crash-matrix.md"), table.page())?;
    }
    let violated = tried.iter().filter(|(_, tried)| matches!(tried.verdict, Verdict::Violation(_))).count();
    match (violated, flips) {
        (0, 0) => Ok(()),
        _ => Err(format!("{violated} points violated, {flips} decisions flipped by a second kill").into()),
    }
}

fn prepare(tmp: &Path, scratch: &Path, (number, package): (usize, Package)) -> Done<Matrix> {
    let folder = scratch.join(format!("worker-{number}"));
    fs::create_dir(&folder)?;
    Ok(Matrix::prepare(tmp, &folder, package)?)
}

fn with(numbers: &[u64], action: impl Fn(u64) -> Action) -> Vec<Point> {
    numbers.iter().map(|at| Point::of(Counting::Changing, action(*at))).collect()
}

/// One point, told in full.
fn one(matrix: &Matrix, at: u64) -> Done {
    let tried = matrix.attempt(&Point::of(Counting::Changing, Action::Kill(at)))?;
    println!("killed before call {at}: {tried:#?}");
    match tried.verdict {
        Verdict::Violation(_) => Err("violated".into()),
        Verdict::Before | Verdict::After => Ok(()),
    }
}

/// Double kills: the calls of all recoveries in one row, and so many of them chosen.
fn pairs(tried: &[(Point, Tried)], seed: u64, count: u64) -> Vec<Point> {
    let killed = tried.iter().filter(|(point, _)| matches!(point.action, Action::Kill(_)));
    let all: Vec<_> = killed
        .flat_map(|(point, tried)| {
            (1..=tried.recovery_calls).map(|at| Point { again: vec![at], ..point.clone() })
        })
        .collect();
    let number = |at: &u64| usize::try_from(at - 1).ok().and_then(|at| all.get(at)).cloned();
    sample(seed, count, all.len() as u64).iter().filter_map(number).collect()
}

/// How many double kills ended elsewhere than the single kill at the same call, but for those that killed a
/// recovery which went forward inside a step: that is taken back, whoever began it.
fn flips(tried: &[(Point, Tried)]) -> usize {
    let single = |action| tried.iter().find(|(point, _)| point.again.is_empty() && point.action == action);
    let flipped = |(point, twice): &&(Point, Tried)| {
        let once = single(point.action).filter(|_| !point.again.is_empty());
        once.is_some_and(|(_, once)| {
            let taken_back = once.verdict == Verdict::After && twice.verdict == Verdict::Before;
            once.verdict != twice.verdict && !(taken_back && twice.step_interrupted)
        })
    };
    tried.iter().filter(flipped).count()
}

/// Tries every point on whichever worker is free, in order of the points.
fn attempt_all(workers: &[Matrix], points: &[Point]) -> Done<Vec<(Point, Tried)>> {
    let next = Mutex::new(points.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let take = || next.lock().ok()?.next();
    std::thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| {
                while let Some((number, point)) = take() {
                    let tried = worker.attempt(point);
                    if let Ok(mut done) = done.lock() {
                        done.push((number, point.clone(), tried));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().map_err(|_| "a worker panicked")?;
    done.sort_by_key(|(number, ..)| *number);
    Ok(done
        .into_iter()
        .map(|(_, point, tried)| tried.map(|tried| (point, tried)))
        .collect::<Result<_, _>>()?)
}
