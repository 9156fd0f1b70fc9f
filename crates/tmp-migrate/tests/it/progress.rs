//! What a migration tells of how far it is.

use std::sync::{Arc, atomic::AtomicBool};

use tmp_core::{
    event::{Event, Observer, Progress, Work},
    outcome::Outcome,
};
use tmp_disk::RealDisk;
use tmp_migrate::Opened;

use crate::common::Lab;

/// Remembers everything.
#[derive(Default)]
struct Told {
    progress: Vec<Progress>,
    done: Vec<(Work, u64, u64)>,
}

impl Observer for Told {
    fn event(&mut self, event: &Event) {
        if let Event::Done { work, items, bytes, .. } = event {
            self.done.push((*work, *items, *bytes));
        }
    }

    fn progress(&mut self, progress: &Progress) {
        self.progress.push(*progress);
    }
}

impl Told {
    /// Items done, of how many, and bytes done, each time it was told of this work.
    fn of(&self, work: Work) -> Vec<(u64, u64, u64)> {
        let of = self.progress.iter().filter(|progress| progress.work == work);
        of.map(|progress| (progress.done, progress.total, progress.bytes)).collect()
    }

    fn sum(&self, work: Work) -> (u64, u64) {
        let (_, items, bytes) = self.done.iter().find(|done| done.0 == work).unwrap();
        (*items, *bytes)
    }
}

#[test]
fn each_item_and_its_bytes_are_counted_once() {
    let mut lab = Lab::of_all_moves();
    lab.put("bin/twin", "added");
    lab.sql("020", "create table v(a);", Some("drop table v;"), None);
    let plan = lab.plan().unwrap();
    let Opened::Ready(mut engine) = lab.open(Arc::new(RealDisk)).unwrap() else { panic!("one is open") };
    let (payload, mut told) = (lab.payload.clone(), Told::default());
    let outcome = lab.migrate_told(&mut engine, &plan, &payload, &mut told, &AtomicBool::new(false)).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    let staged = told.of(Work::Stage);
    assert!(staged == [(2, 3, 10), (3, 3, 17)] || staged == [(1, 3, 7), (3, 3, 17)], "{staged:?}");
    assert_eq!(told.sum(Work::Stage), (3, 17));
    assert_eq!(told.of(Work::Sql), [(0, 2, 0), (1, 2, 0)]);
    let (items, bytes) = told.sum(Work::Archive);
    let archived = told.of(Work::Archive);
    assert!(archived.is_sorted() && bytes > 11, "{archived:?}");
    assert_eq!(archived.last(), Some(&(items, 0, bytes)));
    let read_back = told.of(Work::VerifyArchive);
    assert!(read_back.is_sorted() && read_back.last().is_some_and(|last| last.2 == bytes), "{read_back:?}");
}
