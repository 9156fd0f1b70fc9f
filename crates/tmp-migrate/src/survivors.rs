//! Processes of a step that outlived the engine: stopped before recovery touches what they may write.
//!
//! A command carries its migration and its step in its environment, and so does whatever it starts. That
//! is how its processes are found again, by whatever process, after whatever death.

use std::{io, time::Duration};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tmp_core::{MigrationId, clock::Clock, id::StepName};
use tmp_disk::DiskError;

/// Names the migration in a command's environment.
pub(crate) const MIGRATION: &str = "TMP_MIGRATION";

/// Names the step in a command's environment.
pub(crate) const STEP: &str = "TMP_STEP";

/// Where the kernel shows them: `proc(5)`.
const PROCESSES: &str = "/proc";

/// How long a process may take to die.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked for.
const POLL: Duration = Duration::from_millis(10);

/// Why it is not certain that nothing of a step is left.
#[derive(Debug)]
pub(crate) enum Survivor {
    /// The machine does not say which processes there are.
    Unknown(DiskError),
    /// Some would not go, in words.
    Runs(String),
}

/// Kills every process of a step and waits until none is left.
pub(crate) fn end(migration: &MigrationId, step: &StepName, clock: &dyn Clock) -> Result<(), Survivor> {
    let marks = [format!("{MIGRATION}={migration}"), format!("{STEP}={step}")];
    let deadline = clock.elapsed().saturating_add(PATIENCE);
    loop {
        let left = marked(&marks).map_err(DiskError::at("read the processes in", PROCESSES));
        let left = left.map_err(Survivor::Unknown)?;
        if left.is_empty() {
            return Ok(());
        }
        if clock.elapsed() >= deadline {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            let left = left.join(", ");
            return Err(Survivor::Runs(format!(
                "step {step} still runs and cannot be stopped: process {left}"
            )));
        }
        for pid in left {
            // It may have gone by itself; whether it has is what the next look says.
            let _ = kill(pid, Signal::SIGKILL);
        }
        clock.sleep(POLL);
    }
}

/// The processes whose environment has all these entries. One that has ended but was not waited for has
/// no environment any more; that of another user's process may be secret, and a step's never is that.
fn marked(marks: &[String; 2]) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(PROCESSES)? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let environment = match std::fs::read(format!("{PROCESSES}/{pid}/environ")) {
            Err(error) if is_none_of_ours(&error) => continue,
            read => read?,
        };
        if marks.iter().all(|mark| environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
        {
            found.push(Pid::from_raw(pid));
        }
    }
    Ok(found)
}

/// It has gone, or it is of another user.
fn is_none_of_ours(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(Errno::ESRCH as i32)
}
