//! A clock that cannot be relied on: at every time that the engine asks it, it has jumped, repeated a second or
//! stood still for a day of work. No outcome is wrong for it, and a way back that no longer fits is still gone to its
//! end. Windows do not exist yet; what there is of deadlines is `max_duration`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tmp_core::{clock::Clock, outcome::Outcome};
use tmp_disk::{Disk, Fault, FaultDisk};

use crate::{
    change_sets,
    eye::View,
    world::{ROOT, WORK, Way, World, migrate, recover},
};

const DAY: i64 = 86_400;

/// What happens to the clock: by how many seconds the time of day and the time that has passed jump.
const EVENTS: [(&str, i64, i64); 6] = [
    ("a day forward", DAY, 0),
    ("a day back", -DAY, 0),
    ("summer time begins, on a clock that shows local time", 3600, 0),
    ("summer time ends", -3600, 0),
    ("a second comes twice", -1, 0),
    ("the machine stood still for a day", DAY, DAY),
];

/// A clock to which something happens when it is asked for the nth time.
#[derive(Debug)]
struct Unreliable {
    at: u64,
    jump: (i64, i64),
    asked: AtomicU64,
    slept: AtomicI64,
}

impl Unreliable {
    fn new(at: u64, jump: (i64, i64)) -> Arc<Self> {
        Arc::new(Self { at, jump, asked: AtomicU64::new(0), slept: AtomicI64::new(0) })
    }

    /// Milliseconds since the beginning, and whether it has happened.
    fn ask(&self) -> (i64, bool) {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        (i64::try_from(asked).unwrap() + self.slept.load(Ordering::SeqCst), asked >= self.at)
    }
}

impl Clock for Unreliable {
    fn now(&self) -> OffsetDateTime {
        let (milliseconds, jumped) = self.ask();
        let jump = if jumped { self.jump.0 } else { 0 };
        OffsetDateTime::from_unix_timestamp(1_800_100_000 + jump).unwrap()
            + time::Duration::milliseconds(milliseconds)
    }

    fn elapsed(&self) -> Duration {
        let (milliseconds, jumped) = self.ask();
        let jump = if jumped { self.jump.1 } else { 0 };
        Duration::from_millis(u64::try_from(milliseconds + jump * 1000).unwrap())
    }

    fn sleep(&self, duration: Duration) {
        self.slept.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// Every kind of operation, and at most a minute.
fn world(refused: bool) -> World {
    let mut world = World::new(Way::Files).with_bystanders();
    for number in 0..9 {
        change_sets::add(&mut world, usize::try_from(number).unwrap(), change_sets::operations(number)[0]);
    }
    if refused {
        world.refuse();
    }
    world.enhancement.max_duration_s = Some(60);
    world.settle();
    world
}

/// Nothing is open, and nothing left.
fn settled(world: &World, what: &str) {
    let again = recover(world.workplace(Arc::new(world.disk.clone()), 0)).unwrap();
    assert!(again.is_none(), "{what}: {again:?}");
    let names = world.disk.list(&world.disk.open_root(WORK.as_ref()).unwrap()).unwrap();
    assert_eq!(names, ["ballast", "lock"], "{what}");
}

#[test]
fn whatever_the_clock_does_no_outcome_is_wrong() {
    for refused in [false, true] {
        let sound = world(refused);
        let (before, plan) = (View::of(&sound.disk, ROOT), sound.plan(1000));
        let clock = Unreliable::new(u64::MAX, (0, 0));
        let trial = sound.again();
        let undisturbed =
            migrate(trial.workplace_at(Arc::new(trial.disk.clone()), clock.clone()), &plan, &trial.payload);
        assert_eq!(matches!(undisturbed, Ok(Outcome::Committed { .. })), !refused, "{undisturbed:?}");
        let after = View::of(&trial.disk, ROOT);
        let times = clock.asked.load(Ordering::SeqCst);
        assert!(times > 30, "{times}");
        let (mut back, mut forth) = (0, 0);
        for (name, jump, stall) in EVENTS {
            for at in 1..=times {
                let what = format!("{name} when the clock is asked for the {at}th time");
                let world = sound.again();
                let clock = Unreliable::new(at, (jump, stall));
                let workplace = world.workplace_at(Arc::new(world.disk.clone()), clock);
                let outcome = migrate(workplace, &plan, &world.payload).unwrap();
                let now = View::of(&world.disk, ROOT);
                match &outcome {
                    Outcome::Committed { .. } => {
                        assert!(!refused, "{what}");
                        assert_eq!(now.contents(), after.contents(), "{what}");
                        forth += 1;
                    }
                    Outcome::RolledBack { cause, .. } => {
                        assert_eq!(now, before, "{what}: {}", now.differences(&before));
                        let late = cause.contains("max_duration");
                        assert!(late || refused, "{what}: {cause}");
                        assert!(!late || stall > 0, "{what}: only time that passed counts: {cause}");
                        back += 1;
                    }
                    other => panic!("{what}: {other:?}"),
                }
                settled(&world, &what);
            }
        }
        assert!(back > 10 && (refused || forth > 100), "{back} back, {forth} forth");
    }
}

/// Killed, and recovered by a clock that is a day behind or ahead.
#[test]
fn a_recovery_does_not_mind_what_time_it_is() {
    let sound = world(false);
    let (before, plan) = (View::of(&sound.disk, ROOT), sound.plan(1000));
    let counted = Arc::new(FaultDisk::new(Arc::new(sound.again().disk), Fault::None));
    let outcome = sound.migrate(&plan, counted.clone()).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    let mut ends = [0, 0];
    for at in (1..=counted.effects()).step_by(3) {
        for jump in [-DAY, DAY] {
            let world = sound.again();
            drop(
                world.migrate(
                    &plan,
                    Arc::new(FaultDisk::new(Arc::new(world.disk.clone()), Fault::Stop { at })),
                ),
            );
            let workplace = world.workplace_at(Arc::new(world.disk.clone()), Unreliable::new(1, (jump, 0)));
            let outcome = recover(workplace).unwrap();
            let now = View::of(&world.disk, ROOT);
            let is_back = now == before;
            if let Some(outcome) = &outcome {
                assert_eq!(
                    matches!(outcome, Outcome::RolledBack { .. }),
                    is_back,
                    "{at}, {jump}: {outcome:?}"
                );
            }
            ends[usize::from(is_back)] += 1;
            settled(&world, &format!("{at}, {jump}"));
        }
    }
    assert!(ends[0] > 5 && ends[1] > 30, "{ends:?}");
}
