//! What somebody wrote to a module that was parked meanwhile is kept, and no loss of power takes it.

use std::{ffi::OsStr, path::PathBuf, sync::Arc};

use tmp_core::{Mode, module::Kind, outcome::Outcome};
use tmp_disk::{At, Dir, Disk, FaultDisk, SimDisk, write_all_at};

use crate::world::{ROOT, Way, World, recover};

/// What somebody writes.
const THEIRS: &str = "written by somebody";

/// Whether that is found anywhere below a directory.
fn is_below(disk: &SimDisk, dir: &Dir) -> bool {
    disk.list(dir).unwrap().iter().any(|name| {
        let at = At { dir, name };
        match disk.stat(at).unwrap().unwrap().kind {
            Kind::Directory => is_below(disk, &disk.open_dir(dir, OsStr::new(name)).unwrap()),
            Kind::File => {
                let mut bytes = vec![0; THEIRS.len()];
                disk.read_at(&disk.open_file(at).unwrap(), 0, &mut bytes).unwrap();
                bytes == THEIRS.as_bytes()
            }
            _ => false,
        }
    })
}

#[test]
fn what_is_kept_outlives_a_loss_of_power() {
    for way in [Way::Files, Way::WithoutExchange, Way::Atomic] {
        let mut world = World::new(way).with_bystanders();
        for number in 0..3 {
            let path = format!("bin/{number}");
            world.write(&path, "old");
            world.put(&path, format!("new {number}"), Mode::FILE, None);
        }
        world.settle();
        let plan = world.plan(1000);
        let dir = world.disk.open_root(&PathBuf::from(ROOT).join("bin")).unwrap();
        let (live, first) =
            (world.disk.clone(), world.disk.stat(At::new(&dir, "0")).unwrap().unwrap().identity);
        // A daemon that has the old file open, writes to it once that has lost its place, and syncs.
        let daemon = live.open_file_to_write(At::new(&dir, "0")).unwrap();
        let judge = world.again();
        let watched = FaultDisk::watched(Arc::new(live.clone()), move |effect| {
            let root = live.open_root(&PathBuf::from(ROOT).join("bin")).unwrap();
            if live.stat(At::new(&root, "0")).unwrap().unwrap().identity == first {
                return;
            }
            write_all_at(&live, &daemon, 0, THEIRS.as_bytes()).unwrap();
            live.sync_file(&daemon).unwrap();
            for seed in 0..6 {
                let lost = live.power_loss(effect * 10 + seed);
                recover(judge.workplace(Arc::new(lost.clone()), 1_000_000)).unwrap();
                let again = lost.power_loss(seed);
                recover(judge.workplace(Arc::new(again.clone()), 2_000_000)).unwrap();
                for disk in [lost, again] {
                    let site = disk.open_root("/site".as_ref()).unwrap();
                    assert!(is_below(&disk, &site), "{way:?}, effect {effect}, seed {seed}");
                }
            }
        });
        let outcome = world.migrate(&plan, Arc::new(watched)).unwrap();
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }
}
