//! The cgroup of one command: whatever it starts stays in it, is counted, and is killed with it.
//!
//! Its name says the migration and the step, so that a recovery finds it, by whatever process, after whatever
//! death. Kernel interface: `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/` of Linux.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, open, unlinkat};
use tmp_core::{clock::Clock, plan::Confinement};

use super::hierarchy::{Hierarchy, hierarchies};

/// How long processes may take to die.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often they are looked for.
const POLL: Duration = Duration::from_millis(2);

/// How deep cgroups are searched.
const DEPTH: usize = 16;

/// The cgroups of one command, in as many hierarchies as it takes to count processes and memory and to kill.
#[derive(Debug)]
pub(super) struct Leaf {
    dirs: Vec<PathBuf>,
    /// `cgroup.procs` of each, for the child to join.
    pub(super) joins: Arc<[OwnedFd]>,
    kill: OwnedFd,
}

impl Leaf {
    /// Makes the cgroups, empty: what had the same name before is ended.
    ///
    /// # Errors
    /// In words: what cannot be made, and how to mend that. Nothing is left of it.
    pub(super) fn make(name: &str, confinement: &Confinement, clock: &dyn Clock) -> Result<Self, String> {
        end(|found| found == name, clock)?;
        let all = hierarchies()?;
        let unified = all.iter().find(|one| one.unified);
        let unified = unified.ok_or(
            "there is no cgroup v2 file system, without which nothing can be ended for certain: mount it at \
             /sys/fs/cgroup",
        )?;
        let mut last = "no place was found".to_owned();
        for parent in unified.places() {
            match Self::at(&parent, name, (&all, confinement)) {
                Ok(leaf) => return Ok(leaf),
                Err(error) => last = error,
            }
        }
        Err(format!(
            "no cgroup can be made that counts and ends processes: {last}; run as root, or as a service with \
             `Delegate=yes`"
        ))
    }

    fn at(
        parent: &Path,
        name: &str,
        (all, confinement): (&[Hierarchy], &Confinement),
    ) -> Result<Self, String> {
        let mut dirs = Vec::new();
        let made = Self::complete(parent, name, (all, confinement), &mut dirs);
        if made.is_err() {
            dirs.iter().rev().for_each(|dir| drop(remove(dir)));
        }
        made
    }

    fn complete(
        parent: &Path,
        name: &str,
        (all, confinement): (&[Hierarchy], &Confinement),
        dirs: &mut Vec<PathBuf>,
    ) -> Result<Self, String> {
        let dir = parent.join(name);
        create(&dir, dirs)?;
        let here = std::fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
        for controller in ["pids", "memory"] {
            let (at, unified) = if here.split_whitespace().any(|one| one == controller) {
                (dir.clone(), true)
            } else {
                (elsewhere(all, controller, name, dirs)?, false)
            };
            limit(&at, unified, controller, confinement)?;
        }
        let opened = |file: PathBuf| {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            open(&file, flags, Mode::empty()).map_err(|error| format!("{}: {error}", file.display()))
        };
        let joins: Result<Vec<_>, _> = dirs.iter().map(|dir| opened(dir.join("cgroup.procs"))).collect();
        Ok(Self { dirs: dirs.clone(), joins: joins?.into(), kill: opened(dir.join("cgroup.kill"))? })
    }

    /// Kills everything in it. What was killed may take a moment to be gone.
    pub(super) fn kill(&self) {
        // Whether it worked is what `remove` sees.
        let _ = rustix::io::write(self.kill.as_fd(), b"1");
    }

    /// Kills everything in it, waits until nothing is left, and removes it.
    ///
    /// # Errors
    /// In words: what would not go.
    pub(super) fn remove(self, clock: &dyn Clock) -> Result<(), String> {
        self.kill();
        gone(&self.dirs, clock)
    }
}

