use crate::event::Actor;
use crate::ids::{KeyId, Seq, ServiceKeyId, TenantId};
use crate::revocation::{PublicKey, Publication};
use crate::service_key::{KeyHash, Scopes};
use crate::time::Timestamp;

/// A signing key as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSigningKey {
    /// The public half, for everybody.
    pub public: PublicKey,
    /// The private half, sealed by the token adapter; the store can't read it.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was withdrawn, if it was.
    pub retired_at: Option<Timestamp>,
}

/// Makes a signing key known. Nothing is signed with it before the fence of its log entry.
#[derive(Debug, Clone)]
pub struct AddSigningKey {
    /// The key.
    pub key: StoredSigningKey,
    /// Add it only while no key is in service, so that replicas that start together agree on one.
    pub only_if_none: bool,
    /// Who asked.
    pub actor: Actor,
}

/// Withdraws a signing key: what it signed is dead. Never the last one in service.
#[derive(Debug, Clone)]
pub struct RetireSigningKey {
    /// Which.
    pub kid: KeyId,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
}

/// What came of [`RetireSigningKey`].
#[derive(Debug, Clone, PartialEq)]
pub enum RetireOutcome {
    /// It is withdrawn, now or since before: true for everybody once the fence of `through` is.
    Retired {
        /// The number of its entry, or the head read after finding it withdrawn.
        through: Seq,
        /// The log entry, where it was in service.
        fresh: Option<Publication>,
    },
    /// There is no such key.
    Unknown,
    /// No other key is in service.
    LastOne,
}

/// What came of a change of signing keys.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyOutcome {
    /// Whether anything changed.
    pub changed: bool,
    /// The number whose fence makes it known everywhere.
    pub through: Seq,
    /// The log entry.
    pub fresh: Option<Publication>,
}

/// A credential of a service, known by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKey {
    /// The public handle.
    pub id: ServiceKeyId,
    /// The hash of the key itself.
    pub hash: KeyHash,
    /// What people call it.
    pub name: String,
    /// The only tenant it may act for; `None` for any.
    pub tenant: Option<TenantId>,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Makes a service key known. A key whose hash is known already is left as it is.
#[derive(Debug, Clone)]
pub struct AddServiceKey {
    /// The key.
    pub key: ServiceKey,
    /// Who asked.
    pub actor: Actor,
}

/// What came of [`AddServiceKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKeyOutcome {
    /// Whether it was new.
    pub added: bool,
}

/// Withdraws a service key. It stays known as one that was, so that whoever still holds it can't
/// have it added again.
#[derive(Debug, Clone)]
pub struct RevokeServiceKey {
    /// Which.
    pub id: ServiceKeyId,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
}

/// What came of [`RevokeServiceKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokeServiceKeyOutcome {
    /// Whether there was such a key, withdrawn or not.
    pub known: bool,
}

impl StoredSigningKey {
    /// Its `kid`.
    pub const fn kid(&self) -> &KeyId {
        &self.public.kid
    }
}
