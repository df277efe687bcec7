//! Leases: granting, giving up, reading; as the real store does it.

use std::time::Duration;

use session_domain::ids::{InstanceId, Seq};
use session_domain::revocation::{Grant, GrantReply, GrantRequest, Guards, Head, Holders, Lease};
use session_domain::secret::Secret256;
use session_domain::time::Timestamp;

use super::Database;

/// A lease, as its row.
#[derive(Debug, Clone)]
pub struct Row {
    lease: Lease,
    granted_head: Seq,
}

impl Row {
    pub(super) const fn counter(&self) -> u64 {
        self.lease.counter
    }

    pub(super) const fn applied(&self) -> Seq {
        self.lease.applied
    }
}

impl Database {
    /// Grants or renews a lease; `None` where the counter doesn't rise.
    pub(super) fn grant<G: Guards>(
        &mut self,
        request: &GrantRequest,
        head_at_start: Head,
        wall: Timestamp,
    ) -> Option<GrantReply> {
        let counter = request.counter;
        let head = if G::HEAD_LOCKED_AT_GRANT {
            self.head()
        } else {
            head_at_start
        };
        let given_up = self.released.get(&request.instance);
        if G::LATE_GRANTS_REFUSED && given_up.is_some_and(|last| counter <= *last) {
            return None;
        }
        let known = self.leases.get(&request.instance);
        if known.is_some_and(|known| counter <= known.lease.counter) {
            return None;
        }
        if let Some(applied) = request.applied {
            if !request.follows(head.epoch) && G::EPOCH_COMPARED {
                return Some(GrantReply::Rejoin { counter });
            }
            if applied.seq > self.head().seq {
                // What it has applied is lost, so its numbers must not be given again.
                self.begin_epoch::<G>();
                return Some(GrantReply::Rejoin { counter });
            }
            let lags = known.is_some_and(|known| applied.seq < known.granted_head);
            if G::LAGGARDS_REFUSED && lags {
                return Some(GrantReply::Lagging { counter, head });
            }
        }
        let (secret, before) = match known {
            Some(known) => (known.lease.secret.clone(), known.lease.duration),
            None => (self.fresh_secret(), Duration::ZERO),
        };
        let duration = if G::LONGEST_LEASE_KEPT {
            self.lease.max(before)
        } else {
            self.lease
        };
        let lease = Lease {
            instance: request.instance,
            counter,
            applied: request.applied.map_or(Seq(0), |applied| applied.seq),
            duration,
            secret: secret.clone(),
        };
        let row = Row {
            lease,
            granted_head: head.seq,
        };
        self.longest = self.longest.max(self.lease);
        self.leases.insert(request.instance, row);
        Some(GrantReply::Granted(Grant {
            counter,
            head,
            lease: self.lease,
            server_time: wall,
            reaped_through: wall,
            secret,
        }))
    }

    /// Its holder gives a lease up.
    pub(super) fn release(&mut self, instance: InstanceId, counter: u64) {
        let row = self.leases.get(&instance);
        if row.is_some_and(|row| row.lease.counter <= counter) {
            self.leases.remove(&instance);
        }
        let last = self.released.entry(instance).or_default();
        *last = counter.max(*last);
    }

    /// Whether a lease is there that its holder had given up before it was granted.
    pub fn is_resurrected(&self, instance: InstanceId) -> bool {
        let (row, last) = (self.leases.get(&instance), self.released.get(&instance));
        row.zip(last)
            .is_some_and(|(row, last)| row.lease.counter <= *last)
    }

    /// Deletes a lease, if its counter is still this.
    pub(super) fn forget<G: Guards>(&mut self, instance: InstanceId, counter: u64) {
        let row = self.leases.get(&instance);
        if row.is_some_and(|row| row.lease.counter == counter || !G::RELEASED_BY_COUNTER) {
            self.leases.remove(&instance);
        }
    }

    pub(super) fn holders(&self) -> Holders {
        Holders {
            head: self.head(),
            settled: self.settled,
            longest: self.longest,
            leases: self.leases.values().map(|row| row.lease.clone()).collect(),
        }
    }

    fn fresh_secret(&mut self) -> Secret256 {
        self.secrets += 1;
        let mut bits = [7; 32];
        bits[..8].copy_from_slice(&self.secrets.to_be_bytes());
        Secret256(bits)
    }
}