/// A cgroup of version 1 that has a controller which the unified hierarchy lacks.
fn elsewhere(
    all: &[Hierarchy],
    controller: &str,
    name: &str,
    dirs: &mut Vec<PathBuf>,
) -> Result<PathBuf, String> {
    let found = all.iter().find(|one| one.controllers.iter().any(|has| has == controller));
    let found = found.ok_or_else(|| format!("the controller {controller} is not available there"))?;
    let parent = found.places().next().unwrap_or_else(|| found.mount.clone());
    let dir = parent.join(name);
    // Two controllers may share a hierarchy.
    if !dirs.contains(&dir) {
        create(&dir, dirs)?;
    }
    Ok(dir)
}

fn create(dir: &Path, dirs: &mut Vec<PathBuf>) -> Result<(), String> {
    mkdirat(CWD, dir, Mode::from_raw_mode(0o755)).map_err(|error| format!("{}: {error}", dir.display()))?;
    dirs.push(dir.to_owned());
    Ok(())
}

fn limit(dir: &Path, unified: bool, controller: &str, confinement: &Confinement) -> Result<(), String> {
    let set = |file: &str, value: u64| {
        let file = dir.join(file);
        let opened = open(&file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        opened
            .and_then(|open| rustix::io::write(open, value.to_string().as_bytes()))
            .map(drop)
            .map_err(|error| format!("{}: {error}", file.display()))
    };
    match (controller, unified) {
        ("pids", _) => set("pids.max", u64::from(confinement.processes)),
        (_, true) => {
            set("memory.max", confinement.memory)?;
            // A kernel without swap has no such file.
            let _ = set("memory.swap.max", 0);
            Ok(())
        }
        (_, false) => {
            set("memory.limit_in_bytes", confinement.memory)?;
            let _ = set("memory.memsw.limit_in_bytes", confinement.memory);
            Ok(())
        }
    }
}

/// Ends every process in the cgroups that are called so, wherever they are, and removes them.
///
/// # Errors
/// In words: what would not go.
pub(super) fn end(wanted: impl Fn(&str) -> bool, clock: &dyn Clock) -> Result<(), String> {
    let mut found = Vec::new();
    for hierarchy in hierarchies()? {
        search(&hierarchy.mount, &wanted, DEPTH, &mut found)?;
    }
    gone(&found, clock)
}

fn search(
    dir: &Path,
    wanted: &impl Fn(&str) -> bool,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), String> {
    let unread = |error: io::Error| format!("the cgroups cannot be read: {}: {error}", dir.display());
    for entry in subdirectories(dir).map_err(unread)? {
        if entry.file_name().is_some_and(|name| name.to_str().is_some_and(wanted)) {
            found.push(entry);
        } else if depth > 0 {
            search(&entry, wanted, depth - 1, found)?;
        }
    }
    Ok(())
}

/// The cgroups in a cgroup; none where it is gone.
fn subdirectories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let gone = |error: &io::Error| {
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
    };
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
        Ok(found)
    };
    match read() {
        Err(error) if gone(&error) => Ok(Vec::new()),
        result => result,
    }
}

/// Kills until nothing is in them, and removes them.
fn gone(dirs: &[PathBuf], clock: &dyn Clock) -> Result<(), String> {
    let deadline = clock.elapsed().saturating_add(PATIENCE);
    for dir in dirs {
        loop {
            match remove(dir) {
                Ok(()) => break,
                Err(error) if clock.elapsed() >= deadline => {
                    let dir = dir.display();
                    return Err(format!("what a command started cannot be ended: {dir}: {error}"));
                }
                Err(_) => kill_all(dir),
            }
            clock.sleep(POLL);
        }
    }
    Ok(())
}

fn kill_all(dir: &Path) {
    let file = open(dir.join("cgroup.kill"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    if file.and_then(|file| rustix::io::write(file, b"1")).is_ok() {
        return;
    }
    // Version 1 has no such file.
    let processes = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Removes a cgroup and the empty ones that a command made in it. One that is gone is fine.
fn remove(dir: &Path) -> io::Result<()> {
    for below in subdirectories(dir)? {
        remove(&below)?;
    }
    match unlinkat(CWD, dir, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Errno::ENOENT as i32 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a path has nothing but plain names.
pub(super) fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::RootDir))
}
