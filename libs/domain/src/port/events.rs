use std::time::Duration;

use async_trait::async_trait;

use crate::cloud_event::CloudEvent;
use crate::event::Event;
use crate::ids::{EventId, InstanceId};
use crate::port::PortError;
use crate::time::Timestamp;

/// An event of the audit trail, with the number the store gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub id: EventId,
    /// The event.
    pub event: Event,
}

/// The audit trail, read as an outbox: what happened and hasn't been told to other systems yet.
/// One process at a time leads, and tells.
#[async_trait]
pub trait EventOutbox: Send + Sync {
    /// Takes or keeps the lead for `lease` from now on; says whether `holder` leads. MUST measure
    /// by the store's own clock alone, never give it to two at once, and give it to whoever asks
    /// once the leader's time is over.
    async fn lead(&self, holder: InstanceId, lease: Duration) -> Result<bool, PortError>;

    /// Gives the lead up, where `holder` has it.
    async fn resign(&self, holder: InstanceId) -> Result<(), PortError>;

    /// The first events that aren't marked as relayed, at most `limit`, in the order of their
    /// numbers. MUST hold back an event for as long as one with a smaller number may still
    /// appear: whatever is appended later than this call comes after all that it gives. So the
    /// events of a session come in the order they happened in, and marking the last of them marks
    /// nothing that nobody has seen.
    async fn unrelayed(&self, limit: u32) -> Result<Vec<StoredEvent>, PortError>;

    /// Marks all events up to and including `through` as relayed, if `holder` leads; says whether
    /// it does. Never takes a mark back.
    async fn relayed(&self, holder: InstanceId, through: EventId) -> Result<bool, PortError>;

    /// When the first event happened that isn't marked as relayed, held back or not.
    async fn oldest_unrelayed(&self) -> Result<Option<Timestamp>, PortError>;
}

/// Where other systems hear of events.
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Publishes events in their order. Returns once all of them are kept, as durably as the
    /// other side keeps anything. Where it fails, some of them may be kept; MUST then have kept
    /// none after one that isn't, so that whoever publishes all of them again, and takes the first
    /// of each id, has them in order.
    async fn publish(&self, events: &[CloudEvent]) -> Result<(), PortError>;
}
