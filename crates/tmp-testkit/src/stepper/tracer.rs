//! Follows one process and all it starts with ptrace.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use nix::{
    errno::Errno,
    libc::{PTRACE_EVENT_EXEC, PTRACE_EVENT_STOP, user_regs_struct},
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::{
    Action, Counting, Ended, PATIENCE, Sync,
    syscalls::{self, Flags},
};
use crate::context::Context;

/// What was seen.
pub(super) struct Traced {
    pub(super) calls: Vec<&'static str>,
    pub(super) hit: Option<&'static str>,
    pub(super) syncs: Vec<Sync>,
    pub(super) commands: Vec<Vec<u8>>,
    pub(super) ended: Ended,
}

/// Which calls are counted, what is done at one of them, and what is done while it waits.
pub(super) type What<'a> = (Counting, Action, &'a dyn Fn());

/// Seizes a child of this thread that is about to stop itself, lets it become its command and follows it to
/// its end. Whatever it started is killed then. Writing to a file directly below `output` is not counted.
pub(super) fn trace(child: u32, output: &Path, what: What<'_>, limit: Duration) -> io::Result<Traced> {
    let root = Pid::from_raw(i32::try_from(child).map_err(io::Error::other)?);
    let (done, over) = mpsc::channel::<()>();
    let late = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let late = &late;
        scope.spawn(move || {
            if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                late.store(true, Ordering::Relaxed);
                // It may have ended by itself just now.
                let _ = kill(root, Signal::SIGKILL);
            }
        });
        let traced = seize(root).and_then(|()| Tracer::new(root, output, what).follow());
        if traced.is_err() {
            // Nothing that was started may live on; it may be dead already.
            let _ = kill(root, Signal::SIGKILL);
        }
        drop(done);
        let late = late.load(Ordering::Relaxed);
        traced.map(|traced| if late { Traced { ended: Ended::Late, ..traced } } else { traced })
    })
}

fn seize(root: Pid) -> io::Result<()> {
    match waitpid(root, Some(WaitPidFlag::WUNTRACED))? {
        WaitStatus::Stopped(..) => {}
        other => return Err(io::Error::other(format!("the shell did not stop: {other:?}"))),
    }
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(root, options).context("trace", root)?;
    kill(root, Signal::SIGCONT).context("continue", root)
}

struct Tracer<'a> {
    root: Pid,
    output: &'a Path,
    counting: Counting,
    action: Action,
    meanwhile: &'a dyn Fn(),
    /// Whether the shell has become the command.
    started: bool,
    /// Threads that are between the beginning and the end of a system call.
    inside: BTreeSet<Pid>,
    /// Every process and thread seen and not yet gone.
    alive: BTreeSet<Pid>,
    /// Of each of them, once it is known, whether it is a thread of the process itself.
    own: BTreeMap<Pid, bool>,
    /// Whether everything has been killed: what shows up now was started just before.
    dying: bool,
    /// What is done to threads when their calls return.
    doomed: BTreeMap<Pid, Doom>,
    /// How many calls were made to fail.
    failed: u64,
    calls: Vec<&'static str>,
    syncs: Vec<Sync>,
    /// The arguments of each program that was begun.
    commands: Vec<Vec<u8>>,
    /// Which of them a thread waits for.
    syncing: BTreeMap<Pid, usize>,
    hit: Option<&'static str>,
}

/// What is done when a call returns.
enum Doom {
    /// The process dies.
    Kill,
    /// The call has failed with this error.
    Fail(i32),
    /// The register that said how much gets its value back, as the kernel would leave it.
    Restore(u64),
}

impl<'a> Tracer<'a> {
    fn new(root: Pid, output: &'a Path, (counting, action, meanwhile): What<'a>) -> Self {
        Self {
            root,
            output,
            counting,
            action,
            meanwhile,
            started: false,
            inside: BTreeSet::new(),
            alive: BTreeSet::from([root]),
            own: BTreeMap::from([(root, true)]),
            dying: false,
            doomed: BTreeMap::new(),
            failed: 0,
            calls: Vec::new(),
            syncs: Vec::new(),
            commands: Vec::new(),
            syncing: BTreeMap::new(),
            hit: None,
        }
    }

