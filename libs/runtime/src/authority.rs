//! The authority's clock, in a process on another host than the authority.

use std::sync::atomic::{AtomicI64, Ordering};

use session_domain::port::Clock;
use session_domain::time::{BootInstant, Timestamp};

use crate::clock::SystemClock;

/// What the wall clock is ahead of the boot clock where nobody has said yet.
const UNKNOWN: i64 = i64::MIN;

/// The wall clock of the database, estimated: what tokens and rows are stamped with must not
/// depend on which host stamped them, nor on somebody setting that host's clock.
///
/// Every reading of the database's clock says that it was so late at some moment between asking
/// and hearing. An estimate that agrees stays as it is; any other moves to the nearest that does
/// (as Marzullo's algorithm does with one source). So it comes as close as the shortest round trip
/// so far, goes along with a clock that drifts, and follows one that steps with the next reading.
/// In between the boot clock carries it on. Until the first reading it is the host's.
#[derive(Debug)]
pub struct AuthorityClock<C = SystemClock> {
    own: C,
    /// Microseconds.
    ahead: AtomicI64,
}

impl<C: Clock> AuthorityClock<C> {
    /// The host's own clock, so far.
    pub const fn new(own: C) -> Self {
        Self {
            own,
            ahead: AtomicI64::new(UNKNOWN),
        }
    }

    /// Asks the authority for its time, and goes by it from then on.
    ///
    /// # Errors
    /// The one `ask` ends with, which leaves the estimate as it was.
    pub async fn learn<E>(&self, ask: impl AsyncFnOnce() -> Result<Timestamp, E>) -> Result<(), E> {
        let asked = self.own.boot();
        let said = ask().await?;
        self.adjust(asked, said, self.own.boot());
        Ok(())
    }

    fn adjust(&self, asked: BootInstant, said: Timestamp, heard: BootInstant) {
        let (least, most) = (said.0 - micros(heard), said.0 - micros(asked));
        // Readings may overlap; each moves what the others left, in any order.
        let mut ahead = self.ahead.load(Ordering::Relaxed);
        loop {
            let better = if ahead == UNKNOWN {
                least + (most - least) / 2
            } else {
                ahead.clamp(least, most)
            };
            let swap = self.ahead.compare_exchange_weak(
                ahead,
                better,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => return,
                Err(meanwhile) => ahead = meanwhile,
            }
        }
    }
}

impl<C: Clock> Clock for AuthorityClock<C> {
    fn wall(&self) -> Timestamp {
        match self.ahead.load(Ordering::Relaxed) {
            UNKNOWN => self.own.wall(),
            ahead => Timestamp(micros(self.own.boot()).saturating_add(ahead)),
        }
    }

    fn boot(&self) -> BootInstant {
        self.own.boot()
    }
}

fn micros(at: BootInstant) -> i64 {
    i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// A host whose wall clock can be set and whose boot clock runs as it is told to.
    #[derive(Default)]
    struct Host {
        wall: AtomicI64,
        boot: AtomicU64,
    }

    impl Host {
        fn pass(&self, time: Duration) {
            let nanos = u64::try_from(time.as_nanos()).unwrap();
            self.boot.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    impl Clock for &Host {
        fn wall(&self) -> Timestamp {
            Timestamp(self.wall.load(Ordering::Relaxed))
        }

        fn boot(&self) -> BootInstant {
            BootInstant(self.boot.load(Ordering::Relaxed))
        }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    async fn read(clock: &AuthorityClock<&Host>, truth: Timestamp, there: u64, back: u64) {
        let reading = clock.learn(async || {
            clock.own.pass(millis(there));
            let said = truth.plus(millis(there));
            clock.own.pass(millis(back));
            Ok::<_, Infallible>(said)
        });
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn a_host_whose_clock_is_set_goes_on_stamping_by_the_authoritys() {
        let host = Host::default();
        let clock = AuthorityClock::new(&host);
        host.wall.store(5, Ordering::Relaxed);
        assert_eq!(clock.wall(), Timestamp(5), "nobody has said yet");
        let truth = Timestamp::from_unix_seconds(1_800_000_000);
        read(&clock, truth, 4, 4).await;
        assert_eq!(clock.wall(), truth.plus(millis(8)));
        host.wall.store(7_200_000_000, Ordering::Relaxed);
        host.pass(millis(1_000));
        assert_eq!(clock.wall(), truth.plus(millis(1_008)));
    }

    #[tokio::test]
    async fn a_failed_reading_changes_nothing() {
        let host = Host::default();
        let clock = AuthorityClock::new(&host);
        read(&clock, Timestamp::from_unix_seconds(10), 1, 1).await;
        let before = clock.wall();
        assert!(clock.learn(async || Err(())).await.is_err());
        assert_eq!(clock.wall(), before);
    }

    #[tokio::test]
    async fn the_authoritys_own_step_is_followed_both_ways() {
        let host = Host::default();
        let clock = AuthorityClock::new(&host);
        for seconds in [5_000, 9_000, 1_000] {
            let truth = Timestamp::from_unix_seconds(seconds);
            read(&clock, truth, 3, 3).await;
            let off = clock.wall().0 - truth.plus(millis(6)).0;
            assert!(off.abs() <= 3_000, "{off} us after {seconds}");
        }
    }

    proptest! {
        /// However unevenly each round trip is divided, the estimate is off by no more than the
        /// shortest of them.
        #[test]
        fn it_is_off_by_no_more_than_the_shortest_round_trip(
            trips in prop::collection::vec((0_u64..500, 0_u64..500), 1..20),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let host = Host::default();
            let clock = AuthorityClock::new(&host);
            let start = Timestamp::from_unix_seconds(1_800_000_000);
            let truth = || Timestamp(start.0 + micros((&host).boot()));
            for &(there, back) in &trips {
                runtime.block_on(read(&clock, truth(), there, back));
            }
            let shortest = trips.iter().map(|(there, back)| there + back).min().unwrap();
            let off = (clock.wall().0 - truth().0).unsigned_abs();
            prop_assert!(off <= shortest * 1_000, "{off} us, {shortest} ms");
        }
    }
}
