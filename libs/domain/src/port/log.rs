use std::time::Duration;

use async_trait::async_trait;

use crate::ids::{InstanceId, Seq, Serial};
use crate::port::PortError;
use crate::revocation::{GrantReply, GrantRequest, Head, Lease, LogEntry, Snapshot};
use crate::time::Timestamp;

/// The revocation log's reading side, and the leases. Entries are written by
/// [`SessionStore::commit`](crate::port::SessionStore::commit) alone, in the transaction of the
/// change they tell of.
#[async_trait]
pub trait RevocationLog: Send + Sync {
    /// The newest entry's number. MUST reflect every commit that returned before the call.
    async fn head(&self) -> Result<Head, PortError>;

    /// Grants or renews a lease of length `lease`, reading the head in the same transaction,
    /// under a lock that excludes every commit of an entry.
    ///
    /// MUST be as durable as a commit. MUST refuse a renewal that has not applied the previous
    /// grant's head, a counter that doesn't rise, and an `applied` beyond the head. The grant
    /// carries the store's own time and how far the reaper has come: the earliest due time of an
    /// active session, or now.
    async fn grant(&self, request: &GrantRequest, lease: Duration)
    -> Result<GrantReply, PortError>;

    /// Gives up the lease of `instance` if its counter is still `counter`: by the holder, who
    /// answers no more, or by somebody who saw that counter stand still for a whole lease.
    async fn release(&self, instance: InstanceId, counter: u64) -> Result<(), PortError>;

    /// Every lease, whatever its age. MUST reflect every grant that returned before the call.
    async fn leases(&self) -> Result<Vec<Lease>, PortError>;

    /// Up to when every lease holder has told of every use of a session
    /// ([`Heard`](crate::port::Heard)); `None` where nobody holds a lease. A new holder counts from
    /// its first grant: it has answered nobody before.
    async fn heard_through(&self) -> Result<Option<Timestamp>, PortError>;

    /// The entries after `after`, oldest first, at most `limit`.
    async fn entries(&self, after: Seq, limit: u32) -> Result<Vec<LogEntry>, PortError>;

    /// Where a joining follower starts. The head MUST be read before the rest.
    async fn snapshot(&self) -> Result<Snapshot, PortError>;

    /// The ended serials in `from..to`, at least all those ended before the call.
    async fn ended_serials(&self, from: Serial, to: Serial) -> Result<Vec<Serial>, PortError>;
}
