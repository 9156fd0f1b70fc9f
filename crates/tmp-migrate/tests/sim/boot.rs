//! What another boot left: a lock's file that names a process which exists again, as somebody else.

use std::sync::Arc;

use tmp_core::outcome::Outcome;
use tmp_disk::{Disk, Fault, FaultDisk, create_dir_durably, ensure_dirs, read_whole, write_durably};

use crate::{
    change_sets,
    eye::View,
    world::{ROOT, WORK, Way, World, recover},
};

/// Says which boot this is.
fn boot(world: &World, id: &str) {
    let dir = ensure_dirs(&world.disk, "/proc/sys/kernel/random".as_ref()).unwrap();
    write_durably(&world.disk, &dir, "boot_id", id.as_bytes()).unwrap();
}

#[test]
fn the_lock_and_the_journal_of_another_boot_keep_nobody_from_recovering() {
    let mut world = World::new(Way::Files).with_bystanders();
    change_sets::add(&mut world, 0, change_sets::Operation::ReplaceFile);
    boot(&world, "the first boot");
    world.settle();
    let (plan, before) = (world.plan(1000), View::of(&world.disk, ROOT));
    let counted = Arc::new(FaultDisk::new(Arc::new(world.again().disk), Fault::None));
    drop(world.migrate(&plan, counted.clone()).unwrap());
    let mut recovered = 0;
    for at in 1..=counted.effects() {
        let mut world = world.again();
        drop(
            world.migrate(&plan, Arc::new(FaultDisk::new(Arc::new(world.disk.clone()), Fault::Stop { at }))),
        );
        world.disk = world.disk.power_loss(at);
        boot(&world, "the second boot");
        // This very process: it lives, has that number, and never had that lock.
        let work = create_dir_durably(
            &world.disk,
            &world.disk.open_root("/site".as_ref()).unwrap(),
            WORK.rsplit('/').next().unwrap(),
            tmp_core::Mode::from_bits(0o700),
        )
        .unwrap();
        let note = format!("process {}\nstate /state\n", std::process::id());
        write_durably(&world.disk, &work, "lock", note.as_bytes()).unwrap();
        assert!(!read_whole(&world.disk, tmp_disk::At::new(&work, "lock"), 100).unwrap().is_empty());
        let outcome = recover(world.workplace(Arc::new(world.disk.clone()), 1_000_000)).unwrap();
        let is_back = View::of(&world.disk, ROOT) == before;
        if let Some(outcome) = outcome {
            assert_eq!(matches!(outcome, Outcome::RolledBack { .. }), is_back, "{at}: {outcome:?}");
            recovered += 1;
        }
    }
    assert!(recovered > 30, "{recovered}");
}
