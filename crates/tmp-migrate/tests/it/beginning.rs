//! Errors while a migration begins: what is told of them is what is left.

use std::{fs, sync::Arc};

use crate::common::{Ended, Lab, assert_same};
use tmp_core::outcome::Outcome;
use tmp_disk::{Fault, FaultDisk, RealDisk};
use tmp_migrate::EngineError;

/// The names in the folder of journals.
fn journals(lab: &Lab) -> Vec<String> {
    let entries = fs::read_dir(lab.dir.path().join("state/journal")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_did_not_begin_has_no_journal_and_what_may_have_begun_is_recovered() {
    let (mut not_begun, mut unknown) = (0, 0);
    for at in 1.. {
        let mut lab = Lab::new();
        lab.write("bin/app", "old");
        lab.put("bin/app", "new");
        let before = lab.seen();
        let fault = Fault::Error { at, errno: 5, persistent: false };
        match lab.migrate_on(Arc::new(FaultDisk::new(Arc::new(RealDisk), fault))) {
            Err(Ended::Open(_)) => {}
            Err(Ended::Engine(EngineError::NotBegun { .. })) => {
                not_begun += 1;
                // After a failed sync nothing is removed either; the next engine does that.
                assert!(journals(&lab).iter().all(|name| name.starts_with(".new-")), "effect {at}");
                assert!(lab.recover().is_none(), "effect {at}");
                assert_eq!(journals(&lab), [""; 0], "effect {at}");
            }
            Err(Ended::Engine(EngineError::Sync { .. })) if unknown == 0 => {
                unknown += 1;
                assert_eq!(journals(&lab).len(), 1, "effect {at}");
                assert!(matches!(lab.recover(), Some(Outcome::RolledBack { .. })), "effect {at}");
            }
            // Everything from here on is after the beginning, or before it and of no consequence.
            _ if not_begun > 0 => break,
            Ok(_) => continue,
            other => panic!("effect {at}: {other:?}"),
        }
        assert_same(&before, &lab.seen());
    }
    assert!(not_begun > 5 && unknown == 1, "{not_begun} {unknown}");
}
