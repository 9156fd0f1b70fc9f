//! The clock of this machine: the one place that asks the kernel for the time.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tmp_core::clock::Clock;

/// Tells the time of this machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose elapsed time counts from now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward_and_waits_as_long_as_it_is_asked_to() {
        let (clock, wait) = (SystemClock::new(), Duration::from_millis(20));
        let (instant, before) = (clock.now(), clock.elapsed());
        clock.sleep(wait);
        assert!(clock.elapsed() >= before + wait);
        assert!(instant.offset().is_utc() && instant.year() >= 2024, "{instant}");
    }
}
