//! The crash matrix: one reference migration, stopped at every call that changes something.
//!
//! The `tmp` program is given from outside; this crate knows its commands, its exit codes and nothing of
//! its insides. What must hold at every point: after `tmp recover` the files and the database are exactly as before or
//! exactly as after, both the same of the two; a second `tmp recover` finds nothing to do and changes
//! nothing; nothing is left in the work directory; a run that said it succeeded did.

mod oracle;
mod scene;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use self::{oracle::State, scene::Scene};
use crate::{
    context::Context,
    stepper::{Action, Ended, StepOutcome},
};

/// The reference migration, ready to be stopped anywhere.
#[derive(Debug)]
pub struct Matrix {
    scene: Scene,
    before: State,
    after: State,
    calls: Vec<&'static str>,
}

/// Where and how the migration is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// What happens to `tmp run`.
    pub action: Action,
    /// The call, counted from 1, before which `tmp recover` is killed too; it is then started again.
    pub again: Option<u64>,
}

/// What came of one point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The call at which something was done to `tmp run`; `None` when it ended before.
    pub hit: Option<&'static str>,
    /// The calls of the first `tmp recover`.
    pub recovery_calls: usize,
    /// Whether the recovery that settled it took it back because a step after the commit point had been
    /// begun and had not ended: no such step is run twice.
    pub step_interrupted: bool,
    /// Where it ended.
    pub verdict: Verdict,
}

/// Where a disturbed migration ended after recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// In exactly the state before.
    Before,
    /// In exactly the state after.
    After,
    /// In neither, or not as it must be: what is wrong, one line each.
    Violation(Vec<String>),
}

impl Matrix {
    /// Builds the reference system and enhancement below `scratch`, packages it and lets it migrate three
    /// times undisturbed. `switch` is that setting of the site: `files` or `atomic`.
    ///
    /// # Errors
    /// `scratch` is not empty or cannot be written, `tmp` fails, the state after is not the one the
    /// enhancement describes, or the three migrations do not make the same calls.
    pub fn prepare(tmp: &Path, scratch: &Path, switch: &str) -> io::Result<Self> {
        let scene = Scene::build(tmp, scratch, switch)?;
        let before = State::of(&scene)?;
        let mut runs = Vec::new();
        let mut after = None;
        for _ in 0..3 {
            scene.reset()?;
            runs.push(scene.run().count()?);
            after = Some(State::of(&scene)?);
        }
        let [calls, second, third] = runs.as_slice() else {
            return Err(io::Error::other("the dry runs are missing"));
        };
        if calls != second || calls != third {
            let counts = [calls.len(), second.len(), third.len()];
            return Err(io::Error::other(format!("the calls are not the same in three runs: {counts:?}")));
        }
        let after = after.unwrap_or_default();
        after.check_is_after()?;
        Ok(Self { after: after.without_new_times(&before), before, calls: calls.clone(), scene })
    }

    /// The names of the calls of an undisturbed migration, in order.
    pub fn calls(&self) -> &[&'static str] {
        &self.calls
    }

    /// Migrates a fresh copy of the reference system, disturbed at this point, and lets it recover.
    ///
    /// # Errors
    /// The copy cannot be made or read, or a command cannot be started. What is wrong with the migration
    /// is no error but a [`Verdict::Violation`].
    pub fn attempt(&self, point: &Point) -> io::Result<Tried> {
        self.scene.reset()?;
        let run = self.scene.run().run(point.action)?;
        let mut first = self.scene.recover().run(point.again.map_or(Action::Count, Action::Kill))?;
        let recovery_calls = first.calls.len();
        if first.hit.is_some() {
            first = self.scene.recover().run(Action::Count)?;
        }
        let state = State::of(&self.scene)?;
        let second = self.scene.recover().run(Action::Count)?;
        let mut wrong = complaints(&run, &first, &second);
        if State::of(&self.scene)? != state {
            wrong.push("the second recover changed something".to_owned());
        }
        wrong.extend(self.scene.leftovers()?);
        let is_before = state.differs_from(&self.before).is_empty();
        let is_after = state.without_new_times(&self.before).differs_from(&self.after).is_empty();
        if !is_before && !is_after {
            wrong.push("neither before nor after".to_owned());
            let tag = |what: &str, lines: Vec<String>| {
                lines.into_iter().take(8).map(move |line| format!("{what}: {line}")).collect::<Vec<_>>()
            };
            wrong.extend(tag("from before", state.differs_from(&self.before)));
            wrong.extend(tag("from after", state.without_new_times(&self.before).differs_from(&self.after)));
        }
        if run.ended == Ended::Exited(0) && !is_after {
            wrong.push("the migration said it succeeded and did not".to_owned());
        }
        if first.ended == Ended::Exited(10) && !is_before {
            wrong.push("recover said it rolled back and did not".to_owned());
        }
        let verdict = match (wrong.is_empty(), is_before) {
            (false, _) => Verdict::Violation(wrong),
            (true, true) => Verdict::Before,
            (true, false) => Verdict::After,
        };
        let step_interrupted = first.stdout.lines().any(|line| line.trim_end().ends_with("was interrupted"));
        Ok(Tried { hit: run.hit, recovery_calls, step_interrupted, verdict })
    }
}

/// What is wrong with how the three commands ended.
fn complaints(run: &StepOutcome, first: &StepOutcome, second: &StepOutcome) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Ended::Exited(code @ (11 | 12 | 101)) = run.ended {
        wrong.push(format!("run ended with {code}: {}", run.stderr));
    }
    if !matches!(first.ended, Ended::Exited(0 | 10)) {
        wrong.push(format!("recover: {:?}: {}{}", first.ended, first.stdout, first.stderr));
    }
    let said_nothing = format!("{}{}", second.stdout, second.stderr).contains("nothing to");
    if second.ended != Ended::Exited(0) || !said_nothing {
        wrong.push(format!("second recover: {:?}: {}{}", second.ended, second.stdout, second.stderr));
    }
    wrong
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

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
fn random(state: &mut u64) -> u64 {
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
