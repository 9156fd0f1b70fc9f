//! The matrices of the stepper: one migration, disturbed at one call or at several.

mod counts;
mod kind;

use std::{collections::BTreeMap, sync::Arc};

use tmp_testkit::{
    matrix::{Fault, Matrix, Package, Tried, Verdict, random, sample},
    stepper::{Action, Counting, Ended},
};

use self::kind::Kind;
use super::{
    point::Point,
    proof::{Bench, Came, Choice, End, Proof},
    workshop::Workshop,
};
use crate::Done;

/// Every kind of fault in every package.
pub(super) fn proofs() -> Vec<Box<dyn Proof>> {
    let of = |kind: Kind| Package::ALL.map(|package| Box::new(Stepping { kind, package }) as Box<dyn Proof>);
    Kind::ALL.into_iter().flat_map(of).collect()
}

struct Stepping {
    kind: Kind,
    package: Package,
}

impl Proof for Stepping {
    fn matrix(&self) -> &'static str {
        self.kind.name()
    }

    fn package(&self) -> &'static str {
        self.package.name()
    }

    fn what(&self) -> String {
        self.kind.what().to_owned()
    }

    fn prepare<'a>(&self, shop: &'a Workshop, choice: Choice) -> Done<Box<dyn Bench + 'a>> {
        let (kind, package) = (self.kind, self.package);
        let matrix = shop.matrix(package)?;
        Ok(Box::new(Steps { shop, kind, package, choice, matrix, singles: BTreeMap::new() }))
    }
}

struct Steps<'a> {
    shop: &'a Workshop,
    kind: Kind,
    package: Package,
    choice: Choice,
    matrix: Arc<Matrix>,
    /// What came of a single kill, by the number of the call.
    singles: BTreeMap<u64, Tried>,
}

impl Bench for Steps<'_> {
    fn points(&mut self) -> Done<Vec<Point>> {
        let calls = self.shop.calls(self.package, self.kind.counting())?;
        if self.kind.recoveries() > 0 {
            return self.chains(calls.len() as u64);
        }
        let numbers: Vec<u64> =
            (1..).zip(calls.iter()).filter(|(_, name)| self.kind.concerns(name)).map(|(at, _)| at).collect();
        let variants = self.kind.variants();
        let count = counts::points(self.kind, self.package, self.choice);
        let whole = (numbers.len() * variants.len()) as u64;
        let chosen = sample(self.choice.seed, count, whole).into_iter().filter_map(|number| {
            let number = usize::try_from(number - 1).ok()?;
            let at = numbers.get(number / variants.len())?;
            let variant = variants.get(number % variants.len())?;
            Some(Point([&[*at][..], variant].concat()))
        });
        Ok(chosen.collect())
    }

    fn attempt(&mut self, point: &Point) -> Done<Came> {
        let action = self.kind.action(point)?;
        let fault = Fault {
            counting: self.kind.counting(),
            action,
            again: point.0.iter().skip(1).copied().take(self.kind.recoveries()).collect(),
        };
        let tried = self.matrix.attempt(&fault)?;
        let what = format!(
            "{} {}",
            self.kind.told(point)?,
            tried.hit.map_or_else(String::new, |hit| format!("({hit})"))
        );
        let mut wrong = match &tried.verdict {
            Verdict::Violation(lines) => lines.clone(),
            Verdict::Before | Verdict::After => Vec::new(),
        };
        if tried.hit.is_none() || tried.killed < self.kind.recoveries() {
            return Ok(Came {
                what,
                end: if wrong.is_empty() { End::NotReached } else { End::Violated(wrong) },
                note: None,
            });
        }
        if self.kind.recoveries() > 0 {
            wrong.extend(self.flip(point.at(0)?, &tried)?);
        }
        if let Action::Signal { signal, .. } = action {
            wrong.extend(disorder(&tried, signal));
        }
        let end = match tried.verdict {
            _ if !wrong.is_empty() => End::Violated(wrong),
            Verdict::After => End::After,
            _ => End::Before,
        };
        let note = match tried.ended {
            Ended::Stuck => Some("tried again until they were stopped (EINTR from then on)"),
            Ended::Exited(12) => Some("ended in doubt while the error lasted; recovery settled them"),
            _ => None,
        };
        Ok(Came { what, end, note })
    }
}

impl Steps<'_> {
    /// A single kill, remembered.
    fn single(&mut self, at: u64) -> Done<Tried> {
        if let Some(tried) = self.singles.get(&at) {
            return Ok(tried.clone());
        }
        let tried = self.matrix.attempt(&Fault::of(Counting::Changing, Action::Kill(at)))?;
        self.singles.insert(at, tried.clone());
        Ok(tried)
    }

    /// Kills of the migration and of recoveries after it: some calls of each, or every pair.
    fn chains(&mut self, calls: u64) -> Done<Vec<Point>> {
        let count = counts::points(self.kind, self.package, self.choice);
        let (kills, each) = if count == counts::ALL { (calls, counts::ALL) } else { (count / 5 + 1, 8) };
        let mut state = self.choice.seed;
        let mut all = Vec::new();
        for at in sample(self.choice.seed, kills, calls) {
            let recovery = self.single(at)?.recovery_calls;
            for second in sample(random(&mut state), each, recovery) {
                let mut numbers = vec![at, second];
                if self.kind.recoveries() > 1 {
                    numbers.push(1 + random(&mut state) % (recovery / 2 + 1));
                }
                all.push(Point(numbers));
            }
        }
        let chosen = sample(self.choice.seed, count, all.len() as u64);
        let chosen =
            chosen.into_iter().filter_map(|number| all.get(usize::try_from(number - 1).ok()?).cloned());
        Ok(chosen.collect())
    }

    /// What is wrong where a chain of kills ended elsewhere than the first kill alone. A recovery that went forward
    /// and died inside a step is taken back, whoever began the step.
    fn flip(&mut self, at: u64, tried: &Tried) -> Done<Option<String>> {
        let once = self.single(at)?;
        let taken_back =
            once.verdict == Verdict::After && tried.verdict == Verdict::Before && tried.step_interrupted;
        let flipped = once.verdict != tried.verdict && !taken_back;
        Ok(flipped.then(|| format!("the decision flipped: alone it ended {:?}", once.verdict)))
    }
}

/// What is wrong with how a migration took a signal.
fn disorder(tried: &Tried, signal: i32) -> Option<String> {
    let orderly = match tried.ended {
        Ended::Exited(0 | 10) => true,
        // Before it listens to signals it has begun nothing.
        Ended::Signalled(by) => by == signal && tried.verdict == Verdict::Before,
        _ => false,
    };
    match (orderly, tried.settled) {
        (false, _) => Some(format!("the signal ended it with {:?}", tried.ended)),
        (true, false) => Some("the signal left something to recover".into()),
        (true, true) => None,
    }
}