    fn follow(mut self) -> io::Result<Traced> {
        let mut ended = None;
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
                Ok(status) => status,
                Err(Errno::ECHILD) => break,
                Err(error) => return Err(error.into()),
            };
            let Some(pid) = status.pid() else { continue };
            self.alive.insert(pid);
            match status {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    self.alive.remove(&pid);
                    self.inside.remove(&pid);
                    self.own.remove(&pid);
                    if pid == self.root {
                        ended = Some(match status {
                            _ if self.failed > PATIENCE => Ended::Stuck,
                            WaitStatus::Signaled(_, signal, _) => Ended::Signalled(signal as i32),
                            WaitStatus::Exited(_, code) => Ended::Exited(code),
                            _ => continue,
                        });
                        self.kill_all();
                    }
                }
                // A traced process can vanish between its stop and any request: killed meanwhile.
                stopped => match self.stopped(pid, stopped) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
        let ended = ended.ok_or_else(|| io::Error::other("the process vanished"))?;
        Ok(Traced { calls: self.calls, hit: self.hit, syncs: self.syncs, commands: self.commands, ended })
    }

    fn stopped(&mut self, pid: Pid, status: WaitStatus) -> nix::Result<()> {
        if self.dying {
            return kill(pid, Signal::SIGKILL);
        }
        match status {
            WaitStatus::PtraceSyscall(_) if self.inside.remove(&pid) => self.after(pid)?,
            WaitStatus::PtraceSyscall(_) => {
                self.inside.insert(pid);
                if self.started && self.is_counted(pid) {
                    self.before(pid)?;
                }
            }
            WaitStatus::PtraceEvent(_, _, PTRACE_EVENT_EXEC) => {
                self.started |= pid == self.root;
                let words = std::fs::read(format!("/proc/{pid}/cmdline"));
                self.commands.push(words.unwrap_or_default());
            }
            WaitStatus::PtraceEvent(_, signal, event) => {
                let group_stop = event == PTRACE_EVENT_STOP && signal != Signal::SIGTRAP;
                if group_stop && self.started {
                    // Nobody will continue it: a stopped process counts as a bug of the test.
                    return kill(self.root, Signal::SIGKILL);
                }
            }
            WaitStatus::Stopped(_, signal) => return self.resume(pid, Some(signal)),
            _ => {}
        }
        self.resume(pid, None)
    }

    fn resume(&mut self, pid: Pid, signal: Option<Signal>) -> nix::Result<()> {
        if self.is_counted(pid) { ptrace::syscall(pid, signal) } else { ptrace::cont(pid, signal) }
    }

    /// Whether a task is a thread of the process itself, not of one that it started.
    fn is_counted(&mut self, task: Pid) -> bool {
        let root = self.root;
        *self.own.entry(task).or_insert_with(|| Path::new(&format!("/proc/{root}/task/{task}")).exists())
    }

    fn before(&mut self, task: Pid) -> nix::Result<()> {
        let mut registers = ptrace::getregs(task)?;
        let Some(name) = self.counted(task, &registers)? else { return Ok(()) };
        self.calls.push(name);
        if syscalls::syncs(name) {
            self.syncing.insert(task, self.syncs.len());
            let file = std::fs::read_link(format!("/proc/{task}/fd/{}", registers.rdi)).unwrap_or_default();
            self.syncs.push(Sync { call: self.calls.len(), file, errno: 0 });
        }
        let number = self.calls.len() as u64;
        match self.action {
            Action::Kill(at) if at == number => {
                self.hit = Some(name);
                self.kill_all();
            }
            Action::Tear { at, part } if at == number => {
                self.hit = Some(name);
                if Self::shorten(task, name, part, &mut registers)?.is_some() {
                    self.doomed.insert(task, Doom::Kill);
                } else {
                    self.kill_all();
                }
            }
            Action::Short(at) if at == number => {
                if let Some(whole) = Self::shorten(task, name, 2, &mut registers)? {
                    self.hit = Some(name);
                    self.doomed.insert(task, Doom::Restore(whole));
                }
            }
            Action::Signal { at, signal } if at == number => {
                self.hit = Some(name);
                kill(self.root, Signal::try_from(signal)?)?;
            }
            Action::Wait(at) if at == number => {
                self.hit = Some(name);
                (self.meanwhile)();
            }
            Action::Fail { at, persistent, errno } if at == number || (persistent && at < number) => {
                self.hit.get_or_insert(name);
                self.failed += 1;
                if self.failed > PATIENCE {
                    self.kill_all();
                    return Ok(());
                }
                // No such call: the kernel does nothing.
                registers.orig_rax = u64::MAX;
                ptrace::setregs(task, registers)?;
                self.doomed.insert(task, Doom::Fail(errno));
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets a call that moves bytes move one part in so many of them; answers how many it was to move.
    fn shorten(
        task: Pid,
        name: &str,
        part: u64,
        registers: &mut user_regs_struct,
    ) -> nix::Result<Option<u64>> {
        let Some(count) = size(name, registers).filter(|count| **count >= part) else { return Ok(None) };
        let whole = *count;
        *count /= part;
        ptrace::setregs(task, *registers)?;
        Ok(Some(whole))
    }

    fn after(&mut self, task: Pid) -> nix::Result<()> {
        let sync = self.syncing.remove(&task);
        if let Some(sync) = sync.and_then(|index| self.syncs.get_mut(index)) {
            sync.errno = match self.doomed.get(&task) {
                Some(Doom::Fail(errno)) => *errno,
                // The kernel returns an error as its number below zero.
                _ => i32::try_from(ptrace::getregs(task)?.rax.cast_signed().saturating_neg())
                    .unwrap_or_default(),
            };
        }
        let Some(doom) = self.doomed.remove(&task) else { return Ok(()) };
        let mut registers = ptrace::getregs(task)?;
        match doom {
            Doom::Kill => {
                self.kill_all();
                Ok(())
            }
            Doom::Fail(errno) => {
                registers.rax = i64::from(-errno).cast_unsigned();
                ptrace::setregs(task, registers)
            }
            Doom::Restore(whole) => {
                if let Some(count) = self.hit.and_then(|name| size(name, &mut registers)) {
                    *count = whole;
                }
                ptrace::setregs(task, registers)
            }
        }
    }

    fn kill_all(&mut self) {
        self.dying = true;
        for pid in &self.alive {
            // Some are gone already; the root's threads go with it.
            let _ = kill(*pid, Signal::SIGKILL);
        }
    }

    /// The name of the call a thread is about to make, if it is counted.
    fn counted(&self, task: Pid, registers: &user_regs_struct) -> nix::Result<Option<&'static str>> {
        let number = registers.orig_rax;
        let changing = |tracer: &Self| tracer.changing(task, registers);
        Ok(match self.counting {
            Counting::Changing => changing(self)?,
            Counting::Reading => match syscalls::looks(number) {
                Some(_) if changing(self)?.is_some() => None,
                name => name,
            },
            Counting::Every if syscalls::is_chance(number) => None,
            Counting::Every => {
                let named = changing(self)?.or_else(|| syscalls::looks(number));
                named.or_else(|| syscalls::reaches_out(number)).or(Some("another call"))
            }
        })
    }

    /// The name of the call a thread is about to make, if it changes something.
    fn changing(&self, task: Pid, registers: &user_regs_struct) -> nix::Result<Option<&'static str>> {
        let Some((name, flags)) = syscalls::find(registers.orig_rax) else { return Ok(None) };
        let arguments = [registers.rdi, registers.rsi, registers.rdx];
        let argument = |index: usize| arguments.get(index).copied().unwrap_or_default();
        let changes = match flags {
            Flags::Always => true,
            Flags::Argument(index) => syscalls::creates(argument(index)),
            Flags::PointedAt(index) => {
                let address = usize::try_from(argument(index)).unwrap_or_default();
                let word = ptrace::read(task, std::ptr::without_provenance_mut(address))?;
                syscalls::creates(word.cast_unsigned())
            }
            Flags::Descriptor => !self.is_output(task, argument(0)),
            Flags::Request => syscalls::clones(argument(1)),
        };
        Ok(changes.then_some(name))
    }

    fn is_output(&self, task: Pid, descriptor: u64) -> bool {
        let link = std::fs::read_link(format!("/proc/{task}/fd/{descriptor}"));
        (1..=2).contains(&descriptor) && link.is_ok_and(|file| file.parent() == Some(self.output))
    }
}

/// The register that says how many bytes a call moves.
fn size<'a>(name: &str, registers: &'a mut user_regs_struct) -> Option<&'a mut u64> {
    match name {
        "read" | "pread64" | "write" | "pwrite64" => Some(&mut registers.rdx),
        "sendfile" => Some(&mut registers.r10),
        "copy_file_range" => Some(&mut registers.r8),
        _ => None,
    }
}
