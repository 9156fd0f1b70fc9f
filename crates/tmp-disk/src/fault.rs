//! A disk that fails at a chosen effect.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{disk::Disk, gate::Gate};

/// What goes wrong, and when. Counted are effects, from 1: calls that change something or make
/// something durable, whether they succeed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// An effect fails without having any.
    Error {
        /// Which.
        at: u64,
        /// The operating system's error number.
        errno: i32,
        /// Whether every later effect fails too.
        persistent: bool,
    },
    /// As if the process were killed just before an effect: it and every later call, reads too, fail.
    Stop {
        /// Which.
        at: u64,
    },
}

/// Another disk with a [`Fault`].
#[derive(Debug)]
pub struct FaultDisk {
    inner: Arc<dyn Disk>,
    fault: Fault,
    watch: Option<Watch>,
    effects: AtomicU64,
    reads: AtomicU64,
}

/// What is called before every effect, with its number.
struct Watch(Box<dyn Fn(u64) + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl FaultDisk {
    /// Wraps a disk.
    pub fn new(inner: Arc<dyn Disk>, fault: Fault) -> Self {
        Self { inner, fault, watch: None, effects: AtomicU64::new(0), reads: AtomicU64::new(0) }
    }

    /// Wraps a disk that does not fail. Just before every effect `watch` is called with its number, and may
    /// look at the inner disk.
    pub fn watched(inner: Arc<dyn Disk>, watch: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { watch: Some(Watch(Box::new(watch))), ..Self::new(inner, Fault::None) }
    }

    /// How many effects there were so far, failed ones included.
    pub fn effects(&self) -> u64 {
        self.effects.load(Ordering::SeqCst)
    }

    /// How many calls without effect there were so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Gate for FaultDisk {
    fn read(&self) -> io::Result<&dyn Disk> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Stop { at } if self.effects() >= at => Err(stopped()),
            _ => Ok(&*self.inner),
        }
    }

    fn effect(&self) -> io::Result<&dyn Disk> {
        let count = self.effects.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(Watch(watch)) = &self.watch {
            watch(count);
        }
        match self.fault {
            Fault::Error { at, errno, persistent } if count == at || (persistent && count > at) => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Fault::Stop { at } if count >= at => Err(stopped()),
            _ => Ok(&*self.inner),
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the process was stopped here")
}
