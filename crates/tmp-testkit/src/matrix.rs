//! The fault matrices: reference packages, disturbed in every way, and the oracle that judges what comes of it.
//!
//! The `tmp` program is given from outside; this crate knows its commands, its exit codes and nothing of
//! its insides. What must hold at every point: after `tmp recover` the files and the database are exactly as before or
//! exactly as after, both the same of the two; a second `tmp recover` finds nothing to do and changes
//! nothing; nothing is left in the work directory; a run that said it succeeded did.

mod judge;
mod package;
mod scene;
mod state;
mod systems;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use self::{
    judge::{Recovery, Reference, Verdict},
    package::Package,
    scene::Scene,
    state::State,
};
use crate::{
    context::Context,
    stepper::{Action, Counting, Ended, StepOutcome},
};

/// A reference package, ready to be disturbed anywhere.
#[derive(Debug)]
pub struct Matrix {
    scene: Scene,
    reference: Reference,
}

/// Where and how a migration is disturbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which calls of `tmp run` are counted.
    pub counting: Counting,
    /// What happens to `tmp run`.
    pub action: Action,
    /// The calls that change something, counted from 1, before which one `tmp recover` after the other is killed.
    pub again: Vec<u64>,
}

/// What came of one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The call at which something was done to `tmp run`; `None` when it ended before.
    pub hit: Option<&'static str>,
    /// How `tmp run` ended.
    pub ended: Ended,
    /// Whether nothing was left to recover.
    pub settled: bool,
    /// How many of the recoveries that were to be killed were.
    pub killed: usize,
    /// The calls that change something of the recovery that was last, the undisturbed one.
    pub recovery_calls: u64,
    /// Whether the recovery that settled it took it back because a step after the commit point had been
    /// begun and had not ended: no such step is run twice.
    pub step_interrupted: bool,
    /// Where it ended.
    pub verdict: Verdict,
}

impl Fault {
    /// A fault of `tmp run` alone.
    pub const fn of(counting: Counting, action: Action) -> Self {
        Self { counting, action, again: Vec::new() }
    }
}

impl Matrix {
    /// Builds the package's scene below `scratch` and lets it migrate once.
    ///
    /// # Errors
    /// As [`Scene::build`] and [`Reference::learn`].
    pub fn prepare(tmp: &Path, scratch: &Path, package: Package) -> io::Result<Self> {
        let scene = Scene::build(tmp, scratch, package)?;
        Ok(Self { reference: Reference::learn(&scene)?, scene })
    }

    /// The scene.
    pub const fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Both states in which it may end.
    pub const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The names of the calls of an undisturbed migration, in order.
    ///
    /// # Errors
    /// The migration fails, or three of them do not make equally many calls (of those that change something: the
    /// same ones). Where [`Package::looks_by_chance`], only calls that change something are compared.
    pub fn calls(&self, counting: Counting) -> io::Result<Vec<&'static str>> {
        let run = || {
            self.scene.reset()?;
            self.scene.run().counting(counting).ending_with(self.scene.package().ends_with())
        };
        let (first, second, third) = (run()?, run()?, run()?);
        let counts = [first.len(), second.len(), third.len()];
        let same = counts == [first.len(); 3];
        if self.scene.package().looks_by_chance() && counting != Counting::Changing {
            return Ok(first);
        }
        if same && (counting != Counting::Changing || first == second && first == third) {
            Ok(first)
        } else {
            Err(io::Error::other(format!("the calls are not the same in three runs: {counts:?}")))
        }
    }

    /// Migrates a fresh copy of the reference system, disturbed by this fault, and lets it recover.
    ///
    /// # Errors
    /// The copy cannot be made or read, or a command cannot be started. What is wrong with the migration
    /// is no error but a [`Verdict::Violation`].
    pub fn attempt(&self, fault: &Fault) -> io::Result<Tried> {
        self.scene.reset()?;
        let run = self.scene.run().counting(fault.counting).run(fault.action)?;
        let mut wrong = Vec::new();
        let stuck = run.ended == Ended::Stuck && is_endless(fault.action);
        if matches!(run.ended, Ended::Stuck | Ended::Late) && !stuck {
            wrong.push(format!("the migration did not end: {}", run.told()));
        }
        if run.ended == Ended::Exited(12) && !matches!(fault.action, Action::Fail { persistent: true, .. }) {
            wrong.push(format!("in doubt, though the disk answered again: {}", run.told()));
        }
        if matches!(run.ended, Ended::Exited(0 | 10)) {
            wrong.extend(complaints(self.reference.judge_end(&run, &State::of(&self.scene)?)));
        }
        let mut killed = 0;
        for at in &fault.again {
            let recovery = self.scene.recover().run(Action::Kill(*at))?;
            if recovery.hit.is_none() {
                break;
            }
            killed += 1;
        }
        let first = self.scene.recovered()?;
        let second = self.scene.recovered()?;
        let verdict = self.reference.judge(Some(&run), &first, &second);
        let verdict = match (wrong.is_empty(), verdict) {
            (true, verdict) => verdict,
            (false, verdict) => Verdict::Violation(wrong.into_iter().chain(complaints(verdict)).collect()),
        };
        let settled = first.said_nothing();
        let StepOutcome { calls, stdout, .. } = first.outcome;
        Ok(Tried {
            hit: run.hit,
            ended: run.ended,
            settled,
            killed,
            recovery_calls: calls.len() as u64,
            step_interrupted: stdout.lines().any(|line| line.trim_end().ends_with("was interrupted")),
            verdict,
        })
    }
}

fn complaints(verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::Violation(lines) => lines,
        Verdict::Before | Verdict::After => Vec::new(),
    }
}

/// Whether a process that tries again for ever is right to do so: what is interrupted is tried again.
fn is_endless(action: Action) -> bool {
    matches!(action, Action::Fail { errno: nix::libc::EINTR, persistent: true, .. })
}

/// So many numbers from 1 to `of`, spread over the whole range, each once and in order: one from each of equal
/// parts, chosen by the seed. All of them where `count` is not below `of`.
pub fn sample(seed: u64, count: u64, of: u64) -> Vec<u64> {
    if count >= of {
        return (1..=of).collect();
    }
    let mut state = seed;
    (0..count)
        .map(|part| {
            let (start, end) = (part * of / count, (part + 1) * of / count);
            start + 1 + random(&mut state) % (end - start).max(1)
        })
        .collect()
}

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): the next number, and the
/// state moves on.
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Copies a tree with everything that `cp -a` keeps: times, owners, links, attributes, holes.
///
/// # Errors
/// `cp` cannot be started or fails.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let mut command = std::process::Command::new("cp");
    let status = command.arg("-a").arg("--").arg(from).arg(to).status().context("start", "cp")?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("cp -a {}: {status}", from.display())))
    }
}

/// Removes a tree if it is there.
fn remove(path: &PathBuf) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("remove", path.display()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_and_repeatable() {
        assert_eq!(sample(1, 9, 5), [1, 2, 3, 4, 5]);
        let numbers = sample(7, 10, 95);
        assert_eq!(numbers, sample(7, 10, 95));
        assert_ne!(numbers, sample(8, 10, 95));
        assert_eq!(numbers.len(), 10);
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        assert!(numbers.iter().all(|number| (1..=95).contains(number)), "{numbers:?}");
    }
}
