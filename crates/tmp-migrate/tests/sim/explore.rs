//! Explores one change set: at every effect of its migration every process dies, or power is lost, and what is
//! found then is recovered and judged. In some of the recoveries the same happens once more.

use std::sync::{Arc, Mutex};

use tmp_core::{outcome::Outcome, plan::Plan};
use tmp_disk::{Disk, FaultDisk, SimDisk};

use crate::{
    change_sets,
    eye::View,
    matrix::POINTS,
    world::{ROOT, STATE, WORK, Way, World},
};

/// What is explored of a change set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) seed: u64,
    /// How many power losses there are at each effect, besides one kill.
    pub(crate) losses: u64,
    /// Of how many effects one is chosen.
    pub(crate) every: u64,
    /// Of how many recoveries one is struck too.
    pub(crate) strike: u64,
    /// Only this effect.
    pub(crate) only: Option<u64>,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Cases that were explored to their end.
    pub(crate) cases: u64,
    /// Disks that were found, recovered and judged.
    pub(crate) states: u64,
    /// Effects at which something happened.
    pub(crate) points: u64,
    /// Of the states those that a kill left, a power loss, and something that happened to a recovery.
    pub(crate) kills: u64,
    pub(crate) losses: u64,
    pub(crate) in_recovery: u64,
    /// Where they ended.
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.states += other.states;
        self.points += other.points;
        self.kills += other.kills;
        self.losses += other.losses;
        self.in_recovery += other.in_recovery;
        self.before += other.before;
        self.after += other.after;
    }
}

/// One change set, switched in one way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// Its place among all.
    pub(crate) number: u64,
    /// Which change set.
    pub(crate) set: u64,
    pub(crate) way: Way,
    /// Whether a check fails in the end.
    pub(crate) refused: bool,
}

/// Everything that judging needs.
struct Judge {
    world: World,
    before: View,
    /// With everything switched.
    switched: View,
    /// What it comes to in the end.
    after: View,
    case: Case,
    extent: Extent,
    tally: Mutex<Tally>,
}

/// How a disk came about.
#[derive(Clone, Copy)]
enum Cause {
    Kill,
    Loss(u64),
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kill => f.write_str("a kill"),
            Self::Loss(number) => write!(f, "power loss {number}"),
        }
    }
}

/// Explores one case. A violation is a panic that says how to repeat it.
pub(crate) fn explore(case: Case, extent: Extent, base: &World) -> Tally {
    let (world, plan) = prepare(case, base);
    let before = View::of(&world.disk, ROOT);
    let switched = switched(case, base, &before);
    let after = if case.refused { before.clone() } else { switched.clone() };
    let disk = world.disk.after_kill();
    let judge = Arc::new(Judge { world, before, switched, after, case, extent, tally: Mutex::default() });
    let watching = Arc::clone(&judge);
    let live = disk.clone();
    let watched = Arc::new(FaultDisk::watched(Arc::new(disk.clone()), move |effect| {
        watching.strike(&live, effect);
    }));
    let outcome = judge.world.migrate(&plan, watched).unwrap();
    assert_eq!(matches!(outcome, Outcome::RolledBack { .. }), case.refused, "{case:?}: {outcome:?}");
    // What was told is kept, whatever happens afterwards.
    for loss in 0..extent.losses {
        let left = disk.power_loss(seed_of(&[extent.seed, case.number, u64::MAX, loss]));
        judge.judge(&left, Some(&outcome), &|| format!("after the end, loss {loss}"));
    }
    Tally { cases: 1, ..*judge.tally.lock().unwrap() }
}

/// The world of a case, with everything durable, and its plan.
fn prepare(case: Case, base: &World) -> (World, Plan) {
    let mut world = base.again();
    for (position, operation) in change_sets::operations(case.set).into_iter().enumerate() {
        change_sets::add(&mut world, position, operation);
    }
    if case.refused {
        world.refuse();
    }
    world.settle();
    let plan = world.plan(1000);
    (world, plan)
}

/// The system with everything switched, which is as the change set says.
fn switched(case: Case, base: &World, before: &View) -> View {
    let (world, plan) = prepare(Case { refused: false, ..case }, base);
    assert_eq!(View::of(&world.disk, ROOT), *before);
    let outcome = world.migrate(&plan, Arc::new(world.disk.clone())).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{case:?}: {outcome:?}");
    let after = View::of(&world.disk, ROOT);
    for (position, operation) in change_sets::operations(case.set).into_iter().enumerate() {
        for (path, expected) in change_sets::expected(position, operation) {
            let found = after.0.get(&path).map(|seen| (seen.kind, seen.bytes.clone()));
            assert_eq!(found, expected, "{case:?}: {path}");
        }
    }
    after
}

impl Judge {
    /// Something happens just before an effect of the migration.
    fn strike(self: &Arc<Self>, live: &SimDisk, effect: u64) {
        let chosen = match self.extent.only {
            Some(only) => only == effect,
            None => seed_of(&[self.extent.seed, self.case.number, effect]).is_multiple_of(self.extent.every),
        };
        if !chosen {
            return;
        }
        self.tally.lock().unwrap().points += 1;
        for (cause, left) in self.left(live, effect, self.extent.losses) {
            let what = || format!("point {}, {cause}", self.case.number * POINTS + effect);
            self.count(cause, |tally| tally);
            let again =
                seed_of(&[self.extent.seed, self.case.number, effect, 7]).is_multiple_of(self.extent.strike);
            if again {
                self.judge_struck(&left, &what);
            } else {
                self.judge(&left, None, &what);
            }
        }
    }

