//! A panic in whatever an engine is given, its observer, a step, a database or the disk itself, undoes nothing on
//! its way out: the next engine finds the migration open and settles it, as after a kill.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tmp_core::{
    id::StepName,
    outcome::Outcome,
    step::{Step, StepContext, StepError},
};
use tmp_disk::RealDisk;
use tmp_testkit::{sqlite, walk};

use crate::{
    common::{Ended, Lab, Seen},
    disks::Weak,
    sick::Ail,
};

/// Unwinds as a panic does, without a word to the test's output.
fn panics() -> ! {
    resume_unwind(Box::new("so says the test"))
}

/// A step that makes a file beside the root and panics where it is told to.
struct Own {
    name: StepName,
    applying: Option<bool>,
}

impl Step for Own {
    fn name(&self) -> &StepName {
        &self.name
    }

    fn describe(&self) -> String {
        "writes a file".into()
    }

    fn describe_undo(&self) -> String {
        "removes it".into()
    }

    fn apply(&mut self, context: &StepContext<'_>) -> Result<(), StepError> {
        fs::write(context.root.with_file_name("own"), "applied").unwrap();
        if self.applying == Some(true) { panics() } else { Ok(()) }
    }

    fn undo(&mut self, context: &StepContext<'_>) -> Result<(), StepError> {
        if self.applying == Some(false) {
            self.applying = None;
            panics()
        }
        match fs::remove_file(context.root.with_file_name("own")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StepError::new(error.to_string()))
            }
            _ => Ok(()),
        }
    }
}

fn lab(refuses: bool, applying: Option<bool>) -> Lab {
    let mut lab = Lab::of_all_moves();
    lab.steps.push(Box::new(Own { name: "own".parse().unwrap(), applying }));
    lab.check("decides", if refuses { "exit 1" } else { "true" });
    lab
}

/// How it ended, once it was recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Before,
    After,
}

/// Migrates what panics, recovers, and says how it ended; `None` where nothing panicked.
fn settled(
    mut lab: Lab,
    after: &Seen,
    what: &str,
    migrate: impl FnOnce(&mut Lab) -> Result<Outcome, Ended>,
) -> Option<End> {
    let before = lab.seen();
    let ended = catch_unwind(AssertUnwindSafe(|| migrate(&mut lab)));
    if let Some(ails) = &lab.ails {
        ails.lock().unwrap().clear();
    }
    let panicked = ended.is_err();
    let recovered = lab.recover();
    let now = lab.seen();
    let differ = |seen: &Seen| {
        let mut lines = walk::diff(&seen.tree.without_mtimes(|_| true), &now.tree.without_mtimes(|_| true));
        lines.extend(sqlite::diff(seen.database.as_ref().unwrap(), now.database.as_ref().unwrap()));
        lines
    };
    let end = if walk::diff(&before.tree, &now.tree).is_empty() && differ(&before).is_empty() {
        End::Before
    } else {
        assert!(differ(after).is_empty(), "{what}: neither: {:?} {:?}", differ(&before), differ(after));
        End::After
    };
    if let Some(recovered) = recovered {
        let claimed = match recovered {
            Outcome::RolledBack { .. } => End::Before,
            Outcome::Committed { .. } => End::After,
            other => panic!("{what}: {other:?}"),
        };
        assert_eq!(claimed, end, "{what}");
    }
    assert_eq!(lab.root().with_file_name("own").exists(), end == End::After, "{what}");
    assert!(lab.recover().is_none(), "{what}: it is open still");
    assert_eq!(lab.leftovers(), [""; 0], "{what}");
    panicked.then_some(end)
}

fn after() -> Seen {
    let mut lab = lab(false, None);
    assert!(matches!(lab.migrate(), Outcome::Committed { .. }));
    lab.seen()
}

#[test]
fn of_the_observer_at_every_event() {
    let after = after();
    let (mut before_ends, mut after_ends) = (0, 0);
    for refuses in [false, true] {
        for at in 1.. {
            let what = format!("event {at}, refuses: {refuses}");
            let ended = settled(lab(refuses, None), &after, &what, |lab| {
                let mut seen = 0;
                lab.migrate_watched(Arc::new(RealDisk), |_, _| {
                    seen += 1;
                    if seen == at {
                        panics();
                    }
                })
            });
            match ended {
                Some(End::Before) => before_ends += 1,
                Some(End::After) => after_ends += 1,
                None => break,
            }
        }
    }
    assert!(before_ends > 30 && after_ends > 3, "{before_ends} {after_ends}");
}

#[test]
fn of_a_step_of_the_embedder() {
    let after = after();
    for (refuses, applying) in [(false, true), (true, true), (true, false)] {
        let what = format!("applying: {applying}, refuses: {refuses}");
        let migrate = |lab: &mut Lab| lab.migrate_on(Arc::new(RealDisk));
        let ended = settled(lab(refuses, Some(applying)), &after, &what, migrate);
        assert_eq!(ended, Some(End::Before), "{what}");
    }
}

#[test]
fn of_a_database_before_and_after_every_call() {
    let after = after();
    let calls =
        ["ready", "copy_to", "begin", "apply", "mark", "fingerprint", "commit", "abandon", "settle", "undo"];
    let mut panicked = Vec::new();
    for call in calls {
        for ail in [Ail::Panics, Ail::PanicsLate] {
            for refuses in [false, true] {
                let what = format!("{call}, {ail:?}, refuses: {refuses}");
                let mut lab = lab(refuses, None);
                lab.ails = Some(Arc::default());
                let ended = settled(lab, &after, &what, |lab| {
                    let plan = lab.plan().map_err(Ended::Plan)?;
                    lab.ails.as_ref().unwrap().lock().unwrap().push((call, ail));
                    lab.migrate_planned(&plan, Arc::new(RealDisk), |_, _| {})
                });
                if let Some(end) = ended {
                    panicked.push(call);
                    let late_commit = call == "commit" && ail == Ail::PanicsLate && !refuses;
                    assert_eq!(end == End::After, late_commit, "{what}");
                }
            }
        }
    }
    panicked.dedup();
    for call in ["copy_to", "begin", "apply", "mark", "fingerprint", "commit", "undo"] {
        assert!(panicked.contains(&call), "{call}: {panicked:?}");
    }
}

#[test]
fn of_the_disk_at_every_effect() {
    let after = after();
    let (mut before_ends, mut after_ends) = (0, 0);
    for refuses in [false, true] {
        for at in 1.. {
            let what = format!("effect {at}, refuses: {refuses}");
            let effects = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&effects);
            let hit = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&hit);
            let ended = settled(lab(refuses, None), &after, &what, |lab| {
                let disk = Weak::before_effects(move || {
                    if counted.fetch_add(1, Ordering::SeqCst) + 1 == at {
                        seen.store(true, Ordering::SeqCst);
                        panics();
                    }
                });
                lab.migrate_on(disk)
            });
            match ended {
                Some(End::Before) => before_ends += 1,
                Some(End::After) => after_ends += 1,
                // In a thread of the archive a panic is an error of that thread.
                None if hit.load(Ordering::SeqCst) => {}
                None => break,
            }
        }
    }
    assert!(before_ends > 200 && after_ends > 10, "{before_ends} {after_ends}");
}
