//! Watches a tree for the first and the last change that a user could see.
//!
//! By inotify on every directory that is there at the start: names that come and go and content that is written. The
//! time is taken when the event is read, every tenth of a millisecond. What happens in a directory after it was moved
//! away is not seen by users of the tree, and not counted. That the root itself is moved is one change: another tree
//! stands there.

use std::{
    collections::BTreeMap,
    fs,
    mem::MaybeUninit,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    fd::OwnedFd,
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

use crate::Done;

const PAUSE: Duration = Duration::from_micros(100);

/// A tree that is being watched.
pub(super) struct Watch {
    ended: Arc<AtomicBool>,
    watcher: JoinHandle<Option<(Instant, Instant)>>,
}

impl Watch {
    /// Watches from now on.
    pub(super) fn start(root: &Path) -> Done<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let kinds = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MODIFY
            | WatchFlags::MOVE_SELF;
        let mut watched = BTreeMap::new();
        let mut directories = vec![PathBuf::from(root)];
        while let Some(directory) = directories.pop() {
            let number = inotify::add_watch(&events, &directory, kinds)?;
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    directories.push(entry.path());
                }
            }
            watched.insert(number, directory);
        }
        let ended = Arc::new(AtomicBool::new(false));
        let (root, stop) = (root.to_owned(), Arc::clone(&ended));
        Ok(Self { ended, watcher: thread::spawn(move || read(&events, (&root, &watched), &stop)) })
    }

    /// Seconds between the first and the last change; `None` where nothing was seen.
    pub(super) fn stop(self) -> Done<Option<f64>> {
        self.ended.store(true, Ordering::Release);
        let seen = self.watcher.join().map_err(|_| "the watcher panicked")?;
        Ok(seen.map(|(first, last)| (last - first).as_secs_f64()))
    }
}

/// Reads until it is told to stop and nothing is left.
fn read(
    events: &OwnedFd,
    (root, watched): (&Path, &BTreeMap<i32, PathBuf>),
    stop: &AtomicBool,
) -> Option<(Instant, Instant)> {
    let mut seen = None;
    let mut moved: Vec<&Path> = Vec::new();
    let mut buffer = vec![MaybeUninit::uninit(); 1 << 16];
    let mut reader = inotify::Reader::new(events, &mut buffer);
    loop {
        let last_time = stop.load(Ordering::Acquire);
        match reader.next() {
            Ok(event) => {
                let directory = watched.get(&event.wd());
                let is_move = event.events().contains(ReadFlags::MOVE_SELF);
                let counts = |path: &PathBuf| {
                    (!is_move || path == root) && !moved.iter().any(|moved| path.starts_with(moved))
                };
                if directory.is_some_and(counts) {
                    let now = Instant::now();
                    seen = Some((seen.map_or(now, |(first, _)| first), now));
                }
                moved.extend(directory.map(PathBuf::as_path).filter(|_| is_move));
            }
            Err(Errno::INTR) => {}
            Err(_) if last_time => return seen,
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    use super::*;

    #[test]
    fn the_first_and_the_last_change_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let watch = Watch::start(dir.path()).unwrap();
        assert_eq!(watch.stop().unwrap(), None);
        let watch = Watch::start(dir.path()).unwrap();
        fs::write(dir.path().join("one"), "").unwrap();
        thread::sleep(Duration::from_millis(20));
        fs::write(dir.path().join("in/two"), "").unwrap();
        let seconds = watch.stop().unwrap().unwrap();
        assert!((0.015..5.0).contains(&seconds), "{seconds}");
        let elsewhere = tempfile::tempdir().unwrap();
        let watch = Watch::start(dir.path()).unwrap();
        fs::rename(dir.path().join("in"), elsewhere.path().join("in")).unwrap();
        thread::sleep(Duration::from_millis(20));
        fs::remove_file(elsewhere.path().join("in/two")).unwrap();
        let seconds = watch.stop().unwrap().unwrap();
        assert!(seconds < 0.015, "what was moved away is no longer seen: {seconds}");
        let (old, new) = (elsewhere.path().join("tree"), elsewhere.path().join("other"));
        fs::create_dir(&old).unwrap();
        fs::create_dir(&new).unwrap();
        let watch = Watch::start(&old).unwrap();
        renameat_with(CWD, &old, CWD, &new, RenameFlags::EXCHANGE).unwrap();
        thread::sleep(Duration::from_millis(20));
        fs::write(new.join("file"), "").unwrap();
        assert_eq!(watch.stop().unwrap(), Some(0.0), "a tree that is exchanged is one change");
    }
}
