//! The counters in memory keep the port's contract, and start anew with a new window.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_cache::MemoryLimiter;
use session_domain::contract::sample;
use session_domain::port::{Budget, Clock, RateLimiter, Spent};
use session_domain::time::{BootInstant, Timestamp};

/// A clock that is moved by hand; seconds since boot.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn wall(&self) -> Timestamp {
        sample::START
    }

    fn boot(&self) -> BootInstant {
        BootInstant(0).plus(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }
}

/// A clock by which every look takes a millisecond.
#[derive(Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn wall(&self) -> Timestamp {
        sample::START
    }

    fn boot(&self) -> BootInstant {
        BootInstant(0).plus(Duration::from_millis(
            self.0.fetch_add(1, Ordering::Relaxed),
        ))
    }
}

async fn fresh() -> Arc<dyn RateLimiter> {
    Arc::new(MemoryLimiter::new(Arc::new(Ticking::default())))
}

session_domain::rate_limiter_contract!(fresh);

#[tokio::test]
async fn a_new_window_brings_a_new_budget() {
    let hand = Arc::new(Hand::default());
    let limiter = MemoryLimiter::new(Arc::clone(&hand) as _);
    let budget = Budget {
        name: "test",
        amount: 1,
        window: Duration::from_secs(10),
    };
    let spend = async || limiter.spend(&budget, "a").await.unwrap();
    assert_eq!(spend().await, Spent::Within { left: 0 });
    hand.0.store(4, Ordering::Relaxed);
    let retry_after = Duration::from_secs(6);
    assert_eq!(spend().await, Spent::Over { retry_after });
    hand.0.store(10, Ordering::Relaxed);
    assert_eq!(spend().await, Spent::Within { left: 0 });
}
