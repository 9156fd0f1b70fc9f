//! Measures a process from outside: what the kernel says of it at the moment it ends.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    libc::PTRACE_EVENT_EXIT,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::context::Context as _;

/// Waits until it is measured, so that nothing is missed, and becomes the command. The first word is the most address
/// space that the command may take, in KiB.
const SHELL: &str = "read -r go; ulimit -v \"$0\" && exec \"$@\" </dev/null";

/// What a process took, and what it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// The most memory it had at a time, in bytes.
    pub memory: u64,
    /// Time of the processors, in user and kernel mode, to a hundredth of a second.
    pub processor: Duration,
    /// From its beginning to its end.
    pub elapsed: Duration,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

/// Runs a command to its end with at most `space` KiB of address space; after `limit` it is killed. Where it runs and what
/// is in its environment is as `command` says; its standard input is empty. Processes that it starts are not measured.
///
/// # Errors
/// It cannot be started or measured.
pub fn measure(command: &Command, space: u64, limit: Duration) -> io::Result<Measured> {
    let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut shell = Command::new("sh");
    shell.args(["-c", SHELL, &space.to_string()]).arg(command.get_program()).args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell.stdin(Stdio::piped()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let mut child = shell.spawn()?;
    let begun = Instant::now();
    let process = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    ptrace::seize(process, Options::PTRACE_O_TRACEEXIT | Options::PTRACE_O_EXITKILL)
        .context("measure", process)?;
    let (done, over) = mpsc::channel::<()>();
    let ended = thread::scope(|scope| {
        scope.spawn(move || {
            if over.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                // It may have ended by itself just now.
                let _ = kill(process, Signal::SIGKILL);
            }
        });
        let ended =
            child.stdin.take().map_or(Ok(()), |mut go| go.write_all(b"\n")).and_then(|()| follow(process));
        drop(done);
        ended
    });
    let (code, memory, processor) = ended?;
    let elapsed = begun.elapsed();
    Ok(Measured { code, memory, processor, elapsed, stdout: whole(stdout)?, stderr: whole(stderr)? })
}

fn whole(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn follow(process: Pid) -> io::Result<(Option<i32>, u64, Duration)> {
    let (mut memory, mut processor) = (0, Duration::ZERO);
    loop {
        match waitpid(process, Some(WaitPidFlag::__WALL))? {
            WaitStatus::Exited(_, code) => return Ok((Some(code), memory, processor)),
            WaitStatus::Signaled(..) => return Ok((None, memory, processor)),
            WaitStatus::PtraceEvent(_, _, PTRACE_EVENT_EXIT) => {
                memory = peak(&fs::read_to_string(format!("/proc/{process}/status"))?).unwrap_or(u64::MAX);
                processor =
                    times(&fs::read_to_string(format!("/proc/{process}/stat"))?).unwrap_or(Duration::MAX);
                ptrace::cont(process, None)?;
            }
            WaitStatus::Stopped(_, signal) => ptrace::cont(process, signal)?,
            _ => ptrace::cont(process, None)?,
        }
    }
}

/// `VmHWM` of `proc_pid_status(5)`, in bytes.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// `utime` and `stime` of `proc_pid_stat(5)`, which counts a hundred ticks a second.
fn times(stat: &str) -> Option<Duration> {
    // The name of the program, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(script: &str) -> Measured {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        measure(&command, 512 << 10, Duration::from_secs(20)).unwrap()
    }

    #[test]
    fn what_a_process_takes_is_measured() {
        let small = of("echo said; echo wrong >&2; exit 7");
        assert_eq!(
            (small.code, &small.stdout[..], &small.stderr[..]),
            (Some(7), &b"said\n"[..], &b"wrong\n"[..])
        );
        assert!((1 << 16..32 << 20).contains(&small.memory), "{small:?}");
        // 64 MiB of text in one variable.
        let large = of("x=$(head -c 67108864 /dev/zero | tr '\\0' x); test ${#x} = 67108864");
        assert_eq!(large.code, Some(0));
        assert!(large.memory > 64 << 20, "{large:?}");
        let busy = of("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");
        assert!(busy.processor > Duration::ZERO && busy.processor <= busy.elapsed * 2, "{busy:?}");
    }

    #[test]
    fn limits_are_kept() {
        assert_ne!(of("x=$(head -c 1073741824 /dev/zero | tr '\\0' x)").code, Some(0));
        let mut command = Command::new("sleep");
        command.arg("20").env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let late = measure(&command, 512 << 10, Duration::from_millis(200)).unwrap();
        assert!(late.code.is_none() && late.elapsed < Duration::from_secs(10), "{late:?}");
    }
}
