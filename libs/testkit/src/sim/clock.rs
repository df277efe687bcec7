//! The clocks of a simulated machine: none of them is quite right.

use session_domain::contract::sample::START;
use session_domain::port::Clock;
use session_domain::time::{BootInstant, Timestamp};

use super::{MILLION, Nanos};

/// A machine's clocks, as functions of true time.
///
/// The boot clock runs too fast or too slow by at most one part in a thousand, and stands still
/// while the machine does without noticing. The wall clock is set back and forth at will.
#[derive(Debug, Clone)]
pub struct MachineClock {
    /// A moment, and what the boot clock showed then.
    anchor: (Nanos, Nanos),
    /// How much too fast it has been running since, in millionths.
    error_ppm: i64,
    /// By how much the wall clock has been set wrong, in microseconds.
    wall_offset_us: i64,
}

impl MachineClock {
    /// A machine whose boot clock shows `boot` at `now`.
    pub const fn new(now: Nanos, boot: Nanos, error_ppm: i64) -> Self {
        Self {
            anchor: (now, boot),
            error_ppm,
            wall_offset_us: 0,
        }
    }

    /// What the boot clock shows.
    pub fn boot(&self, now: Nanos) -> Nanos {
        let (since, shown) = self.anchor;
        let elapsed = i128::from(now.saturating_sub(since));
        let measured = elapsed + elapsed * i128::from(self.error_ppm) / i128::from(MILLION);
        shown + u64::try_from(measured).unwrap_or(0)
    }

    /// What the wall clock shows.
    pub fn wall(&self, now: Nanos) -> Timestamp {
        let elapsed = i64::try_from(now / 1_000).unwrap_or(i64::MAX);
        Timestamp(START.0 + elapsed + self.wall_offset_us)
    }

    /// The clock leases are measured by: the wall clock where that guard is gone.
    pub fn reading(&self, now: Nanos, boot_clock: bool) -> BootInstant {
        if boot_clock {
            BootInstant(self.boot(now))
        } else {
            let wall = u64::try_from(self.wall(now).0).unwrap_or(0);
            BootInstant(wall.saturating_mul(1_000) + now % 1_000)
        }
    }

    /// The first true moment, as seen from `now`, at which the clock shows `at`.
    pub fn when(&self, now: Nanos, at: BootInstant, boot_clock: bool) -> Nanos {
        let missing = at.0.saturating_sub(self.reading(now, boot_clock).0);
        if missing == 0 || !boot_clock {
            return now.saturating_add(missing);
        }
        let rate = u128::from(MILLION.saturating_add_signed(self.error_ppm));
        let span = (u128::from(missing) * u128::from(MILLION)).div_ceil(rate);
        // Rounding may leave it a nanosecond short.
        let mut moment = now.saturating_add(u64::try_from(span).unwrap_or(u64::MAX));
        while self.boot(moment) < at.0 {
            moment += 1;
        }
        moment
    }

    /// From now on it is wrong by this much.
    pub fn drift(&mut self, now: Nanos, error_ppm: i64) {
        self.anchor = (now, self.boot(now));
        self.error_ppm = error_ppm;
    }

    /// The machine stands still from `now` until `until`, and its boot clock with it.
    pub fn freeze(&mut self, now: Nanos, until: Nanos) {
        self.anchor = (until, self.boot(now));
    }

    /// Somebody sets the wall clock.
    pub const fn step_wall(&mut self, by_us: i64) {
        self.wall_offset_us += by_us;
    }
}

/// A clock that stands: what one step of a decision sees as the time.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The boot clock.
    pub boot: BootInstant,
    /// The wall clock.
    pub wall: Timestamp,
}

impl Clock for Moment {
    fn wall(&self) -> Timestamp {
        self.wall
    }

    fn boot(&self) -> BootInstant {
        self.boot
    }
}
