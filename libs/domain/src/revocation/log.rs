//! What the revocation log says, and how it is handed on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{KeyId, LogEpoch, Seq, Serial, TenantId};

/// At most this many serials stand in one entry, so that a message stays far below 256 KiB.
pub const PUBLICATION_SERIALS_MAX: usize = 8_192;

/// The public half of a signing key, as a JSON Web Key (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublicKey {
    /// Its RFC 7638 thumbprint.
    pub kid: KeyId,
    /// The one algorithm it may be used with (RFC 7518, RFC 8037), for example `EdDSA`.
    pub alg: String,
    /// The key's own members: `kty`, `crv`, `x` and so on. Never a private one.
    pub jwk: BTreeMap<String, String>,
}

/// Keys by their `kid`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet(HashMap<KeyId, Arc<PublicKey>>);

impl KeySet {
    /// The key of that name, if it is in service.
    pub fn get(&self, kid: &str) -> Option<&Arc<PublicKey>> {
        // Looked up by an owned id because `KeyId` alone knows which texts can be one.
        self.0.get(&kid.parse::<KeyId>().ok()?)
    }

    /// Whether exactly this key is in service: not one that has taken its name.
    pub fn serves(&self, key: &Arc<PublicKey>) -> bool {
        let found = self.0.get(&key.kid);
        found.is_some_and(|found| Arc::ptr_eq(found, key) || found == key)
    }

    /// The keys in service, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PublicKey>> {
        self.0.values()
    }

    /// Whether no key is in service.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a key in service.
    pub fn add(&mut self, key: PublicKey) {
        self.0.insert(key.kid.clone(), Arc::new(key));
    }

    /// Takes a key out of service.
    pub fn retire(&mut self, kid: &KeyId) {
        self.0.remove(kid);
    }
}

impl FromIterator<PublicKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        let mut set = Self::default();
        keys.into_iter().for_each(|key| set.add(key));
        set
    }
}

/// One entry of the log. Applying an entry twice is the same as applying it once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogEntry {
    /// These serials are dead. At most [`PUBLICATION_SERIALS_MAX`].
    Ended(Vec<Serial>),
    /// Every serial up to this one is dead, of one tenant or of all.
    Floor {
        /// Whose; `None` for everybody's.
        tenant: Option<TenantId>,
        /// The last dead one.
        through: Serial,
    },
    /// A key whose signatures count from now on.
    KeyAdded(PublicKey),
    /// A key whose signatures no longer count.
    KeyRetired(KeyId),
}

/// The newest entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    /// Which history the number belongs to.
    pub epoch: LogEpoch,
    /// The number.
    pub seq: Seq,
}

/// A run of entries, numbered `after + 1`, `after + 2`…
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Publication {
    /// Which history the numbers belong to.
    pub epoch: LogEpoch,
    /// The number before the first entry's.
    pub after: Seq,
    /// The entries.
    pub entries: Vec<LogEntry>,
}

impl Publication {
    /// The number of the last entry.
    pub fn last(&self) -> Seq {
        Seq(self.after.0 + self.entries.len() as u64)
    }

    /// Each entry with its number.
    pub fn numbered(&self) -> impl Iterator<Item = (Seq, &LogEntry)> {
        (self.after.0 + 1..).map(Seq).zip(&self.entries)
    }
}

/// Serials from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SerialRange {
    /// The first.
    pub first: Serial,
    /// The last.
    pub last: Serial,
}

impl SerialRange {
    /// Whether `serial` is one of them.
    pub fn contains(self, serial: Serial) -> bool {
        self.first <= serial && serial <= self.last
    }
}

/// Where a joining follower starts: everything up to `head` but the status lists themselves. What
/// would be too long for one message comes in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The head before the rest was read, so the rest is at least as new.
    pub head: Head,
    /// The keys in service. In the first part, all of them.
    pub keys: Vec<PublicKey>,
    /// Serials that were skipped when a new epoch began: only a history that is lost may have
    /// handed them out, so they are dead. In the first part, all of them.
    pub skipped: Vec<SerialRange>,
    /// The floors in force, those for everybody first and then by tenant.
    pub floors: Vec<(Option<TenantId>, Serial)>,
    /// The numbers of the lists that have a bit set, the smallest first.
    pub lists: Vec<u64>,
    /// Which part this is: the one after this mark, or the first.
    pub after: Option<SnapshotMark>,
    /// Where the next part begins; `None` where this is the last.
    pub more: Option<SnapshotMark>,
}

/// At most this many floors stand in one part of a snapshot, so that a message stays below 256 KiB.
pub const SNAPSHOT_FLOORS_MAX: usize = 1_024;

/// At most this many numbers of lists do.
pub const SNAPSHOT_LISTS_MAX: usize = 8_192;

/// How far the parts of a snapshot before this one have come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotMark {
    /// The tenant of the last floor, `None` for everybody's; `None` where there was no floor.
    pub floor: Option<Option<TenantId>>,
    /// The number of the last list.
    pub list: Option<u64>,
}

/// What the log has to say when asked for entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRun {
    /// These, in their order, the first of them following what was asked for; none where there is
    /// none yet.
    Entries(Vec<LogEntry>),
    /// They were there once, but nobody needs them any more: whoever does starts from a snapshot.
    Pruned,
    /// They are of another epoch than the one in force.
    Foreign {
        /// The one in force.
        current: LogEpoch,
    },
}

/// One status list, for a joining follower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListBits {
    /// The head before the bits were read, so they are at least as new.
    pub head: Head,
    /// Its number.
    pub list: u64,
    /// Its bits, [`LIST_BYTES`](super::LIST_BYTES) bytes, least significant bit first.
    pub bits: Vec<u8>,
}
