//! The outbox on a server where transactions run side by side.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_domain::ids::{EventId, InstanceId};
use session_domain::port::{EventOutbox, PortError, StoredEvent};
use session_domain::time::Timestamp;

use super::PostgresStore;
use crate::dialect;
use crate::outbox;

/// An event, and the transactions that may still write one with a smaller number: those that were
/// writing events after that event was seen. Whoever drew a smaller number did so before, and is
/// over or among them.
///
/// Numbers, not rows, are waited for: a writer that isn't over holds back all that came after it.
/// That way events come in one order, which is also the order of each session's, whose changes
/// wait for each other at its row.
#[derive(Debug, Clone)]
struct Horizon {
    event: i64,
    writers: Vec<String>,
}

/// The horizon that is waited for. One is waited for until it is reached: whoever always took a
/// new one would never see it reached while there is always somebody at work.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<Option<Horizon>>>);

impl Waiting {
    fn set(&self, horizon: Option<Horizon>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = horizon;
    }

    fn get(&self) -> Option<Horizon> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.clone()
    }
}

impl PostgresStore {
    /// The last event up to which no more can appear; `None` where there is none after `marked`.
    async fn complete_through(&self, marked: i64) -> Result<Option<i64>, PortError> {
        let known = self.horizon.get().filter(|known| known.event > marked);
        let horizon = match known {
            Some(known) if known.writers.is_empty() => known,
            Some(mut known) => {
                let writing = dialect::event_writers(&self.db).await?;
                known.writers.retain(|writer| writing.contains(writer));
                known
            }
            None => {
                let event = outbox::newest(&self.db).await?;
                if event <= marked {
                    return Ok(None);
                }
                // A statement of its own, and after the other.
                let writers = dialect::event_writers(&self.db).await?;
                Horizon { event, writers }
            }
        };
        let reached = horizon.writers.is_empty().then_some(horizon.event);
        self.horizon.set(Some(horizon));
        Ok(reached)
    }

    async fn first_unrelayed(&self, limit: u32) -> Result<Vec<StoredEvent>, PortError> {
        let marked = outbox::marked(&self.db).await?;
        // Read by a later statement than saw that the writers are over, so that it sees what they
        // wrote.
        while let Some(through) = self.complete_through(marked).await? {
            let found = outbox::read(&self.db, marked, through, limit).await?;
            if !found.is_empty() {
                return Ok(found);
            }
            // All up to there was purged, told or not. There may be more beyond.
            self.horizon.set(None);
        }
        Ok(Vec::new())
    }
}

#[async_trait]
impl EventOutbox for PostgresStore {
    async fn lead(&self, holder: InstanceId, lease: Duration) -> Result<bool, PortError> {
        // Read before the row is: the lead ends a little early, never late.
        let now = dialect::now(&self.db, &*self.clock.0).await?;
        outbox::lead(&self.db, holder, lease, now).await
    }

    async fn resign(&self, holder: InstanceId) -> Result<(), PortError> {
        outbox::resign(&self.db, holder).await
    }

    async fn unrelayed(&self, limit: u32) -> Result<Vec<StoredEvent>, PortError> {
        let found = self.first_unrelayed(limit).await;
        if found.is_err() {
            // The server may be another one now, which knows nothing of these transactions.
            self.horizon.set(None);
        }
        found
    }

    async fn relayed(&self, holder: InstanceId, through: EventId) -> Result<bool, PortError> {
        outbox::relayed(&self.db, holder, through).await
    }

    async fn oldest_unrelayed(&self) -> Result<Option<Timestamp>, PortError> {
        outbox::oldest(&self.db).await
    }
}
