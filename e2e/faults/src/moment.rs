//! The one clock by which everything is recorded.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment on this machine's boot clock, which nobody sets: nanoseconds since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        // Neither is ever negative, and the sum lasts for centuries.
        let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
        Self(seconds * 1_000_000_000 + nanos)
    }

    /// How long after `earlier` this is; nothing where it isn't.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How long after `other` this is, in milliseconds; negative where it is before.
    pub fn millis_from(self, other: Self) -> f64 {
        let after = self.since(other).as_secs_f64();
        let before = other.since(self).as_secs_f64();
        (after - before) * 1_000.0
    }
}
