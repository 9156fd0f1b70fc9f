//! A thread with mounts that nobody else sees.

use std::io;

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use crate::context::Context;

/// Does some work on a thread of its own in a mount namespace of its own: what it mounts is seen by nobody but the
/// threads and processes it starts, and is gone when they are.
///
/// # Errors
/// There is no right to make a namespace (root is needed), the work panicked, or the error of the work.
pub fn privately<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).context("make", "a mount namespace")?;
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
                .context("keep mounts in", "the namespace")?;
            work()
        });
        worker.join().unwrap_or_else(|_| Err(io::Error::other("the work panicked")))
    })
}
