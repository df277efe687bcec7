//! What a follower is told beforehand, and what it asks of its driver.

use std::time::Duration;

use crate::ids::{LogEpoch, Seq};
use crate::revocation::{Acknowledgement, GrantRequest, SnapshotMark};

/// The follower's patience. Lengths of leases are not among it: the authority dictates them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerConfig {
    /// How long a gap may stand before the missing entries are fetched.
    pub gap_patience: Duration,
    /// How long a request may go unanswered before it is made again.
    pub request_patience: Duration,
    /// How soon a request is made again that is known to have failed.
    pub retry_after: Duration,
    /// At most this many entries wait for a gap before them to be filled.
    pub buffer_max: usize,
}

impl Default for FollowerConfig {
    fn default() -> Self {
        Self {
            gap_patience: Duration::from_millis(20),
            request_patience: Duration::from_secs(1),
            retry_after: Duration::from_millis(100),
            buffer_max: 10_000,
        }
    }
}

/// What the driver shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowerAction {
    /// Ask for a grant; answer with [`Follower::on_grant_reply`](super::Follower::on_grant_reply).
    RequestGrant(GrantRequest),
    /// Fetch a snapshot, or the part of it after the mark; answer with
    /// [`Follower::on_snapshot`](super::Follower::on_snapshot).
    FetchSnapshot(Option<SnapshotMark>),
    /// Fetch a list; answer with [`Follower::on_list`](super::Follower::on_list).
    FetchList(u64),
    /// Fetch entries; answer with [`Follower::on_entries`](super::Follower::on_entries) or
    /// [`Follower::on_entries_gone`](super::Follower::on_entries_gone).
    FetchEntries {
        /// Of this epoch.
        epoch: LogEpoch,
        /// After this one.
        after: Seq,
    },
    /// Broadcast this.
    Acknowledge(Acknowledgement),
}
