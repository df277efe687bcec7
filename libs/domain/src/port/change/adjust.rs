use std::time::Duration;

use crate::event::Actor;
use crate::ids::{SessionId, TenantId};
use crate::session::{ExtendRefusal, Session, SessionUpdate, UpdateRefusal};
use crate::time::Timestamp;

/// What came of a change of one session: `None` where that tenant has no such session, the
/// session as it is now, or why the change was refused.
pub type Judged<R> = Option<Result<Box<Session>, R>>;

/// Moves a session's end later: [`Session::extend`].
#[derive(Debug, Clone)]
pub struct Extend {
    /// Whose.
    pub tenant: TenantId,
    /// Which session.
    pub id: SessionId,
    /// By how much.
    pub by: Duration,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
}

/// What came of [`Extend`].
pub type ExtendOutcome = Judged<ExtendRefusal>;

/// Changes what is remembered of a session: [`Session::update`]. Of concurrent ones made for the
/// same version, one is carried out.
#[derive(Debug, Clone)]
pub struct Update {
    /// Whose.
    pub tenant: TenantId,
    /// Which session.
    pub id: SessionId,
    /// What shall be different.
    pub update: SessionUpdate,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
}

/// What came of [`Update`].
pub type UpdateOutcome = Judged<UpdateRefusal>;
