//! Commands besides `run` that are killed: `archive create`, `archive prune`, `reverse` and `rehearse`.

use std::{collections::BTreeSet, fs, io};

use tmp_testkit::{
    matrix::{Package, Reference, Scene, State, Verdict, sample},
    stepper::{Action, Ended, StepOutcome, Stepper},
};

use super::{
    point::Point,
    proof::{Bench, Came, Choice, End, Proof, tracing},
    workshop::Workshop,
};
use crate::Done;

pub(super) fn proofs() -> Vec<Box<dyn Proof>> {
    let of = |command| Box::new(Killing { command }) as Box<dyn Proof>;
    [Command::Create, Command::Prune, Command::Reverse, Command::Rehearse].map(of).into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Create,
    Prune,
    Reverse,
    Rehearse,
}

struct Killing {
    command: Command,
}

impl Proof for Killing {
    fn matrix(&self) -> &'static str {
        match self.command {
            Command::Create => "create",
            Command::Prune => "prune",
            Command::Reverse => "reverse",
            Command::Rehearse => "rehearse",
        }
    }

    fn package(&self) -> &'static str {
        Package::Sqlite.name()
    }

    fn what(&self) -> String {
        format!("`tmp {}` killed before a call that changes something", words(self.command).join(" "))
    }

    fn lacks(&self) -> Option<String> {
        tracing()
    }

    fn prepare<'a>(&self, shop: &'a Workshop, choice: Choice) -> Done<Box<dyn Bench + 'a>> {
        let folder = shop.folder(&self.id())?;
        fs::remove_dir_all(&folder)?;
        fs::create_dir(&folder)?;
        let scene = Scene::build(shop.tmp(), &folder, Package::Sqlite)?;
        scene.reset()?;
        if self.command != Command::Rehearse {
            scene.run().count()?;
        }
        if matches!(self.command, Command::Create | Command::Prune) {
            for text in ["one", "two", "three"] {
                fs::write(scene.root().join("lib/counter"), text.repeat(100))?;
                scene.tmp().args(["archive", "create", "model-1"]).count()?;
            }
            fs::write(scene.root().join("lib/counter"), "more ".repeat(2000))?;
        }
        scene.keep()?;
        let mut bench =
            Killed { command: self.command, choice, before: State::of(&scene)?, scene, after: None };
        bench.learn()?;
        Ok(Box::new(bench))
    }
}

/// The words after `tmp`.
fn words(command: Command) -> &'static [&'static str] {
    match command {
        Command::Create => &["archive", "create", "model-1"],
        Command::Prune => &["archive", "prune", "--keep-last", "1"],
        Command::Reverse => &["reverse", "late-fee", "--reason", "crash matrix", "--confirm", "late-fee"],
        Command::Rehearse => &["rehearse"],
    }
}

/// The exit code of the undisturbed command: the package replaces one of three hard links, which a rehearsal finds
/// to be no way back.
const fn ends_with(command: Command) -> i32 {
    if matches!(command, Command::Rehearse) { 5 } else { 0 }
}

struct Killed {
    command: Command,
    choice: Choice,
    scene: Scene,
    before: State,
    /// What it leads to, where it changes the system.
    after: Option<Reference>,
}

impl Bench for Killed {
    fn points(&mut self) -> Done<Vec<Point>> {
        let mut counts = Vec::new();
        for _ in 0..3 {
            self.scene.reset()?;
            counts.push(self.stepper().ending_with(ends_with(self.command))?.len() as u64);
        }
        let calls = counts.first().copied().unwrap_or_default();
        if counts != [calls; 3] {
            return Err(format!(
                "{:?} does not make equally many calls in three runs: {counts:?}",
                self.command
            )
            .into());
        }
        let count = self.choice.count(20, u64::MAX);
        Ok(sample(self.choice.seed, count, calls).into_iter().map(Point::from).collect())
    }

    fn attempt(&mut self, point: &Point) -> Done<Came> {
        self.scene.reset()?;
        let run = self.stepper().run(Action::Kill(point.at(0)?))?;
        let Some(hit) = run.hit else {
            return Ok(Came { what: "not killed".into(), end: End::NotReached, note: None });
        };
        let what = format!("`tmp {}` killed before call {point} ({hit})", words(self.command).join(" "));
        let (mut wrong, ended_after) = match self.command {
            Command::Create | Command::Prune => self.archives()?,
            Command::Rehearse => (self.rehearsal()?, false),
            Command::Reverse => self.reversal(&run)?,
        };
        if self.command != Command::Reverse {
            let differs = State::of(&self.scene)?.differs_from(&self.before);
            wrong.extend(differs.into_iter().map(|line| format!("it changed the system: {line}")));
        }
        let end = match (wrong.is_empty(), ended_after) {
            (false, _) => End::Violated(wrong),
            (true, true) => End::After,
            (true, false) => End::Before,
        };
        Ok(Came { what, end, note: None })
    }
}

