//! What only the new process can do for itself, between fork and exec.

use std::{
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
    sync::Arc,
};

use rustix::{
    fs::Mode,
    io::Errno,
    process::{Resource, Rlimit, Signal},
};

use crate::command::is_of_program;

/// How many files a command may have open.
const FILES: u64 = 4096;

/// Makes the new process join the groups that are open here, before it is the program: in a session of its own,
/// without core files, with no descriptor but its three streams, and killed when the thread that started it
/// ends.
pub(super) fn prepare(command: &mut Command, groups: Arc<[OwnedFd]>) {
    let begin = move || match begin(&groups) {
        // Only of exec this says something about the program.
        Err(error) if is_of_program(&error) => Err(Errno::IO.into()),
        begun => begun,
    };
    #[expect(
        unsafe_code,
        reason = "nothing but the child can enter a session and a cgroup before its program runs; the closure makes \
                  system calls alone: no allocation, no lock, no panic"
    )]
    // SAFETY: between fork and exec the closure calls async-signal-safe functions only, on memory that was
    // made before the fork.
    unsafe {
        command.pre_exec(begin);
    }
}

fn begin(groups: &[OwnedFd]) -> io::Result<()> {
    for group in groups {
        rustix::io::write(group.as_fd(), b"0")?;
    }
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::setrlimit(Resource::Core, same(0))?;
    rustix::process::setrlimit(Resource::Nofile, same(FILES))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    close_on_exec()
}

const fn same(limit: u64) -> Rlimit {
    Rlimit { current: Some(limit), maximum: Some(limit) }
}

/// Marks every descriptor but the three streams to be closed by exec: an embedder's own may not be.
fn close_on_exec() -> io::Result<()> {
    use nix::libc::{CLOSE_RANGE_CLOEXEC, SYS_close_range, c_uint, syscall};
    #[expect(unsafe_code, reason = "the system call has no safe wrapper in the crates at hand")]
    // SAFETY: the call takes numbers alone and touches no memory.
    let result = unsafe { syscall(SYS_close_range, 3 as c_uint, c_uint::MAX, CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
