//! The oracle: whether a disturbed migration is whole or never was.

use std::io;

use super::{Scene, State};
use crate::stepper::{Ended, StepOutcome};

/// The two states in which a migration may end.
#[derive(Debug)]
pub struct Reference {
    /// The state before.
    pub before: State,
    /// The state after, without the times of what is new.
    pub after: State,
    /// The exit code of an undisturbed `tmp run`.
    ends_with: i32,
}

/// What `tmp recover` said and left.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// How it ended.
    pub outcome: StepOutcome,
    /// Files and database after it.
    pub state: State,
    /// What it left lying about.
    pub leftovers: Vec<String>,
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

impl Reference {
    /// Lets the scene migrate undisturbed and learns both states. The scene is migrated on return.
    ///
    /// # Errors
    /// `tmp` fails, the scene cannot be read, or the state after is not what the enhancement promises.
    pub fn learn(scene: &Scene) -> io::Result<Self> {
        scene.reset()?;
        let before = State::of(scene)?;
        let ends_with = scene.package().ends_with();
        scene.run().ending_with(ends_with)?;
        let after = State::of(scene)?;
        after.check_promise(scene)?;
        let lines = after.differs_from(&before);
        if (ends_with == 0) == lines.is_empty() {
            return Err(io::Error::other(format!("it ended with {ends_with} and this differs: {lines:?}")));
        }
        Ok(Self { after: after.without_new_times(&before), before, ends_with })
    }

    /// Two states between which a command moves a system; it ends with 0 where it succeeds.
    pub fn of(before: State, after: &State) -> Self {
        Self { after: after.without_new_times(&before), before, ends_with: 0 }
    }

    /// Whether this is the state before, the state after or neither.
    pub fn compare(&self, state: &State) -> Verdict {
        let from_before = state.differs_from(&self.before);
        let from_after = state.without_new_times(&self.before).differs_from(&self.after);
        if from_before.is_empty() {
            return Verdict::Before;
        }
        if from_after.is_empty() {
            return Verdict::After;
        }
        let tag = |what: &'static str, lines: Vec<String>| {
            lines.into_iter().take(8).map(move |line| format!("{what}: {line}"))
        };
        let first = ["neither before nor after".to_owned()].into_iter();
        Verdict::Violation(
            first.chain(tag("from before", from_before)).chain(tag("from after", from_after)).collect(),
        )
    }

    /// Judges a migration by its end, where it is known, and by two recoveries, one after the other: the first
    /// settles it, the second finds nothing to do.
    pub fn judge(&self, run: Option<&StepOutcome>, first: &Recovery, second: &Recovery) -> Verdict {
        let found = self.compare(&first.state);
        let mut wrong = run.map_or_else(Vec::new, |run| self.complaints(run, &found));
        if !matches!(first.outcome.ended, Ended::Exited(0 | 10)) {
            wrong.push(format!("recover: {}", first.outcome.told()));
        }
        if first.outcome.ended == Ended::Exited(10) && found != Verdict::Before {
            wrong.push("recover said it rolled back and did not".to_owned());
        }
        if !second.said_nothing() {
            wrong.push(format!("second recover: {}", second.outcome.told()));
        }
        if second.state != first.state {
            wrong.push("the second recover changed something".to_owned());
        }
        wrong.extend(second.leftovers.iter().cloned());
        match found {
            Verdict::Violation(lines) => Verdict::Violation(lines.into_iter().chain(wrong).collect()),
            found if wrong.is_empty() => found,
            _ => Verdict::Violation(wrong),
        }
    }

    /// Judges a migration that ended by itself and said how, before anything recovers it. Where cleaning up failed after
    /// the migration was committed, old modules still lie in the work directory and are removed when the site is
    /// next opened: so how many names an inode has is not compared here.
    pub fn judge_end(&self, run: &StepOutcome, state: &State) -> Verdict {
        let mut found = self.compare(state);
        if matches!(found, Verdict::Violation(_)) && run.ended == Ended::Exited(0) {
            let tree = state.tree.with_link_counts_of(&self.after.tree);
            found = self.compare(&State { tree, ..state.clone() });
        }
        let wrong = self.complaints(run, &found);
        match found {
            Verdict::Violation(lines) => Verdict::Violation(lines.into_iter().chain(wrong).collect()),
            found if wrong.is_empty() => found,
            _ => Verdict::Violation(wrong),
        }
    }

    fn complaints(&self, run: &StepOutcome, found: &Verdict) -> Vec<String> {
        let mut wrong = Vec::new();
        match run.ended {
            Ended::Exited(0) if self.ends_with != 0 || *found != Verdict::After => {
                wrong.push("the migration said it succeeded and did not".to_owned());
            }
            Ended::Exited(10) if *found != Verdict::Before => {
                wrong.push("the migration said it rolled back and did not".to_owned());
            }
            Ended::Exited(11 | 101) | Ended::Signalled(6 | 11) => {
                wrong.push(format!("run: {}", run.told()));
            }
            _ => {}
        }
        wrong
    }
}

