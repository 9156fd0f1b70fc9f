//! The seam for time.

use std::time::Duration;

use time::OffsetDateTime;

/// Tells the time. The engine reads no other clock, so a test can be the clock.
pub trait Clock: Send + Sync {
    /// The instant now, in UTC.
    fn now(&self) -> OffsetDateTime;

    /// Time since some fixed instant, never going backwards: for durations and deadlines.
    fn elapsed(&self) -> Duration;

    /// Waits at least this long.
    fn sleep(&self, duration: Duration);
}
