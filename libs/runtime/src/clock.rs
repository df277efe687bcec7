//! The one place where time and randomness enter the program; everywhere else they are passed in,
//! and `clippy.toml` sees to it.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rustix::time::{ClockId, clock_gettime};
use session_domain::port::{Clock, Entropy, Timer};
use session_domain::time::{BootInstant, Timestamp};

/// The clock that also runs while the machine sleeps. Linux names it so; macOS's monotonic clock
/// does it by itself, which serves for development.
#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT: ClockId = ClockId::Monotonic;

/// How long a wait trusts the runtime's own timer, which may stand still while the machine sleeps.
const SLICE: Duration = Duration::from_secs(1);

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// The system time, truncated to microseconds; 1970 where the machine claims to live earlier.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock everybody else is handed"
    )]
    fn wall(&self) -> Timestamp {
        let since_1970 = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
    }

    fn boot(&self) -> BootInstant {
        let reading = clock_gettime(BOOT);
        let seconds = u64::try_from(reading.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(reading.tv_nsec).unwrap_or(0);
        BootInstant(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

/// Waits with tokio's timer, and looks at the boot clock at least once a second, so that a machine
/// waking from sleep is at most a second late.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioTimer<C = SystemClock> {
    clock: C,
}

impl<C: Clock> TokioTimer<C> {
    /// A timer that measures by `clock`.
    pub const fn new(clock: C) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl<C: Clock> Timer for TokioTimer<C> {
    async fn sleep_until(&self, at: BootInstant) {
        loop {
            let left = at.since(self.clock.boot());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(SLICE)).await;
        }
    }
}

/// The operating system's cryptographically secure randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// Aborts the process where the system has no randomness to give: going on would mean
    /// guessable credentials, and unwinding might be caught.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the randomness everybody else is handed"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            tracing::error!(%error, "the operating system gives no randomness");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn wall_time_is_after_this_was_written_and_boot_time_rises() {
        let clock = SystemClock;
        assert!(clock.wall() > Timestamp::from_unix_seconds(1_700_000_000));
        let (first, second) = (clock.boot(), clock.boot());
        assert!(first <= second && first > BootInstant(0));
    }

    #[test]
    fn randomness_differs() {
        assert_ne!(SystemEntropy.secret(), SystemEntropy.secret());
    }

    /// A boot clock that jumps an hour with the second reading, as after a sleep.
    #[derive(Default)]
    struct WakesUp(AtomicU64);

    impl Clock for WakesUp {
        fn wall(&self) -> Timestamp {
            Timestamp(0)
        }

        fn boot(&self) -> BootInstant {
            let readings = self.0.fetch_add(1, Ordering::Relaxed);
            BootInstant(0).plus(Duration::from_secs(3_600 * readings))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_notices_that_the_machine_slept() {
        let before = tokio::time::Instant::now();
        let timer = TokioTimer::new(WakesUp::default());
        timer
            .sleep_until(BootInstant(0).plus(Duration::from_secs(59)))
            .await;
        assert_eq!(before.elapsed(), SLICE);
    }

    #[tokio::test]
    async fn a_wait_for_the_past_returns_at_once_and_one_for_later_takes_its_time() {
        let timer = TokioTimer::<SystemClock>::default();
        timer.sleep_until(BootInstant(0)).await;
        let until = SystemClock.boot().plus(Duration::from_millis(20));
        timer.sleep_until(until).await;
        assert!(SystemClock.boot() >= until);
    }
}
