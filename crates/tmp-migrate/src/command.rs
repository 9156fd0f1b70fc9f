//! Runs the commands of an enhancement: bounded in time and output, with a clean environment, in a
//! process group of their own; confined where the plan says so.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use camino::Utf8Path;
use nix::{
    errno::Errno,
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tmp_core::{MigrationId, clock::Clock, enhancement::Command, id::StepName, plan::Confinement};
use tmp_disk::DiskError;

use crate::{
    confine::{self, Cell, Inside},
    survivors,
};

/// Where programs without a `/` in their name are found.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a command reads.
const NOTHING: &str = "/dev/null";

/// How much of a command's output is kept, in bytes.
const KEPT: usize = 16 << 10;

/// How long the output of a command that has ended is waited for.
const LINGER: Duration = Duration::from_millis(500);

/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Whether enhancements may run commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandPolicy {
    /// They may, with what is granted here. Where that cannot be enforced, they may not.
    Confined(Confinement),
    /// They may, unconfined.
    Allowed,
    /// They may not.
    Forbidden,
}

/// Where a command runs.
pub(crate) struct Surroundings<'a> {
    pub(crate) root: &'a Utf8Path,
    pub(crate) migration: &'a MigrationId,
    pub(crate) step: &'a StepName,
    pub(crate) clock: &'a dyn Clock,
    /// What is left of the migration's own time.
    pub(crate) left: Duration,
    /// What it is confined to, if it is.
    pub(crate) confinement: Option<&'a Confinement>,
    /// What a confined command does not see: TMP's own directories.
    pub(crate) hidden: &'a [PathBuf],
    /// What one sees all the same: files that TMP hands to it, and whether it may change them.
    pub(crate) own: &'a [(PathBuf, bool)],
}

/// Why a command did not end with status 0.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// It never began for want of memory, of a process or of an answer of the disk, or was stopped at once; it may be
    /// run another time.
    NotStarted(DiskError),
    /// It never began because it cannot be confined here, or what it started cannot be ended, in words.
    NotConfined(String),
    /// It did not succeed or cannot be run, in words.
    Failed(String),
}

impl From<String> for CommandError {
    fn from(failure: String) -> Self {
        Self::Failed(failure)
    }
}

impl From<DiskError> for CommandError {
    fn from(error: DiskError) -> Self {
        Self::NotStarted(error)
    }
}

/// For whoever does not try it again.
impl From<CommandError> for String {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotStarted(error) => crate::text(&error),
            CommandError::NotConfined(failure) | CommandError::Failed(failure) => failure,
        }
    }
}

/// Runs a command to its end. `Err` says why it did not end with status 0; nothing of its process
/// group is left either way, and where it is confined nothing of it at all.
pub(crate) fn run(command: &Command, surroundings: &Surroundings<'_>) -> Result<(), CommandError> {
    let Some(confinement) = surroundings.confinement else { return started(command, surroundings, None) };
    let Surroundings { root, hidden, own, .. } = *surroundings;
    let cell = Cell { confinement, root, own, hidden };
    let name = confine::name(surroundings.migration, surroundings.step);
    let run = |inside: &Inside<'_>| Ok(started(command, surroundings, Some(inside)));
    cell.run(&name, surroundings.clock, run).map_err(CommandError::NotConfined)?
}