    /// What a kill and so many power losses leave.
    fn left(&self, live: &SimDisk, effect: u64, losses: u64) -> Vec<(Cause, SimDisk)> {
        let mut left = vec![(Cause::Kill, live.after_kill())];
        for loss in 0..losses {
            let seed = seed_of(&[self.extent.seed, self.case.number, effect, loss]);
            left.push((Cause::Loss(loss), live.power_loss(seed)));
        }
        left
    }

    fn count(&self, cause: Cause, also: impl FnOnce(&mut Tally) -> &mut Tally) {
        let mut tally = self.tally.lock().unwrap();
        let tally = also(&mut tally);
        match cause {
            Cause::Kill => tally.kills += 1,
            Cause::Loss(_) => tally.losses += 1,
        }
    }

    /// The recovery of what was found is struck at every effect in turn; then it goes on to its end.
    fn judge_struck(self: &Arc<Self>, left: &SimDisk, what: &dyn Fn() -> String) {
        let (judge, live, first) = (Arc::clone(self), left.clone(), what());
        let watched = FaultDisk::watched(Arc::new(left.clone()), move |effect| {
            for (cause, left) in judge.left(&live, effect, 1) {
                judge.count(cause, |tally| {
                    tally.in_recovery += 1;
                    tally
                });
                judge.judge(&left, None, &|| {
                    format!("{first}, then effect {effect} of the recovery, {cause}")
                });
            }
        });
        self.judge_on(left, Arc::new(watched), None, what);
    }

    fn judge(&self, left: &SimDisk, claimed: Option<&Outcome>, what: &dyn Fn() -> String) {
        self.judge_on(left, Arc::new(left.clone()), claimed, what);
    }

    /// Judges a disk as it was found, before and after recovery by `disk`.
    fn judge_on(
        &self,
        left: &SimDisk,
        disk: Arc<dyn Disk>,
        claimed: Option<&Outcome>,
        what: &dyn Fn() -> String,
    ) {
        let mut verdict = self.verdict(left, disk, claimed);
        let mut tally = self.tally.lock().unwrap();
        tally.states += 1;
        // What a recovery told is kept, whatever happens afterwards.
        if claimed.is_none()
            && tally.states.is_multiple_of(self.extent.strike)
            && let Ok((after, Some(told))) = &verdict
        {
            tally.in_recovery += 1;
            tally.losses += 1;
            tally.states += 1;
            let seed = what().bytes().map(u64::from).collect::<Vec<_>>();
            let lost = left.power_loss(seed_of(&seed) ^ self.extent.seed);
            let again = self.verdict(&lost, Arc::new(lost.clone()), Some(told));
            if again.as_ref().map(|(after, _)| after) != Ok(after) {
                verdict = Err(format!("after the recovery power was lost: {again:?}"));
            }
        }
        match verdict {
            Ok((true, _)) => tally.after += 1,
            Ok((false, _)) => tally.before += 1,
            Err(violation) => {
                drop(tally);
                let operations = change_sets::operations(self.case.set);
                panic!(
                    "violated by {:?} {operations:?} with seed {}: {}\n{violation}",
                    self.case,
                    self.extent.seed,
                    what()
                );
            }
        }
    }

    /// Whether it ended as after, else as before, and what was told.
    fn verdict(
        &self,
        left: &SimDisk,
        disk: Arc<dyn Disk>,
        claimed: Option<&Outcome>,
    ) -> Result<(bool, Option<Outcome>), String> {
        View::of(left, ROOT).is_whole(&self.before, &self.switched)?;
        let recovered = self.world.recover(disk)?;
        if let Some(again) = self.world.recover(Arc::new(left.clone()))? {
            return Err(format!("there was something left to recover: {again:?}"));
        }
        let now = View::of(left, ROOT);
        let after = now != self.before;
        if after {
            let found = now.clone().without_times_of_directories();
            let expected = self.after.clone().without_times_of_directories();
            if found != expected {
                return Err(format!(
                    "neither before:\n{}\nnor after:\n{}",
                    now.differences(&self.before),
                    found.differences(&expected)
                ));
            }
        }
        for outcome in claimed.into_iter().chain(recovered.as_ref()) {
            if matches!(outcome, Outcome::Committed { .. }) != after {
                return Err(format!("it was told {outcome:?}"));
            }
        }
        for (dir, allowed) in [(WORK, ["lock", "ballast", ""]), (STATE, ["journal", "archive", "ballast"])] {
            let names = left.list(&left.open_root(dir.as_ref()).unwrap()).unwrap();
            if let Some(name) = names.iter().find(|name| !allowed.iter().any(|allowed| *name == allowed)) {
                return Err(format!("{} is left in {dir}", name.display()));
            }
        }
        Ok((after, recovered))
    }
}

/// A number that follows from these (splitmix64).
pub(crate) fn seed_of(of: &[u64]) -> u64 {
    of.iter().fold(0, |state: u64, number| {
        let mut mixed = state.wrapping_add(*number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}
