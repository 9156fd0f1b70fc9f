//! Ctrl-C and its like: the first asks the engine to finish the step and roll back, the second ends
//! the process at once and leaves the rest to recovery.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// Installs the handlers. The flag becomes true at the first signal; at the second the process exits
/// with 128 and the number of the signal.
pub(crate) fn install() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // This order: the exit is armed by the flag that the second handler sets.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
