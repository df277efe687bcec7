use crate::event::Actor;
use crate::ids::ServiceKeyId;
use crate::revocation::Publication;
use crate::session::{NewSession, Seeded, Session};

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
