//! Watches a tree for the first and the last change that a user could see.
//!
//! By inotify on every directory that is there at the start: names that come and go and content that is written. The
//! time is taken when the event is read, every tenth of a millisecond.

use std::{
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
    fs::inotify::{self, CreateFlags, WatchFlags},
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
        let kinds = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::MODIFY;
        let mut directories = vec![PathBuf::from(root)];
        while let Some(directory) = directories.pop() {
            inotify::add_watch(&events, &directory, kinds)?;
            for entry in std::fs::read_dir(&directory)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    directories.push(entry.path());
                }
            }
        }
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        Ok(Self { ended, watcher: thread::spawn(move || read(&events, &stop)) })
    }

    /// Seconds between the first and the last change; `None` where nothing was seen.
    pub(super) fn stop(self) -> Done<Option<f64>> {
        self.ended.store(true, Ordering::Release);
        let seen = self.watcher.join().map_err(|_| "the watcher panicked")?;
        Ok(seen.map(|(first, last)| (last - first).as_secs_f64()))
    }
}

/// Reads until it is told to stop and nothing is left.
fn read(events: &OwnedFd, stop: &AtomicBool) -> Option<(Instant, Instant)> {
    let mut seen = None;
    let mut buffer = vec![0_u8; 1 << 16];
    loop {
        let last_time = stop.load(Ordering::Acquire);
        match rustix::io::read(events, &mut buffer) {
            Ok(_) => {
                let now = Instant::now();
                seen = Some((seen.map_or(now, |(first, _)| first), now));
            }
            Err(Errno::INTR) => {}
            Err(_) if last_time => return seen,
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_change_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        let watch = Watch::start(dir.path()).unwrap();
        assert_eq!(watch.stop().unwrap(), None);
        let watch = Watch::start(dir.path()).unwrap();
        std::fs::write(dir.path().join("one"), "").unwrap();
        thread::sleep(Duration::from_millis(20));
        std::fs::write(dir.path().join("in/two"), "").unwrap();
        let seconds = watch.stop().unwrap().unwrap();
        assert!((0.015..5.0).contains(&seconds), "{seconds}");
    }
}
