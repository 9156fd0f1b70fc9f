//! Every fault matrix: which proofs there are, which points of them are tried, and what came of it.

mod model;
mod page;
mod point;
mod power;
mod proof;
mod results;
mod stepping;
mod store;
mod workshop;

use std::{
    fs,
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use self::{
    point::Point,
    proof::{Bench, Came, Choice, End, Proof},
    results::{Left, Results, Row},
    workshop::Workshop,
};
use crate::{Done, arguments::Arguments, parts::with_part, shell};

/// How many points are tried at once.
const WORKERS: usize = 2;

/// Every proof, in the order of the page.
fn proofs() -> Vec<Box<dyn Proof>> {
    let mut proofs = stepping::proofs();
    proofs.extend(store::proofs());
    proofs.extend(power::proofs());
    proofs
}

/// Tries a seeded sample of every matrix, or all of them; fails when a point is violated, and where the
/// environment has `CI` also when a proof had to be left out.
pub(crate) fn run(words: &[String]) -> Done {
    let (plain, numbers, texts) =
        (["--long", "--write", "--list"], ["--seed"], ["--point", "--only", "--scratch"]);
    let flags = Arguments::with_words(words, &plain, &numbers, &texts)?;
    let choice = Choice { long: flags.has("--long"), seed: flags.number("--seed").unwrap_or(1) };
    let mut proofs = proofs();
    if flags.has("--list") {
        for proof in &proofs {
            println!("{:20} {}", proof.id(), proof.what());
        }
        println!(
            "{:20} the engine on a simulated disk, every change set of at most three operations",
            model::ID
        );
        return Ok(());
    }
    if let Some((model::ID, point)) = flags.word("--point").and_then(|text| text.rsplit_once('/')) {
        println!("{}", model::run(choice, Some(point))?);
        return Ok(());
    }
    if flags.word("--only") == Some(model::ID) {
        let told = model::run(choice, None)?.to_string();
        println!("{told}");
        if flags.has("--write") {
            rewrite(|page| with_part(page, page::MODEL, &format!("{told}; seed {}.", choice.seed)))?;
        }
        return Ok(());
    }
    let scratch = tempfile::Builder::new().prefix("tmp-crash-").tempdir_in(scratch(&flags))?;
    let tmp = shell::build_tmp()?;
    let shops =
        (0..WORKERS).map(|number| Workshop::new(&tmp, scratch.path(), number)).collect::<Done<Vec<_>>>()?;
    if let Some(text) = flags.word("--point") {
        let shop = shops.first().ok_or("there is no worker")?;
        return one(&proofs, shop, choice, text);
    }
    if let Some(only) = flags.word("--only") {
        proofs.retain(|proof| proof.is_called(only));
        if proofs.is_empty() {
            return Err(
                format!("no matrix is called {only}; `cargo xtask crash --list` names them all").into()
            );
        }
        if flags.has("--write") {
            return Err("the page is of every matrix, not of some".into());
        }
    }
    let mut results = Results::new(choice, scratch.path());
    for proof in &proofs {
        match proof.lacks() {
            Some(lack) => results.left_out.push(Left { id: proof.id(), lack }),
            None => match whole(&**proof, &shops, choice) {
                Ok(row) => {
                    row.tell();
                    results.rows.push(row);
                }
                Err(error) => {
                    println!("{} broke off: {error}", proof.id());
                    results.broken.push(Left { id: proof.id(), lack: error.to_string() });
                }
            },
        }
    }
    results.counted = shops.first().map(Workshop::counted).unwrap_or_default();
    if flags.word("--only").is_none() {
        // At length it takes as long as all matrices, and its states are counted apart.
        match model::run(Choice { long: false, ..choice }, None) {
            Ok(model) => results.model = Some(model),
            Err(error) => results.broken.push(Left { id: model::ID.into(), lack: error.to_string() }),
        }
    }
    print!("{}", results.table());
    if flags.has("--write") {
        rewrite(|before| page::page(&results, before))?;
    }
    results.verdict(std::env::var_os("CI").is_some())
}

/// Writes the page of results anew, out of what it was.
fn rewrite(page: impl FnOnce(&str) -> String) -> Done {
    let path = shell::workspace().join("docs/reliability.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    Ok(fs::write(path, page(&before))?)
}

/// Where the scenes are built: in memory where that is possible, since syncing is what takes the time, and no power
/// is lost here.
fn scratch(flags: &Arguments<'_>) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    match flags.word("--scratch") {
        Some(folder) => folder.into(),
        None if memory.is_dir() => memory,
        None => std::env::temp_dir(),
    }
}

/// One point, told in full. A number alone is a kill of the migration of files and SQLite.
fn one(proofs: &[Box<dyn Proof>], shop: &Workshop, choice: Choice, text: &str) -> Done {
    let (id, point) = text.rsplit_once('/').unwrap_or(("kill-sqlite", text));
    let proof = proofs.iter().find(|proof| proof.id() == id);
    let proof = proof
        .ok_or_else(|| format!("no matrix is called {id}; `cargo xtask crash --list` names them all"))?;
    if let Some(lack) = proof.lacks() {
        return Err(format!("{id} cannot be tried here: {lack}").into());
    }
    let point: Point = point.parse()?;
    let came = proof.prepare(shop, choice)?.attempt(&point)?;
    println!("{id}/{point}: {}", came.what);
    match came.end {
        End::Before => println!("ended before"),
        End::After => println!("ended after"),
        End::NotReached => return Err("the migration ended before it came to that point".into()),
        End::Violated(lines) => return Err(format!("VIOLATED\n  {}", lines.join("\n  ")).into()),
    }
    Ok(())
}

/// Every chosen point of one matrix, on whichever worker is free.
fn whole(proof: &dyn Proof, shops: &[Workshop], choice: Choice) -> Done<Row> {
    let start = Instant::now();
    let mut benches = Vec::new();
    for shop in shops.iter().take(proof.at_once()) {
        benches.push(proof.prepare(shop, choice)?);
    }
    let points = benches.first_mut().ok_or("there is no worker")?.points()?;
    let tried = attempt_all(benches, &points)?;
    let mut row = Row::new(proof);
    for (point, came) in tried {
        row.count(&proof.again(&point, choice), came);
    }
    row.took = start.elapsed().max(Duration::from_millis(1));
    Ok(row)
}

fn attempt_all(benches: Vec<Box<dyn Bench + '_>>, points: &[Point]) -> Done<Vec<(Point, Came)>> {
    let next = Mutex::new(points.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let take = || next.lock().ok()?.next();
    std::thread::scope(|scope| {
        for mut bench in benches {
            let (take, done) = (&take, &done);
            scope.spawn(move || {
                while let Some((number, point)) = take() {
                    let came = bench.attempt(point).map_err(|error| format!("{point}: {error}"));
                    if let Ok(mut done) = done.lock() {
                        done.push((number, point.clone(), came));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().map_err(|_| "a worker panicked")?;
    done.sort_by_key(|(number, ..)| *number);
    if done.len() != points.len() {
        return Err("a worker panicked".into());
    }
    Ok(done.into_iter().map(|(_, point, came)| came.map(|came| (point, came))).collect::<Result<_, _>>()?)
}
