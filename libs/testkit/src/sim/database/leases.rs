//! Leases: granting, giving up, reading; as the real store does it.

use std::time::Duration;

use session_domain::ids::{InstanceId, Seq};
use session_domain::revocation::{Grant, GrantReply, GrantRequest, Guards, Head, Lease};
use session_domain::secret::Secret256;
use session_domain::time::Timestamp;

use super::Database;

/// A lease, as its row.
#[derive(Debug, Clone)]
pub struct Row {
    lease: Lease,
    granted_head: Seq,
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
        let known = self.leases.get(&request.instance);
        if known.is_some_and(|known| counter <= known.lease.counter) {
            return None;
        }
        if let Some(applied) = request.applied {
            if !request.follows(head.epoch) || applied.seq > self.head().seq {
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

    /// Gives up a lease, if its counter is still this.
    pub(super) fn release<G: Guards>(&mut self, instance: InstanceId, counter: u64) {
        let row = self.leases.get(&instance);
        if row.is_some_and(|row| row.lease.counter == counter || !G::RELEASED_BY_COUNTER) {
            self.leases.remove(&instance);
        }
    }

    pub(super) fn all_leases(&self) -> Vec<Lease> {
        self.leases.values().map(|row| row.lease.clone()).collect()
    }

    fn fresh_secret(&mut self) -> Secret256 {
        self.secrets += 1;
        let mut bits = [7; 32];
        bits[..8].copy_from_slice(&self.secrets.to_be_bytes());
        Secret256(bits)
    }
}
