use std::time::Duration;

use async_trait::async_trait;
use futures::channel::oneshot;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, LogEpoch, Seq};
use crate::port::{PortError, Touch};
use crate::revocation::{
    Acknowledgement, CheckQuery, CheckVerdict, GrantReply, GrantRequest, ListBits, Publication,
    Snapshot, SnapshotMark,
};

/// What a follower asks of the authority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BusRequest {
    /// A lease, or its renewal.
    Grant(GrantRequest),
    /// To give a lease up: the instance answers no more requests.
    Release {
        /// Whose.
        instance: InstanceId,
        /// The counter of its last request.
        counter: u64,
    },
    /// The entries after `after`.
    Entries {
        /// The epoch the asker follows.
        epoch: LogEpoch,
        /// The last number the asker has.
        after: Seq,
    },
    /// Where to start.
    Snapshot,
    /// The bits of one status list.
    List(u64),
    /// Whether a session is alive right now, read from the authority after this was asked.
    Check(CheckQuery),
    /// To take in that sessions were used.
    Activity(Touch),
    /// The part of a snapshot after this.
    SnapshotPart(SnapshotMark),
}

/// The authority's answer, in the variant of the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BusReply {
    /// To [`BusRequest::Grant`].
    Grant(GrantReply),
    /// To [`BusRequest::Release`].
    Released,
    /// To [`BusRequest::Entries`]: a run of entries, oldest first; may be shorter than asked.
    Entries(Publication),
    /// To [`BusRequest::Snapshot`] and [`BusRequest::SnapshotPart`].
    Snapshot(Snapshot),
    /// To [`BusRequest::List`].
    List(ListBits),
    /// To [`BusRequest::Check`].
    Check(CheckVerdict),
    /// To [`BusRequest::Activity`]: it is written.
    ActivityKept,
    /// The authority couldn't answer; ask again later.
    Unavailable,
    /// To [`BusRequest::Entries`]: they are no longer kept, or not of the epoch in force. Only a
    /// snapshot helps.
    EntriesGone {
        /// The epoch of those that were asked for.
        epoch: LogEpoch,
    },
}

/// A request and the way to answer it. Dropping it unanswered lets the asker time out.
#[derive(Debug)]
pub struct Incoming {
    /// What is asked.
    pub request: BusRequest,
    /// Where the answer goes.
    pub reply: oneshot::Sender<BusReply>,
}

/// Messages between processes. A hint only: it MAY lose, double, reorder and delay broadcasts;
/// nothing depends on one arriving. Payloads are at most 256 KiB.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Broadcasts log entries to every follower.
    async fn publish(&self, publication: &Publication) -> Result<(), PortError>;

    /// Subscribes to what is published from now on. MUST be in effect when it returns.
    async fn publications(&self) -> Result<BoxStream<'static, Publication>, PortError>;

    /// Broadcasts an acknowledgement to every process that fences.
    async fn acknowledge(&self, ack: &Acknowledgement) -> Result<(), PortError>;

    /// Subscribes to acknowledgements from now on. MUST be in effect when it returns.
    async fn acknowledgements(&self) -> Result<BoxStream<'static, Acknowledgement>, PortError>;

    /// Asks any one server and waits at most `within` for its answer.
    async fn request(&self, request: BusRequest, within: Duration) -> Result<BusReply, PortError>;

    /// Serves requests; each goes to one of the servers.
    async fn requests(&self) -> Result<BoxStream<'static, Incoming>, PortError>;
}