/// Runs it in this thread.
fn started(
    command: &Command,
    surroundings: &Surroundings<'_>,
    inside: Option<&Inside<'_>>,
) -> Result<(), CommandError> {
    let Some((program, arguments)) = command.run.split_first() else {
        return Err("there is no program to run".to_owned().into());
    };
    let mut prepared = prepared(program, arguments, surroundings);
    // Opened here: that it cannot be is nothing that is wrong with the program.
    prepared.stdin(File::open(NOTHING).map_err(DiskError::at("open", NOTHING))?);
    if let Some(inside) = inside {
        prepared.env("TMPDIR", confine::TEMPORARY);
        inside.prepare(&mut prepared);
    } else {
        prepared.process_group(0);
    }
    let mut child = prepared.spawn().map_err(|error| not_started(program, error))?;
    let readers = [child.stdout.take().map(Tail::of), child.stderr.take().map(Tail::of)];
    let readers: io::Result<Vec<_>> = readers.into_iter().flatten().collect();
    let group = i32::try_from(child.id()).map(Pid::from_raw).ok();
    let timeout = Duration::from_secs(command.timeout_s).min(surroundings.left);
    let ended = readers.is_ok().then(|| wait(&mut child, timeout, surroundings.clock)).flatten();
    // What is left is stopped in any case, so that the pipes end.
    if let Some(inside) = inside {
        inside.kill();
    } else if let Some(group) = group {
        let _ = killpg(group, Signal::SIGKILL);
    }
    if ended.is_none() {
        let _ = child.wait();
    }
    let readers = readers.map_err(DiskError::at("read the output of", program))?;
    let output: String = readers.into_iter().map(|tail| tail.text(surroundings.clock)).collect();
    match ended {
        Some(Ok(status)) if status.success() => Ok(()),
        Some(Ok(status)) => Err(said(&format!("{program} ended with {}", shown(status)), &output).into()),
        Some(Err(error)) => Err(format!("{program} cannot be waited for: {error}").into()),
        None => Err(said(&format!("{program} did not end within {} s", timeout.as_secs()), &output).into()),
    }
}

/// Whether an error says that a program is missing, forbidden or none, which stays so.
pub(crate) fn is_of_program(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(Errno::ENOEXEC as i32)
}

/// What it means that a program cannot be started.
fn not_started(program: &str, error: io::Error) -> CommandError {
    if is_of_program(&error) {
        CommandError::Failed(format!("{program} cannot be started: {error}"))
    } else {
        DiskError::at("start", program)(error).into()
    }
}

/// The command with its directory, its environment and its streams.
fn prepared(program: &str, arguments: &[String], surroundings: &Surroundings<'_>) -> std::process::Command {
    let path = if program.contains('/') && !program.starts_with('/') {
        surroundings.root.join(program).into_string()
    } else {
        program.to_owned()
    };
    let mut prepared = std::process::Command::new(path);
    prepared
        .args(arguments)
        .current_dir(surroundings.root)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .env(survivors::MIGRATION, surroundings.migration.as_str())
        .env(survivors::STEP, surroundings.step.as_str())
        .env("TMP_ROOT", surroundings.root)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    prepared
}

/// How the child ended; `None` when its time was over first.
fn wait(child: &mut Child, timeout: Duration, clock: &dyn Clock) -> Option<io::Result<ExitStatus>> {
    let deadline = clock.elapsed().saturating_add(timeout);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(Ok(status)),
            Ok(None) if clock.elapsed() >= deadline => return None,
            Ok(None) => clock.sleep(POLL),
            Err(error) => return Some(Err(error)),
        }
    }
}

fn shown(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".into(),
    }
}

fn said(what: &str, output: &str) -> String {
    let output = output.trim();
    if output.is_empty() { what.to_owned() } else { format!("{what}: {output}") }
}

/// The last [`KEPT`] bytes of a stream, read as they come.
struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Tail {
    fn of(mut pipe: impl Read + Send + 'static) -> io::Result<Self> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kept);
        let reader = thread::Builder::new().spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
                let excess = kept.len().saturating_sub(KEPT);
                kept.drain(..excess);
            }
        })?;
        Ok(Self { kept, reader })
    }

    /// What was read. A program that left the process group may hold the stream open for ever: it is
    /// not waited for beyond [`LINGER`].
    fn text(self, clock: &dyn Clock) -> String {
        let deadline = clock.elapsed().saturating_add(LINGER);
        while !self.reader.is_finished() && clock.elapsed() < deadline {
            clock.sleep(POLL);
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_now_may_be_another_time() {
        let may = |errno: Errno| {
            let error = io::Error::from_raw_os_error(errno as i32);
            matches!(not_started("bin/app", error), CommandError::NotStarted(_))
        };
        for errno in [Errno::ENOMEM, Errno::EAGAIN, Errno::EMFILE, Errno::ENFILE, Errno::EIO] {
            assert!(may(errno), "{errno}");
        }
        for errno in [Errno::ENOENT, Errno::EACCES, Errno::ENOEXEC] {
            assert!(!may(errno), "{errno}");
        }
        let text = String::from(not_started("bin/app", io::Error::from_raw_os_error(Errno::ENOMEM as i32)));
        assert!(text.starts_with("cannot start bin/app: "), "{text}");
    }
}
