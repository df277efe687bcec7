//! What followers and the authority say to each other about leases.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, KeyId, LogEpoch, Seq, Serial, SessionId, TenantId};
use crate::revocation::Head;
use crate::secret::Secret256;
use crate::time::Timestamp;

/// A follower asks for a lease, or to renew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRequest {
    /// Who asks.
    pub instance: InstanceId,
    /// Rises with every request of this instance; the reply repeats it.
    pub counter: u64,
    /// What it has applied without a gap, and in which epoch; `None` before it has joined.
    pub applied: Option<Head>,
}

/// A lease is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The request's counter.
    pub counter: u64,
    /// The head when it was granted: it counts from when everything up to there is applied.
    pub head: Head,
    /// How long it lasts, from when it was asked for.
    pub lease: Duration,
    /// The authority's time, read after the request arrived.
    pub server_time: Timestamp,
    /// Every session that was due before this has been ended.
    pub reaped_through: Timestamp,
    /// Proves this holder's acknowledgements; the same through all renewals.
    pub secret: Secret256,
}

/// The answer to a [`GrantRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantReply {
    /// Granted.
    Granted(Grant),
    /// Not before everything up to the last grant's head is applied; this is where the log stands.
    Lagging {
        /// The request's counter.
        counter: u64,
        /// The newest entry.
        head: Head,
    },
    /// The asker is ahead of the log, or speaks of another epoch: it must join anew.
    Rejoin {
        /// The request's counter.
        counter: u64,
    },
}

/// A lease as the authority keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub instance: InstanceId,
    /// The counter of the newest grant.
    pub counter: u64,
    /// What the holder had applied when it asked.
    pub applied: Seq,
    /// The longest time this holder may believe to have a lease, from its newest grant on.
    pub duration: Duration,
    /// What its acknowledgements are proven with.
    pub secret: Secret256,
}

/// Who holds leases, and of which history they are: all of it read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders {
    /// The newest entry, in the epoch in force.
    pub head: Head,
    /// Whether somebody has outlived every lease that the epochs before this one may have granted
    /// and the log doesn't know of. Until then nobody may trust in `leases` alone.
    pub settled: bool,
    /// The longest lease that was ever granted, as far as the log knows.
    pub longest: Duration,
    /// Every lease the log knows of, whatever its age; but none its holder has given up.
    pub leases: Vec<Lease>,
}

/// "Everything up to `applied` is visible to every thread that answers."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who says so.
    pub instance: InstanceId,
    /// Up to where, cumulatively.
    pub applied: Head,
    /// The proof that the holder says so, and nobody for it.
    mac: [u8; 32],
}

impl Acknowledgement {
    /// An acknowledgement, proven with the lease's secret.
    pub fn new(instance: InstanceId, applied: Head, secret: &Secret256) -> Self {
        Self {
            instance,
            applied,
            mac: *Self::proof(instance, applied, secret).as_bytes(),
        }
    }

    /// Whether the holder of `secret` made it. Takes the same time for every wrong proof.
    pub fn is_by(&self, secret: &Secret256) -> bool {
        Self::proof(self.instance, self.applied, secret) == self.mac
    }

    fn proof(instance: InstanceId, applied: Head, secret: &Secret256) -> blake3::Hash {
        let mut said = [0; 32];
        said[..16].copy_from_slice(instance.0.as_bytes());
        said[16..24].copy_from_slice(&applied.epoch.0.to_be_bytes());
        said[24..].copy_from_slice(&applied.seq.0.to_be_bytes());
        blake3::keyed_hash(&secret.0, &said)
    }
}

/// A validator without a lease asks whether a verified token's session is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckQuery {
    /// The tenant the token names.
    pub tenant: TenantId,
    /// The session the token names.
    pub session: SessionId,
    /// The serial the token carries.
    pub serial: Serial,
    /// The key that signed it.
    pub key: KeyId,
}

/// The answer to a [`CheckQuery`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckVerdict {
    /// The session is alive with that serial, and the key in service; at this time.
    Alive {
        /// The authority's time, by which the asker judges `exp`.
        server_time: Timestamp,
    },
    /// Not so.
    Dead,
    /// The key isn't known to the authority.
    UnknownKey,
}

impl Lease {
    /// Whether the holder is known to have applied `seq`, by what it said on renewal.
    pub fn has(&self, seq: Seq) -> bool {
        self.applied >= seq
    }
}

impl GrantRequest {
    /// Whether it comes from somebody who follows `epoch`.
    pub fn follows(&self, epoch: LogEpoch) -> bool {
        self.applied.is_some_and(|head| head.epoch == epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn nobody_acknowledges_for_another() {
        let instance = InstanceId(Uuid::from_u128(7));
        let head = |seq| Head {
            epoch: LogEpoch(3),
            seq: Seq(seq),
        };
        let (mine, other) = (Secret256([1; 32]), Secret256([2; 32]));
        let ack = Acknowledgement::new(instance, head(5), &mine);
        assert!(ack.is_by(&mine));
        assert!(!ack.is_by(&other));
        assert!(
            !Acknowledgement {
                applied: head(6),
                ..ack
            }
            .is_by(&mine)
        );
        assert!(
            !Acknowledgement {
                instance: InstanceId(Uuid::from_u128(8)),
                ..ack
            }
            .is_by(&mine)
        );
    }
}
