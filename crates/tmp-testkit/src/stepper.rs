//! Stops a process at one chosen system call: the fault injector.
//!
//! A command is run under ptrace and its system calls are counted over all threads of the process, from 1: those that
//! change something (the table is in [`mutating`]), those that read, or every one. The k-th can be made fatal,
//! be torn, do half its work, be made to fail, or find a signal. Processes that it starts run along
//! uncounted and die with it. It needs no privileges: a process may trace what it started.

mod syscalls;
mod tracer;

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::unix::process::{CommandExt, ExitStatusExt as _},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

pub use self::syscalls::{mutating, reads, writes};
use crate::context::Context;

/// How long a process may take before it is killed.
const LIMIT: Duration = Duration::from_secs(60);

/// How often calls may be made to fail before a process counts as one that tries for ever.
const PATIENCE: u64 = 20_000;

/// A command that is run under the stepper, as often as wanted.
#[derive(Debug, Clone)]
pub struct Stepper {
    words: Vec<OsString>,
    directory: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    counting: Counting,
}

/// Which calls have a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counting {
    /// Those that change something.
    Changing,
    /// Those that look at something.
    Reading,
    /// Every call but those that only wait (for time, for another thread, for a child) or only manage the memory and
    /// the threads of the process: how often these happen is chance, and nothing outside differs by them.
    Every,
}

/// What is done to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing: its calls are counted.
    Count,
    /// It and everything it started are killed with SIGKILL before the call of this number happens.
    Kill(u64),
    /// If the call of this number is a write of that many bytes or more, one part in so many of it happens; then as
    /// `Kill`.
    Tear {
        /// Which call.
        at: u64,
        /// Which part: 2 for half.
        part: u64,
    },
    /// The call of this number does not happen and returns an error.
    Fail {
        /// Which call.
        at: u64,
        /// The error.
        errno: i32,
        /// Whether every later counted call fails too.
        persistent: bool,
    },
    /// The call of this number, if it moves more than one byte, moves half of them and says so.
    Short(u64),
    /// A signal is sent to the process when it is about to make the call of this number.
    Signal {
        /// Which call.
        at: u64,
        /// Which signal.
        signal: i32,
    },
    /// The call of this number does not happen before what [`Stepper::run_meanwhile`] was given is done.
    Wait(u64),
}

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutcome {
    /// The names of the counted calls that were reached, in order.
    pub calls: Vec<&'static str>,
    /// The call at which something was done; `None` when the process ended before.
    pub hit: Option<&'static str>,
    /// What was synced, in order.
    pub syncs: Vec<Sync>,
    /// How the process ended.
    pub ended: Ended,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

/// A call that makes something durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Its number among the counted calls, from 1.
    pub call: usize,
    /// What was synced: the file, the directory, or anything on the file system.
    pub file: PathBuf,
    /// The error it was answered with; 0 for none.
    pub errno: i32,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Exited(i32),
    /// By the signal of this number.
    Signalled(i32),
    /// It tried again and again what was made to fail, and was killed.
    Stuck,
    /// It did not end in time and was killed.
    Late,
}

impl StepOutcome {
    /// How it ended and what it said, for people.
    pub fn told(&self) -> String {
        format!("{:?}: {}{}", self.ended, self.stdout, self.stderr)
    }
}

impl Stepper {
    /// A command; a program without `/` is looked up in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            words: vec![program.into()],
            directory: None,
            variables: Vec::new(),
            counting: Counting::Changing,
        }
    }

    /// The same with one more argument.
    #[must_use = "the command is returned"]
    pub fn arg(mut self, word: impl Into<OsString>) -> Self {
        self.words.push(word.into());
        self
    }

    /// The same with more arguments.
    #[must_use = "the command is returned"]
    pub fn args<W: Into<OsString>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// The same in another working directory.
    #[must_use = "the command is returned"]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The same with a variable of the environment.
    #[must_use = "the command is returned"]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The same with other calls counted.
    #[must_use = "the command is returned"]
    pub fn counting(mut self, counting: Counting) -> Self {
        self.counting = counting;
        self
    }

    /// Runs the command to its end. May be called again.
    ///
    /// # Errors
    /// The command cannot be started or traced; whatever was started is dead by then.
    pub fn run(&self, action: Action) -> io::Result<StepOutcome> {
        self.run_apart(action, &|| ())
    }

    /// Runs the command to its end; something else is done while it waits before its call of this number.
    ///
    /// # Errors
    /// As [`Stepper::run`].
    pub fn run_meanwhile(
        &self,
        at: u64,
        meanwhile: &(dyn Fn() + std::marker::Sync),
    ) -> io::Result<StepOutcome> {
        self.run_apart(Action::Wait(at), meanwhile)
    }

    fn run_apart(
        &self,
        action: Action,
        meanwhile: &(dyn Fn() + std::marker::Sync),
    ) -> io::Result<StepOutcome> {
        // A tracer is a thread: with one of its own it can wait for all its tracees and for nobody else's.
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| self.run_here(action, meanwhile));
            worker.join().unwrap_or_else(|_| Err(io::Error::other("the tracing thread panicked")))
        })
    }

    /// Runs the command to its end without looking at its calls, which is faster: none are told.
    ///
    /// # Errors
    /// The command cannot be started.
    pub fn plain(&self) -> io::Result<StepOutcome> {
        let Some((program, words)) = self.words.split_first() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null());
        self.surround(&mut command);
        let output = command.output().context("start", program.display())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = output
            .status
            .code()
            .map_or_else(|| Ended::Signalled(output.status.signal().unwrap_or_default()), Ended::Exited);
        Ok(StepOutcome {
            calls: Vec::new(),
            hit: None,
            syncs: Vec::new(),
            ended,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }

    /// Gives a command its directory and its variables.
    fn surround(&self, command: &mut Command) {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
    }

    /// Runs the command without doing anything to it.
    ///
    /// # Errors
    /// As [`Stepper::run`]; also when the command ends with anything but 0.
    pub fn count(&self) -> io::Result<Vec<&'static str>> {
        self.ending_with(0)
    }

    /// Runs the command without doing anything to it.
    ///
    /// # Errors
    /// As [`Stepper::run`]; also when the command ends with anything but this code.
    pub fn ending_with(&self, code: i32) -> io::Result<Vec<&'static str>> {
        let outcome = self.run(Action::Count)?;
        if outcome.ended == Ended::Exited(code) {
            Ok(outcome.calls)
        } else {
            Err(io::Error::other(format!("{:?}: {:?}: {}", self.words, outcome.ended, outcome.stderr)))
        }
    }

    fn run_here(&self, action: Action, meanwhile: &dyn Fn()) -> io::Result<StepOutcome> {
        let output = tempfile::tempdir()?;
        let folder = output.path().canonicalize()?;
        let (stdout, stderr) = (folder.join("out"), folder.join("err"));
        let mut command = Command::new("sh");
        // The shell stops itself, is seized, and becomes the command.
        command.args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""]).args(&self.words);
        command.stdin(Stdio::null()).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
        command.process_group(0);
        self.surround(&mut command);
        let child = command.spawn().context("start", "sh")?;
        let traced = tracer::trace(child.id(), &folder, (self.counting, action, meanwhile), LIMIT)?;
        let text = |path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(StepOutcome {
            calls: traced.calls,
            hit: traced.hit,
            syncs: traced.syncs,
            ended: traced.ended,
            stdout: text(&stdout)?,
            stderr: text(&stderr)?,
        })
    }
}

#[cfg(test)]
mod tests;
