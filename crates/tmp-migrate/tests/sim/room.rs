//! What is known on a disk that has no room even for the lock.

use std::{path::Path, sync::Arc};

use tmp_core::{Mode, outcome::Outcome};
use tmp_disk::{At, Disk};
use tmp_migrate::{Engine, OpenError, Opened};

use crate::world::{STATE, WORK, Way, World};

/// Opens the engine once more, after the lock and both ballasts were removed and everything else was used up.
fn opened_without_room(world: &World) -> Result<Opened, OpenError> {
    let disk = &world.disk;
    for (dir, names) in [(WORK, ["lock", "ballast"].as_slice()), (STATE, ["ballast"].as_slice())] {
        let dir = disk.open_root(Path::new(dir)).unwrap();
        for name in names {
            disk.remove_file(At::new(&dir, name)).unwrap();
        }
    }
    disk.set_free(0, 0);
    Engine::open(world.workplace(Arc::new(disk.clone()), 1_000_000))
}

/// Then nothing is open, and whoever only wants to recover need not wait for room.
#[test]
fn where_nothing_began_it_is_only_room_that_is_missing() {
    for without_journals in [false, true] {
        let world = World::new(Way::Files);
        if without_journals {
            let state = world.disk.open_root(Path::new(STATE)).unwrap();
            world.disk.remove_dir(At::new(&state, "journal")).unwrap();
        }
        let opened = opened_without_room(&world);
        assert!(matches!(opened, Err(OpenError::NoRoom { .. })), "{opened:?}");
    }
}

/// A folder of journals that cannot be opened says nothing of what began.
#[test]
fn where_the_journals_cannot_be_looked_at_it_is_more_than_room_that_is_missing() {
    let world = World::new(Way::Files);
    let state = world.disk.open_root(Path::new(STATE)).unwrap();
    world.disk.remove_dir(At::new(&state, "journal")).unwrap();
    drop(world.disk.create_file(At::new(&state, "journal"), Mode::FILE).unwrap());
    let opened = opened_without_room(&world);
    assert!(matches!(opened, Err(OpenError::Disk(_))), "{opened:?}");
}

/// Without its lock nobody may look whether one that began is over.
#[test]
fn where_something_began_nothing_is_known_without_the_lock() {
    let mut world = World::new(Way::Files);
    world.put("new", "new", Mode::FILE, None);
    let outcome = world.migrate(&world.plan(1000), Arc::new(world.disk.clone())).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    let opened = opened_without_room(&world);
    assert!(matches!(opened, Err(OpenError::Disk(_))), "{opened:?}");
}
