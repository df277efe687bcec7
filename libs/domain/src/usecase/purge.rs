//! Forget what has been kept for long enough.

use std::time::Duration;

use crate::port::{Clock, PortError, Purge, PurgeOutcome, Purgeable, SessionStore};

/// How much longer than said what refuses tokens is kept: nobody's clock by which a token may
/// still be within its time is further behind than this.
const MARGIN: Duration = Duration::from_hours(1);

/// How long each kind of thing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Sessions, after they ended and after all their tokens have.
    pub sessions: Duration,
    /// What is remembered of requests that may be repeated.
    pub idempotency_keys: Duration,
    /// The audit trail.
    pub events: Duration,
    /// Whether an event is kept in any case until other systems have been told.
    pub events_relayed_only: bool,
    /// Devices nobody is signed in on, after their last use.
    pub devices: Duration,
}

impl Retention {
    /// Everything that is purged, each with its own beginning.
    pub const fn kinds(&self) -> [Purgeable; 5] {
        [
            Purgeable::Sessions,
            Purgeable::SupersededSerials,
            Purgeable::IdempotencyKeys,
            Purgeable::Events {
                relayed_only: self.events_relayed_only,
            },
            Purgeable::Devices { after: None },
        ]
    }

    /// How long such rows are kept.
    fn of(&self, rows: Purgeable) -> Duration {
        match rows {
            Purgeable::Sessions => self.sessions.max(MARGIN),
            // Nobody looks at them: they are there for their tokens alone.
            Purgeable::SupersededSerials => MARGIN,
            Purgeable::IdempotencyKeys => self.idempotency_keys,
            Purgeable::Events { .. } => self.events,
            Purgeable::Devices { .. } => self.devices,
        }
    }
}

/// Deletes at most `batch` rows of a kind. Whoever wants all of them gone goes on with what this
/// says is next, and lets others in between.
///
/// # Errors
/// Where the store doesn't answer; what wasn't deleted will be next time.
pub async fn purge(
    store: &dyn SessionStore,
    clock: &dyn Clock,
    retention: &Retention,
    rows: Purgeable,
    batch: u32,
) -> Result<PurgeOutcome, PortError> {
    let change = Purge {
        rows,
        keep: retention.of(rows),
        at: clock.wall(),
        batch,
    };
    store.apply(change).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refuses_tokens_is_never_kept_shorter_than_clocks_may_differ() {
        let retention = Retention {
            sessions: Duration::ZERO,
            idempotency_keys: Duration::ZERO,
            events: Duration::ZERO,
            events_relayed_only: false,
            devices: Duration::ZERO,
        };
        for rows in [Purgeable::Sessions, Purgeable::SupersededSerials] {
            assert_eq!(retention.of(rows), MARGIN);
        }
    }
}
