//! The work of a recovery is counted: it grows with the operations and no faster, whichever way it goes, and it is
//! done without the trigger file.

use std::sync::{Arc, Mutex};

use tmp_core::{Mode, outcome::Outcome};
use tmp_disk::{At, Disk, Fault, FaultDisk, SimDisk};

use crate::world::{ROOT, WORK, Way, World, recover};

/// What every file holds before.
const OLD: &str = "old";

/// How many calls of a recovery had an effect, and how many only looked.
type Work = (u64, u64);

/// Ten in each directory, in the order of their numbers.
fn path(number: u64) -> String {
    format!("lib/{:03}/{number:03}", number / 10)
}

/// A system and a change of so many of its files.
fn world(way: Way, operations: u64) -> World {
    let mut world = World::new(way);
    for number in 0..operations {
        let path = path(number);
        world.write(&path, OLD);
        world.put(&path, format!("new {number}"), Mode::FILE, None);
    }
    world.settle();
    world
}

/// The disk as it is just before an effect.
fn stopped(world: &World, at: impl Fn(u64, &SimDisk) -> bool + Send + Sync + 'static) -> SimDisk {
    let plan = world.plan(1000);
    let disk = world.disk.after_kill();
    let (live, found) = (disk.clone(), Arc::new(Mutex::new(None)));
    let keep = Arc::clone(&found);
    let watched = FaultDisk::watched(Arc::new(disk), move |effect| {
        let mut keep = keep.lock().unwrap();
        if keep.is_none() && at(effect, &live) {
            *keep = Some(live.after_kill());
        }
    });
    let outcome = world.migrate(&plan, Arc::new(watched)).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    found.lock().unwrap().take().unwrap()
}

/// The work of recovering this disk, and what came of it.
fn work(world: &World, disk: SimDisk) -> (Work, Outcome) {
    let counted = Arc::new(FaultDisk::new(Arc::new(disk), Fault::None));
    let outcome = recover(world.workplace(counted.clone(), 1_000_000)).unwrap().unwrap();
    ((counted.effects(), counted.reads()), outcome)
}

/// Killed where most is to be taken back (everything is switched and nothing decided), and where most is to be
/// cleaned up (everything is decided and nothing removed).
fn both(way: Way, operations: u64) -> (Work, Work) {
    let world = world(way, operations);
    let last = path(operations - 1);
    let (dir, name) = last.rsplit_once('/').unwrap();
    let (dir, name) = (format!("{ROOT}/{dir}"), name.to_owned());
    let is_switched = move |disk: &SimDisk| {
        let dir = disk.open_root(dir.as_ref()).unwrap();
        disk.stat(At::new(&dir, name.as_str())).unwrap().unwrap().size != OLD.len() as u64
    };
    let (back, outcome) = work(&world, stopped(&world, move |_, disk| is_switched(disk)));
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    let garbage = |disk: &SimDisk| {
        let names = disk.list(&disk.open_root(WORK.as_ref()).unwrap());
        names.unwrap().iter().any(|name| name.to_string_lossy().starts_with("gc-"))
    };
    let (forward, outcome) = work(&world, stopped(&world, move |_, disk| garbage(disk)));
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    (back, forward)
}

#[test]
fn the_work_of_a_recovery_is_linear_in_the_operations() {
    for way in [Way::Files, Way::WithoutExchange, Way::Atomic] {
        let counts = [50, 100, 200, 400].map(|count| both(way, count));
        let of =
            |part: fn(&(Work, Work)) -> u64| counts.each_ref().map(|work| i64::try_from(part(work)).unwrap());
        let columns = [
            ("effects back", of(|(back, _)| back.0)),
            ("looks back", of(|(back, _)| back.1)),
            ("effects forward", of(|(_, forward)| forward.0)),
            ("looks forward", of(|(_, forward)| forward.1)),
        ];
        for (column, counted) in columns {
            let [first, second, third] =
                [counted[1] - counted[0], counted[2] - counted[1], counted[3] - counted[2]];
            // Twice as many more cost twice as much more; a square would cost four times as much.
            for (less, more) in [(first, second), (second, third)] {
                assert!(more <= less * 2 + less / 5 + 8, "{way:?}, {column}: {counted:?}");
            }
            assert!(counted[3] < 25 * 400, "{way:?}, {column}: {counted:?}");
            println!("{way:?}, {column}: {counted:?}");
        }
    }
}
