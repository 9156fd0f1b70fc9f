//! Processes of a step that outlived the engine: stopped before recovery touches what they may write.
//!
//! A command carries its migration and its step in its environment, and so does whatever it starts. That
//! is how its processes are found again, by whatever process, after whatever death.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tmp_core::{MigrationId, clock::Clock, id::StepName};

/// Names the migration in a command's environment.
pub(crate) const MIGRATION: &str = "TMP_MIGRATION";

/// Names the step in a command's environment.
pub(crate) const STEP: &str = "TMP_STEP";

/// How long a process may take to die.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked for.
const POLL: Duration = Duration::from_millis(10);

/// Kills every process of a step and waits until none is left. `Err` names those that would not go.
pub(crate) fn end(migration: &MigrationId, step: &StepName, clock: &dyn Clock) -> Result<(), String> {
    let marks = [format!("{MIGRATION}={migration}"), format!("{STEP}={step}")];
    let deadline = clock.elapsed().saturating_add(PATIENCE);
    loop {
        let left = marked(&marks);
        if left.is_empty() {
            return Ok(());
        }
        if clock.elapsed() >= deadline {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            return Err(format!("step {step} still runs and cannot be stopped: process {}", left.join(", ")));
        }
        for pid in left {
            // It may have gone by itself; whether it has is what the next look says.
            let _ = kill(pid, Signal::SIGKILL);
        }
        clock.sleep(POLL);
    }
}

/// The processes whose environment has all these entries. One that has ended but was not waited for has
/// no environment any more.
fn marked(marks: &[String; 2]) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let has_marks = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        marks.iter().all(|mark| environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
    };
    numbers.filter(has_marks).map(Pid::from_raw).collect()
}
