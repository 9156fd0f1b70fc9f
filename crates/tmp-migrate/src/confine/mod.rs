//! Confines a command: a root of its own that holds what is granted, Landlock, few capabilities, no new
//! privileges, limits, and a cgroup that nothing it starts can leave.
//!
//! What cannot be had is an error and never left out. Why it is made so: `docs/decisions/0015-confined-commands.md`.

mod cgroup;
mod child;
mod hierarchy;
mod rights;
mod view;

use std::{path::PathBuf, process::Command, thread};

use camino::Utf8Path;
use tmp_core::{MigrationId, clock::Clock, id::StepName, plan::Confinement};

pub(crate) use view::TEMPORARY;

use crate::ids::new_id;

/// How the cgroups of all commands begin.
const PREFIX: &str = "tmp-";

/// What one command is confined to.
pub(crate) struct Cell<'a> {
    pub(crate) confinement: &'a Confinement,
    /// The tree of modules: it may be changed.
    pub(crate) root: &'a Utf8Path,
    /// What TMP hands to this command: a file or a directory, and whether it may be changed.
    pub(crate) own: &'a [(PathBuf, bool)],
    /// What TMP keeps: neither to be read nor changed.
    pub(crate) hidden: &'a [PathBuf],
}

/// A thread that is confined, about to start a command.
pub(crate) struct Inside<'a> {
    leaf: &'a cgroup::Leaf,
}

impl Inside<'_> {
    /// Makes the command begin in its cgroup and a session of its own.
    pub(crate) fn prepare(&self, command: &mut Command) {
        child::prepare(command, self.leaf.joins.clone());
    }

    /// Kills everything that the command started and left.
    pub(crate) fn kill(&self) {
        self.leaf.kill();
    }
}

impl Cell<'_> {
    /// Runs something in a thread that is confined. Whatever that started is gone on return.
    ///
    /// # Errors
    /// In words: it cannot be confined, and nothing was run; or what was run says so; or something it
    /// started would not go.
    pub(crate) fn run<T: Send>(
        &self,
        name: &str,
        clock: &dyn Clock,
        inside: impl FnOnce(&Inside<'_>) -> Result<T, String> + Send,
    ) -> Result<T, String> {
        let leaf = cgroup::Leaf::make(name, self.confinement, clock).map_err(cannot)?;
        let confined = || {
            view::enter(self).and_then(|()| rights::restrict(self)).map_err(cannot)?;
            inside(&Inside { leaf: &leaf })
        };
        let result = thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, confined) {
            Ok(thread) => thread.join().map_err(|_| cannot("its thread ended early"))?,
            Err(error) => Err(cannot(format!("no thread can be started: {error}"))),
        });
        let removed = leaf.remove(clock);
        result.and_then(|done| removed.map(|()| done))
    }

    /// Whether commands can be confined so on this machine: it is tried, with a program that does not exist.
    ///
    /// # Errors
    /// In words: the fact that is missing, and how to mend that.
    pub(crate) fn probe(&self, clock: &dyn Clock) -> Result<(), String> {
        // Several may be tried at once.
        let name = format!("{PREFIX}probe-{}", new_id(clock.now()));
        self.run(&name, clock, |inside| {
            let mut command = Command::new("/nonexistent/tmp-probe");
            inside.prepare(&mut command);
            match command.spawn() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(cannot(format!("no process can be started in its cgroup: {error}"))),
                Ok(_) => Err(cannot("a program ran that does not exist")),
            }
        })
    }
}

fn cannot(why: impl std::fmt::Display) -> String {
    format!("a command cannot be confined: {why}")
}

/// The cgroup of a step's command.
pub(crate) fn name(migration: &MigrationId, step: &StepName) -> String {
    format!("{PREFIX}{migration}-{step}")
}

/// Ends every process that a confined command of this migration started, whoever runs it, after whatever death.
///
/// # Errors
/// In words: what would not go.
pub(crate) fn end(migration: &MigrationId, clock: &dyn Clock) -> Result<(), String> {
    let beginning = format!("{PREFIX}{migration}-");
    cgroup::end(|name| name.starts_with(&beginning), clock)
}
