//! An observation is of one moment, or none.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tmp_core::{Digest, Mode};
use tmp_disk::{At, Disk as _, ObservedContent, SimDisk, observe, write_all_at};

const SIZE: usize = 1 << 20;

/// Ends the other thread when this one ends, by a failed assertion too.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_taken_for_either() {
    let disk = SimDisk::new();
    let dir = disk.open_root(Path::new("/")).unwrap();
    let file = disk.create_file(At::new(&dir, "log"), Mode::FILE).unwrap();
    write_all_at(&disk, &file, 0, &vec![0; SIZE]).unwrap();
    let allowed = [0, 1].map(|byte| Digest::of(&vec![byte; SIZE]));
    let done = AtomicBool::new(false);
    let (mut refused, mut taken) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for byte in [1, 0].into_iter().cycle() {
                // Each a single call, so that the file is all the one or all the other at every moment.
                assert_eq!(disk.write_at(&file, 0, &vec![byte; SIZE]).unwrap(), SIZE);
                if done.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_millis(7));
            }
        });
        let _guard = Done(&done);
        let start = Instant::now();
        while (refused == 0 || taken == 0) && start.elapsed() < Duration::from_secs(20) {
            match observe(&disk, At::new(&dir, "log")) {
                Ok(Some(found)) => {
                    taken += 1;
                    let ObservedContent::File { digest, .. } = found.content else { panic!("{found:?}") };
                    assert!(allowed.contains(&digest), "a mixture of two moments");
                }
                Ok(None) => panic!("it is there"),
                Err(error) => {
                    refused += 1;
                    assert!(error.source.to_string().contains("changed while it was read"), "{error}");
                }
            }
        }
    });
    assert!(refused > 0, "the change was never seen in {taken} observations");
}
