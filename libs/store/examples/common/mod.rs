//! What the measurements share: a clock, randomness, sessions, percentiles.

#![allow(dead_code, reason = "each measurement uses its own part")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{SessionId, TenantId};
use session_domain::port::{Clock, End, Entropy, Start, Targets, Why};
use session_domain::session::{EndReason, NewSession};
use session_domain::time::{BootInstant, Timestamp};

/// The machine's time.
pub struct MachineClock;

impl Clock for MachineClock {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(i64::try_from(since.expect("after 1970").as_micros()).expect("before the end"))
    }

    fn boot(&self) -> BootInstant {
        BootInstant(0)
    }
}

/// Counts up, so that no two draws are the same.
#[derive(Default)]
pub struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let drawn = self.0.fetch_add(1, Ordering::Relaxed) + 0x0123_4567_89ab_cdef;
        let drawn = drawn.to_le_bytes();
        for (to, from) in bytes.iter_mut().zip(drawn.iter().cycle()) {
            *to = *from;
        }
    }
}

/// What `work` takes.
pub async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let begun = Instant::now();
    let done = work.await;
    (begun.elapsed(), done)
}

/// The start of session `number` of `user`.
pub fn start(number: u128, user: &str) -> Start {
    start_of(sample::new_session(number, user))
}

/// The start of a session.
pub fn start_of(session: NewSession) -> Start {
    Start {
        session,
        actor: Actor::System,
        limit: None,
        idempotency: None,
    }
}

/// The end of session `number`.
pub fn end(number: u128) -> End {
    End {
        targets: Targets::One {
            tenant: TenantId::default(),
            id: id(number),
        },
        why: Why::Because {
            reason: EndReason::Logout,
            note: None,
        },
        at: sample::START,
        actor: Actor::System,
        batch: 1,
    }
}

/// The id of session `number`.
pub fn id(number: u128) -> SessionId {
    sample::session_id(number)
}

/// The median and the 99th percentile.
pub fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |share: usize| {
        let place = times.len() * share / 100;
        times.get(place.min(times.len().saturating_sub(1))).copied()
    };
    (at(50).unwrap_or_default(), at(99).unwrap_or_default())
}

/// A span in milliseconds, for people.
pub fn millis(span: Duration) -> String {
    format!("{:.2}", span.as_secs_f64() * 1_000.0)
}
