use std::time::Duration;

use async_trait::async_trait;

use crate::ids::{InstanceId, LogEpoch, Serial};
use crate::port::PortError;
use crate::revocation::{GrantReply, GrantRequest, Head, Holders, LogRun, Snapshot, SnapshotMark};
use crate::time::Timestamp;

/// The revocation log's reading side, and the leases. Entries are written by
/// [`SessionStore::commit`](crate::port::SessionStore::commit) alone, in the transaction of the
/// change they tell of.
///
/// Its numbers belong to an epoch. An adapter MUST begin a new one, before it writes another entry,
/// wherever something that was written before may be lost: where the database was failed over or
/// restored from a backup, and where a follower has applied more than there is. A new epoch goes on
/// counting entries, forgets the old ones, is not settled ([`Holders::settled`]), and skips so many
/// serials that no lost history has drawn any of those to come; the skipped ones are dead
/// ([`Snapshot::skipped`]).
#[async_trait]
pub trait RevocationLog: Send + Sync {
    /// The newest entry's number. MUST reflect every commit that returned before the call.
    async fn head(&self) -> Result<Head, PortError>;

    /// Grants or renews a lease of length `lease`, reading the head in the same transaction,
    /// under a lock that excludes every commit of an entry.
    ///
    /// MUST be as durable as a commit. MUST refuse a renewal that has not applied the previous
    /// grant's head, a counter that doesn't rise or isn't beyond that of a lease that was given
    /// up, and an `applied` of another epoch or beyond the head; the last begins a new epoch. The grant
    /// carries the store's own time and how far the reaper has come: the earliest due time of an
    /// active session, or now.
    async fn grant(&self, request: &GrantRequest, lease: Duration)
    -> Result<GrantReply, PortError>;

    /// The holder gives its lease up: it answers no more, and `counter` is that of its last
    /// request. What it asked for up to then is not granted any more, even if it arrives late.
    async fn release(&self, instance: InstanceId, counter: u64) -> Result<(), PortError>;

    /// Deletes the lease of `instance` if its counter is still `counter`: by somebody who saw that
    /// counter stand still for longer than the lease.
    async fn forget(&self, instance: InstanceId, counter: u64) -> Result<(), PortError>;

    /// Who holds leases, all of it read at one moment. MUST reflect every grant that returned
    /// before the call.
    async fn holders(&self) -> Result<Holders, PortError>;

    /// Notes that every lease has run out that epochs before `epoch` may have granted, if that is
    /// still the one in force.
    async fn settle(&self, epoch: LogEpoch) -> Result<(), PortError>;

    /// Up to when every lease holder has told of every use of a session
    /// ([`Heard`](crate::port::Heard)); `None` where nobody holds a lease. A new holder counts from
    /// its first grant: it has answered nobody before.
    async fn heard_through(&self) -> Result<Option<Timestamp>, PortError>;

    /// The entries after `after.seq` of the epoch it names, at most `limit`.
    async fn entries(&self, after: Head, limit: u32) -> Result<LogRun, PortError>;

    /// Deletes entries that nobody needs any more, at most `limit`; gives how many. Kept are those
    /// that a lease holder is not known to have applied, and those written within `keep` before
    /// now, for whoever joins. Also what is remembered of leases that were given up long ago.
    async fn prune(&self, keep: Duration, limit: u32) -> Result<u64, PortError>;

    /// Where a joining follower starts; after the first part, the part after `mark`. In each, the
    /// head MUST be read before the rest.
    async fn snapshot(&self, mark: Option<&SnapshotMark>) -> Result<Snapshot, PortError>;

    /// The ended serials in `from..to`, at least all those ended before the call.
    async fn ended_serials(&self, from: Serial, to: Serial) -> Result<Vec<Serial>, PortError>;
}
