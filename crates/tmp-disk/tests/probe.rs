//! The probe under every single fault.

use std::sync::Arc;

use tmp_core::Mode;
use tmp_disk::{Disk, Fault, FaultDisk, ProbeError, SimDisk, Tree, create_dir_durably, probe};

const EINVAL: i32 = 22;

#[test]
fn every_needed_operation_is_needed_and_nothing_is_left_behind() {
    let (mut refused, mut lesser) = (0, 0);
    for at in 1.. {
        let sim: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let top = sim.open_root("/".as_ref()).unwrap();
        let root = create_dir_durably(&*sim, &top, "root", Mode::DIRECTORY).unwrap();
        let work = create_dir_durably(&*sim, &top, "work", Mode::DIRECTORY).unwrap();
        let faulty =
            Arc::new(FaultDisk::new(sim.clone(), Fault::Error { at, errno: EINVAL, persistent: false }));
        let disk: Arc<dyn Disk> = faulty.clone();
        let tree = Tree::open(&disk, "/root".as_ref()).unwrap();
        match probe(&tree, &work, false) {
            Ok(found) if found.exchange && found.xattrs => break,
            Ok(_) => lesser += 1,
            Err(ProbeError::Lacks { what, .. }) => {
                refused += 1;
                assert!(!what.is_empty());
                assert!(sim.list(&work).unwrap().is_empty(), "cannot {what}: cleared away");
            }
            Err(ProbeError::Disk(_)) => {}
            Err(other) => panic!("fault {at}: {other}"),
        }
        let tree = Tree::open(&sim, "/root".as_ref()).unwrap();
        assert!(probe(&tree, &work, false).unwrap().exchange, "the next probe clears away what is left");
        assert!(sim.list(&work).unwrap().is_empty() && sim.list(&root).unwrap().is_empty());
    }
    assert_eq!(refused, 19, "each of these operations is needed");
    assert_eq!(lesser, 2, "without exchange, without extended attributes");
}
