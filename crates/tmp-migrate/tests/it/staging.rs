//! What goes wrong while modules are staged is told of the module, not of its place in the work directory.

use std::sync::atomic::Ordering;

use crate::{common::Lab, disks::Weak};
use tmp_core::{
    Digest,
    event::{Event, Work},
    module::{Change, Content},
    outcome::Outcome,
};

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    lab.change("bin/link", Change::Put(Content::Symlink { target: "app".into() }));
    lab
}

fn cause(outcome: &Outcome) -> &str {
    let Outcome::RolledBack { cause, .. } = outcome else { panic!("{outcome:?}") };
    cause
}

#[test]
fn an_error_while_staging_names_the_module() {
    for (call, module) in [
        ("create_file", "bin/app"),
        ("create_symlink", "bin/link"),
        ("clone_file", "bin/copy"),
        ("set_mtime", "bin/link"),
    ] {
        let mut lab = lab();
        lab.put("bin/copy", "new");
        let before = lab.seen();
        let (disk, refuse) = Weak::refusing(call);
        let outcome = lab
            .migrate_watched(disk, |event, _| {
                if matches!(event, Event::Done { work: Work::VerifyArchive, .. }) {
                    refuse.store(true, Ordering::SeqCst);
                }
            })
            .unwrap();
        let cause = cause(&outcome);
        assert!(cause.contains(module), "{call}: {cause}");
        crate::common::assert_same(&before, &lab.seen());
    }
}

#[test]
fn content_that_is_not_what_was_packaged_is_told_of_the_module() {
    let mut lab = lab();
    lab.payload.0.insert(Digest::of(b"new"), b"other".to_vec());
    let outcome = lab.migrate();
    assert!(cause(&outcome).contains("bin/app has sha256:"), "{outcome:?}");
}
