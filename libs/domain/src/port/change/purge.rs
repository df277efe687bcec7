use std::time::Duration;

use crate::ids::DeviceId;
use crate::time::Timestamp;

/// Deletes rows whose time is over: at most `batch`, and none that others are at work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purge {
    /// Which.
    pub rows: Purgeable,
    /// How long they are kept.
    pub keep: Duration,
    /// The time. Where the store has a clock of its own, the earlier of both MUST count: a host
    /// whose clock is ahead must not delete what nobody can bring back.
    pub at: Timestamp,
    /// How many rows at most.
    pub batch: u32,
}

/// What can be deleted once it is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purgeable {
    /// Ended sessions, by the later of their end and their absolute end: until the latter, a token
    /// of theirs may be within its own time, and it is refused because of the row. A validator that
    /// joins builds its status lists from rows.
    Sessions,
    /// Serials that step-ups left behind, by the same moment of theirs.
    SupersededSerials,
    /// What is remembered of requests that may be repeated, by when they were made.
    IdempotencyKeys,
    /// The audit trail, by when things happened.
    Events {
        /// Only what other systems have been told.
        relayed_only: bool,
    },
    /// Devices, by their last use. Never one with an active session on it.
    Devices {
        /// Looked at in the order of ids: those after this one. So that devices in use aren't
        /// looked at again and again.
        after: Option<DeviceId>,
    },
}

/// What came of [`Purge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgeOutcome {
    /// How many rows were deleted.
    pub purged: u64,
    /// What to go on with where there may be more; `None` where there isn't.
    pub next: Option<Purgeable>,
}
