use std::time::Duration;

use async_trait::async_trait;

use crate::event::Actor;
use crate::ids::{Generation, KeyId, Seq, ServiceKeyId, SessionId, TenantId, UserId};
use crate::port::PortError;
use crate::revocation::{PublicKey, Publication};
use crate::secret::Secret256;
use crate::service_key::{KeyHash, Scopes};
use crate::session::{EndReason, NewSession, RefreshVerdict, Seeded, Session, ShownStatus};
use crate::time::Timestamp;

/// Starts a session.
#[derive(Debug, Clone)]
pub struct Start {
    /// What to start.
    pub session: NewSession,
    /// Who asked.
    pub actor: Actor,
    /// How many sessions its user may have.
    pub limit: Option<SessionLimit>,
    /// How a repeated request is recognised.
    pub idempotency: Option<Idempotency>,
}

/// How many active sessions a user may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimit {
    /// At most this many, the new one included. At least 1.
    pub max: u32,
    /// What gives way when there would be more.
    pub eviction: Eviction,
}

/// What gives way when a user would have too many sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// The new one: it is refused.
    Reject,
    /// The ones that started first.
    Oldest,
    /// The ones unused for longest.
    LeastRecent,
}

/// Recognises a repeated request (the `Idempotency-Key` header field).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Whose keys these are: two services never share a key by chance.
    pub caller: ServiceKeyId,
    /// The key the caller chose.
    pub key: String,
    /// A hash of everything the request said.
    pub digest: [u8; 32],
}

/// What came of [`Start`].
#[derive(Debug, Clone, PartialEq)]
pub enum StartOutcome {
    /// It was started.
    Started {
        /// The session, with its serial.
        session: Box<Session>,
        /// The sessions that gave way.
        evicted: Vec<Session>,
        /// The log entries of those.
        fresh: Option<Publication>,
    },
    /// This request was carried out before: the session it started, as it is now.
    Replayed(Box<Seeded>),
    /// This idempotency key was used for a different request.
    KeyReused,
    /// The user has as many sessions as allowed, and none may give way.
    LimitReached,
}

/// Rotates a session's refresh token. The proof has been checked by the caller.
#[derive(Debug, Clone)]
pub struct Rotate {
    /// Whose.
    pub tenant: TenantId,
    /// Which session.
    pub id: SessionId,
    /// The generation presented.
    pub presented: Generation,
    /// The seed its proof was checked against. Where the session has another by now, the token is
    /// one of nobody's.
    pub seed: Secret256,
    /// When.
    pub at: Timestamp,
    /// For how long the previous generation is answered with the same successor.
    pub grace: Duration,
    /// Who asked.
    pub actor: Actor,
}

/// What came of [`Rotate`].
#[derive(Debug, Clone, PartialEq)]
pub struct RotateOutcome {
    /// The verdict, and the session after it: rotated on [`RefreshVerdict::Rotate`], ended on
    /// [`RefreshVerdict::Reused`]. `None` where there is no such session with that seed.
    pub judged: Option<(RefreshVerdict, Box<Session>)>,
    /// The log entry, where the session was ended.
    pub fresh: Option<Publication>,
}

/// Which sessions to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// This one.
    One {
        /// Its tenant.
        tenant: TenantId,
        /// Its id.
        id: SessionId,
    },
    /// Every active one of a user, but perhaps one.
    User {
        /// Their tenant.
        tenant: TenantId,
        /// The user.
        user: UserId,
        /// The one to keep.
        except: Option<SessionId>,
    },
    /// Every active one of any tenant that is overdue at the change's time.
    Overdue,
}

/// Why they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// For this reason, with what the caller said about it.
    Because {
        /// The reason.
        reason: EndReason,
        /// The caller's words.
        note: Option<String>,
    },
    /// Because time ended it: each for the reason [`Session::overdue`] gives.
    Overdue,
}

/// Ends sessions. The only way one ends by itself or by request.
#[derive(Debug, Clone)]
pub struct End {
    /// Which.
    pub targets: Targets,
    /// Why.
    pub why: Why,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
    /// At most this many in one transaction.
    pub batch: u32,
}

/// What came of [`End`].
#[derive(Debug, Clone, PartialEq)]
pub struct EndOutcome {
    /// The sessions this change ended, as they are now.
    pub ended: Vec<Session>,
    /// The target of [`Targets::One`], where it had ended before.
    pub already: Option<Box<Session>>,
    /// The number whose fence makes the end true for everybody: the new entries', the earlier
    /// ending's, or, where nothing matched, the head read after looking.
    pub through: Seq,
    /// The log entries this change wrote.
    pub fresh: Option<Publication>,
    /// Whether the batch was full, so that more may match.
    pub more: bool,
}

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
}

/// What came of [`AddServiceKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKeyOutcome {
    /// Whether it was new.
    pub added: bool,
}

/// Everything that can change what the store holds.
#[derive(Debug, Clone)]
pub enum Change {
    /// See [`Start`].
    Start(Box<Start>),
    /// See [`Rotate`].
    Rotate(Rotate),
    /// See [`End`].
    End(End),
    /// See [`AddSigningKey`].
    AddSigningKey(AddSigningKey),
    /// See [`AddServiceKey`].
    AddServiceKey(AddServiceKey),
}

/// What came of a [`Change`], in its variant.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Of [`Change::Start`].
    Start(StartOutcome),
    /// Of [`Change::Rotate`].
    Rotate(RotateOutcome),
    /// Of [`Change::End`].
    End(EndOutcome),
    /// Of [`Change::AddSigningKey`].
    Key(KeyOutcome),
    /// Of [`Change::AddServiceKey`].
    ServiceKey(ServiceKeyOutcome),
}

/// A change whose outcome's type is known, so that no caller handles outcomes of other changes.
pub trait Transition: Into<Change> {
    /// What comes of it.
    type Outcome;

    /// Takes the outcome of this kind of change out of the general one.
    fn outcome(outcome: Outcome) -> Option<Self::Outcome>;
}

macro_rules! transition {
    ($($change:ident => $variant:ident, $result:ident);* $(;)?) => {$(
        impl From<$change> for Change {
            fn from(change: $change) -> Self {
                Self::$change(change.into())
            }
        }
        impl Transition for $change {
            type Outcome = $result;
            fn outcome(outcome: Outcome) -> Option<$result> {
                match outcome {
                    Outcome::$variant(result) => Some(result),
                    _ => None,
                }
            }
        }
    )*};
}
transition! {
    Start => Start, StartOutcome;
    Rotate => Rotate, RotateOutcome;
    End => End, EndOutcome;
    AddSigningKey => Key, KeyOutcome;
    AddServiceKey => ServiceKey, ServiceKeyOutcome;
}

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
    /// Only those shown so.
    pub status: ShownStatus,
    /// Start after this item.
    pub after: Option<PagePosition>,
    /// At most this many.
    pub limit: u32,
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

    /// Every signing key, retired ones included.
    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, PortError>;

    /// The service key of that hash. The tenant comes with the key.
    async fn service_key(&self, hash: &KeyHash) -> Result<Option<ServiceKey>, PortError>;
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

impl StoredSigningKey {
    /// Its `kid`.
    pub const fn kid(&self) -> &KeyId {
        &self.public.kid
    }
}
