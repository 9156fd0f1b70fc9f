//! Runs the `git` program, with nothing of the caller's environment that could change its answers.

use std::{
    io::{self, Read},
    process::{Child, ChildStdout, Command, Stdio},
    thread::{Builder, JoinHandle},
};

use camino::{Utf8Path, Utf8PathBuf};

/// The longest answer that is kept whole, in bytes.
const ANSWER: u64 = 64 << 10;

/// How much of what git complains is kept, in bytes.
const COMPLAINT: u64 = 4 << 10;

/// What of the environment git is given: where programs, and the user's own settings (which directories
/// are safe), are.
const KEPT: [&str; 3] = ["PATH", "HOME", "XDG_CONFIG_HOME"];

/// Only the repository at hand, as it is, without asking anybody anything.
const SET: [(&str, &str); 6] = [
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    // The same for git before 2.44, which does not know the one above: no protocol of this name exists.
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
];

/// What every call of git begins with.
const ALWAYS: [&str; 9] = [
    "--no-pager",
    "--no-optional-locks",
    "--no-replace-objects",
    "-c",
    "core.quotepath=off",
    "-c",
    "core.hooksPath=/dev/null",
    // What is larger is streamed by git too, where it is not stored as a difference from something else.
    "-c",
    "core.bigFileThreshold=16m",
];

/// Git did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// There is no program of that name, or it cannot be started.
    #[error("git cannot be started")]
    Start {
        /// Why.
        source: io::Error,
    },
    /// It said no.
    #[error("git {verb} failed: {said}")]
    Failed {
        /// What it was asked to do.
        verb: String,
        /// What it said to that.
        said: String,
    },
    /// Its answer could not be read, or is not what this release understands.
    #[error("the answer of git {verb} cannot be used: {what}")]
    Answer {
        /// What it was asked to do.
        verb: String,
        /// What is wrong.
        what: String,
    },
}

/// Git in one directory.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    directory: Utf8PathBuf,
}

impl Program {
    pub(super) fn new(directory: &Utf8Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().args(ALWAYS).arg("-C").arg(&self.directory).args(arguments);
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(SET).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The whole answer, without the line feed at its end.
    pub(super) fn answer(&self, arguments: &[&str]) -> Result<String, GitError> {
        let mut running = self.stream(arguments)?;
        let mut bytes = Vec::new();
        let read = Read::take(&mut running.output, ANSWER).read_to_end(&mut bytes);
        let verb = running.verb.clone();
        let unusable = |what: String| GitError::Answer { verb: verb.clone(), what };
        read.map_err(|error| unusable(error.to_string()))?;
        if bytes.len() as u64 >= ANSWER {
            return Err(unusable(format!("it is longer than {ANSWER} bytes")));
        }
        running.end()?;
        let text = String::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8".into()))?;
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
    }

    /// An answer that is read as it comes.
    pub(super) fn stream(&self, arguments: &[&str]) -> Result<Running, GitError> {
        let start = |source| GitError::Start { source };
        let mut child = self.command(arguments).spawn().map_err(start)?;
        let verb = arguments.first().copied().unwrap_or_default().to_owned();
        match (child.stdout.take(), child.stderr.take()) {
            (Some(output), Some(complaints)) => {
                let mut running = Running { child, output, complaints: None, verb };
                running.complaints = Some(Builder::new().spawn(|| first(complaints)).map_err(start)?);
                Ok(running)
            }
            _ => Err(GitError::Answer { verb, what: "there is no pipe".into() }),
        }
    }

    /// A git that is asked for one object after the other.
    pub(super) fn batch(&self) -> io::Result<Child> {
        let mut command = self.command(&["cat-file", "--batch"]);
        command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn()
    }
}

/// The beginning of what is said; all of it is read, so that nobody waits.
fn first(mut from: impl Read) -> String {
    let mut kept = Vec::new();
    let _ = from.by_ref().take(COMPLAINT).read_to_end(&mut kept);
    let _ = io::copy(&mut from, &mut io::sink());
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// A git that answers.
#[derive(Debug)]
#[must_use = "only `end` tells whether the answer is whole"]
pub(super) struct Running {
    child: Child,
    pub(super) output: ChildStdout,
    complaints: Option<JoinHandle<String>>,
    pub(super) verb: String,
}

impl Running {
    /// Waits for its end, which must be a good one. The answer was read to its end before.
    pub(super) fn end(mut self) -> Result<(), GitError> {
        let status = self.child.wait();
        let said = self.complaints.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) if said.is_empty() => {
                Err(GitError::Failed { verb: self.verb.clone(), said: status.to_string() })
            }
            Ok(_) => Err(GitError::Failed { verb: self.verb.clone(), said }),
            Err(error) => Err(GitError::Answer { verb: self.verb.clone(), what: error.to_string() }),
        }
    }
}

impl Drop for Running {
    /// Stops a git whose answer nobody wants any more.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