impl Recovery {
    /// Whether it had nothing to do.
    pub fn said_nothing(&self) -> bool {
        let StepOutcome { stdout, stderr, .. } = &self.outcome;
        self.outcome.ended == Ended::Exited(0) && format!("{stdout}{stderr}").contains("nothing to")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::DatabaseDump;

    fn state(name: &'static str) -> State {
        let header = [("user_version", name.to_owned())].into();
        State { database: DatabaseDump { header, ..DatabaseDump::default() }, ..State::default() }
    }

    fn outcome(code: i32, said: &str) -> StepOutcome {
        StepOutcome {
            calls: Vec::new(),
            hit: None,
            syncs: Vec::new(),
            ended: Ended::Exited(code),
            stdout: said.into(),
            stderr: String::new(),
        }
    }

    fn recovery(code: i32, said: &str, name: &'static str) -> Recovery {
        Recovery { outcome: outcome(code, said), state: state(name), leftovers: Vec::new() }
    }

    fn wrong(verdict: Verdict) -> String {
        match verdict {
            Verdict::Violation(lines) => lines.join("; "),
            other => panic!("{other:?} is no violation"),
        }
    }

    #[test]
    fn each_thing_that_can_be_wrong_is_a_violation() {
        let reference = Reference::of(state("before"), &state("after"));
        let (nothing, back) = ("nothing to recover", "ROLLED BACK");
        let judge = |code, first: &Recovery, second: &Recovery| {
            reference.judge(Some(&outcome(code, "")), first, second)
        };
        let (before, after) = (recovery(0, nothing, "before"), recovery(0, nothing, "after"));
        assert_eq!(judge(1, &recovery(10, back, "before"), &before), Verdict::Before);
        assert_eq!(judge(0, &after, &after), Verdict::After);
        assert!(wrong(judge(1, &recovery(0, "", "half"), &recovery(0, nothing, "half"))).contains("neither"));
        assert!(wrong(judge(0, &before, &before)).contains("said it succeeded"));
        assert!(wrong(judge(10, &after, &after)).contains("said it rolled back"));
        assert!(wrong(judge(11, &before, &before)).contains("run: Exited(11)"));
        assert!(wrong(judge(101, &before, &before)).contains("run: Exited(101)"));
        assert!(wrong(judge(1, &recovery(12, "", "before"), &before)).contains("recover: Exited(12)"));
        assert!(
            wrong(judge(1, &recovery(10, back, "after"), &after)).contains("recover said it rolled back")
        );
        assert!(wrong(judge(1, &before, &recovery(10, back, "before"))).contains("second recover"));
        assert!(wrong(judge(1, &before, &after)).contains("changed something"));
        let mut litter = before.clone();
        litter.leftovers.push("left in the work directory".into());
        assert!(wrong(judge(1, &before, &litter)).contains("left in the work directory"));
        assert!(wrong(reference.judge_end(&outcome(0, ""), &state("before"))).contains("said it succeeded"));
    }
}