impl Killed {
    fn stepper(&self) -> Stepper {
        let command = self.scene.tmp().args(words(self.command).iter().copied());
        if self.command == Command::Rehearse { command.arg(self.scene.trigger()) } else { command }
    }

    fn learn(&mut self) -> Done {
        if self.command == Command::Reverse {
            self.scene.reset()?;
            self.stepper().count()?;
            let after = State::of(&self.scene)?;
            if after.differs_from(&self.before).is_empty() {
                return Err("the reversal changed nothing".into());
            }
            self.after = Some(Reference::of(self.before.clone(), &after));
        }
        Ok(())
    }

    /// Runs `tmp` undisturbed; what is wrong with how it ended.
    fn ends(&self, words: &[&str], wrong: &mut Vec<String>) -> io::Result<StepOutcome> {
        let outcome = self.scene.tmp().args(words.iter().copied()).plain()?;
        if outcome.ended != Ended::Exited(0) {
            wrong.push(format!("tmp {}: {}", words.join(" "), outcome.told()));
        }
        Ok(outcome)
    }

    /// The names of the snapshots that there are. One that begins with a dot was not written to its end.
    fn snapshots(&self) -> io::Result<BTreeSet<std::ffi::OsString>> {
        let names = fs::read_dir(self.scene.copy().join("state/archive/snapshots"))?
            .map(|entry| entry.map(|entry| entry.file_name()));
        names
            .filter(|name| !name.as_ref().is_ok_and(|name| name.as_encoded_bytes().starts_with(b".")))
            .collect()
    }

    /// Every archive reads back whole, and the same command does the rest.
    fn archives(&self) -> io::Result<(Vec<String>, bool)> {
        let mut wrong = Vec::new();
        self.ends(&["archive", "verify", "--read-data"], &mut wrong)?;
        let found = self.snapshots()?;
        self.ends(words(self.command), &mut wrong)?;
        self.ends(&["archive", "verify", "--read-data"], &mut wrong)?;
        let then = self.snapshots()?;
        // One of the migration and three more.
        let (done, expected) = match self.command {
            Command::Create => (found.len() == 5, found.len() + 1),
            _ => (found.len() < 4, 2),
        };
        if then.len() != expected {
            wrong.push(format!("{found:?} became {then:?} when it was run again"));
        }
        wrong.extend(self.litter()?);
        Ok((wrong, done))
    }

    /// What lies in the state directory and should not.
    fn litter(&self) -> io::Result<Vec<String>> {
        let known = ["archive", "cache", "journal", "ballast", "accepted", "rehearsals", "lock", "restores"];
        let mut lines = Vec::new();
        for entry in fs::read_dir(self.scene.copy().join("state"))? {
            let name = entry?.file_name();
            if !known.iter().any(|known| name.to_string_lossy().starts_with(known)) {
                lines.push(format!("left in the state directory: {}", name.display()));
            }
        }
        Ok(lines)
    }

    /// Nothing is there to recover, and `doctor` removes what a dead rehearsal left.
    fn rehearsal(&self) -> io::Result<Vec<String>> {
        let mut wrong = Vec::new();
        let recovery = self.scene.recovered()?;
        if !recovery.said_nothing() {
            wrong.push(format!("recover: {}", recovery.outcome.told()));
        }
        self.ends(&["doctor"], &mut wrong)?;
        if self.scene.copy().join("state").exists() {
            wrong.extend(self.litter()?);
        }
        wrong.extend(self.scene.leftovers()?);
        Ok(wrong)
    }

    fn reversal(&self, run: &StepOutcome) -> Done<(Vec<String>, bool)> {
        let reference = self.after.as_ref().ok_or("the reversal was not learnt")?;
        let (first, second) = (self.scene.recovered()?, self.scene.recovered()?);
        Ok(match reference.judge(Some(run), &first, &second) {
            Verdict::Before => (Vec::new(), false),
            Verdict::After => (Vec::new(), true),
            Verdict::Violation(lines) => (lines, false),
        })
    }
}
