use async_trait::async_trait;

use crate::bulk::{Filter, Revocation};
use crate::ids::{DeviceId, RevocationId, Serial, SessionId, TenantId, UserId};
use crate::known_device::KnownDevice;
use crate::port::{Change, Outcome, PortError, ServiceKey, StoredSigningKey, Transition};
use crate::service_key::KeyHash;
use crate::session::{Seeded, Session, ShownStatus};
use crate::stats::SessionStats;
use crate::time::Timestamp;

/// A place in a list ordered newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagePosition {
    /// The last item's start.
    pub created_at: Timestamp,
    /// The last item's id, which tells items of the same moment apart.
    pub id: SessionId,
}

/// One page of a user's sessions, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Whose.
    pub tenant: TenantId,
    /// Whose.
    pub user: UserId,
    /// Only those shown so; `None` for all.
    pub status: Option<ShownStatus>,
    /// Start after this item.
    pub after: Option<PagePosition>,
    /// At most this many.
    pub limit: u32,
}

/// A place in a list of devices, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicePosition {
    /// When the last item was first seen: unlike its last use, that doesn't move.
    pub first_seen_at: Timestamp,
    /// The last item's id, which tells items of the same moment apart.
    pub id: DeviceId,
}

/// One page of a user's devices, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceQuery {
    /// Whose.
    pub tenant: TenantId,
    /// Whose.
    pub user: UserId,
    /// Start after this item.
    pub after: Option<DevicePosition>,
    /// At most this many.
    pub limit: u32,
}

/// A place among all sessions in use, tenant by tenant in the order of their serials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchPosition {
    /// The last one's tenant.
    pub tenant: TenantId,
    /// The last one's serial.
    pub serial: Serial,
}

impl MatchPosition {
    /// Where `session` is.
    pub fn of(session: &Session) -> Self {
        Self {
            tenant: session.tenant.clone(),
            serial: session.serial,
        }
    }
}

/// A look at some of the sessions in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchQuery {
    /// Which are wanted.
    pub filter: Filter,
    /// Go on after this one.
    pub after: Option<MatchPosition>,
    /// How many are looked at, at most.
    pub limit: u32,
}

/// What was found among those looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchPage {
    /// Those that are wanted.
    pub sessions: Vec<Session>,
    /// Where to go on; `None` where that was all.
    pub next: Option<MatchPosition>,
}

/// The truth about sessions and keys.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Carries out a change: rows, log entries and events together, or nothing. The only writer.
    ///
    /// MUST be atomic, isolated and durable when it returns: a crash of any process or of the
    /// machine afterwards loses nothing. Log entries MUST be numbered without gaps in the order
    /// of commits. Every change of a session writes exactly one event. MAY group concurrent
    /// changes into one transaction as long as each has its own outcome.
    async fn commit(&self, change: Change) -> Result<Outcome, PortError>;

    /// The session of that id in that tenant.
    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Session>, PortError>;

    /// The session a refresh token names. The one look-up without a tenant: the token doesn't
    /// carry it, and its proof, checked against this row before anything else happens, shows that
    /// the holder was given this session's id by us.
    async fn find_for_refresh(&self, id: SessionId) -> Result<Option<Seeded>, PortError>;

    /// One page of a user's sessions.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Session>, PortError>;

    /// How many sessions there are and have been, of one tenant or of all. MUST agree with every
    /// change that returned before the call, and MUST NOT take longer the more sessions there are.
    async fn stats(&self, tenant: Option<&TenantId>) -> Result<SessionStats, PortError>;

    /// The ending of many sessions of that id.
    async fn revocation(&self, id: RevocationId) -> Result<Option<Revocation>, PortError>;

    /// The sessions in use that a filter means, of the next ones there are. What a floor has ended
    /// isn't in use.
    async fn matching(&self, query: &MatchQuery) -> Result<MatchPage, PortError>;

    /// One page of a user's devices.
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<KnownDevice>, PortError>;

    /// Every signing key, retired ones included.
    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, PortError>;

    /// The service key of that hash, if it isn't withdrawn. The tenant comes with the key.
    async fn service_key(&self, hash: &KeyHash) -> Result<Option<ServiceKey>, PortError>;

    /// Every service key that isn't withdrawn, the oldest first. Of all tenants: there are few,
    /// and only the deployment's own administrators ask.
    async fn service_keys(&self) -> Result<Vec<ServiceKey>, PortError>;
}

impl dyn SessionStore + '_ {
    /// [`SessionStore::commit`] for a change whose outcome's type is known.
    ///
    /// # Errors
    /// As `commit`; and where an adapter answers one change with another's outcome.
    pub async fn apply<T: Transition>(&self, change: T) -> Result<T::Outcome, PortError> {
        let outcome = self.commit(change.into()).await?;
        T::outcome(outcome)
            .ok_or_else(|| PortError::fatal("commit", "the outcome of another kind of change"))
    }
}
