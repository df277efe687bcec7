use std::time::Duration;

use crate::event::Actor;
use crate::ids::{Generation, SessionId, TenantId};
use crate::revocation::Publication;
use crate::secret::Secret256;
use crate::session::{RefreshVerdict, Session};
use crate::time::Timestamp;

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
