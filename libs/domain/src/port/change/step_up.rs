use crate::event::Actor;
use crate::ids::{SessionId, TenantId};
use crate::revocation::Publication;
use crate::secret::Secret256;
use crate::session::{Authentication, Over, Session};
use crate::time::Timestamp;

/// Gives a session new credentials and ends the old ones: [`Session::step_up`]. The new serial is
/// drawn, and the old one ended through the log, in the same transaction.
#[derive(Debug, Clone)]
pub struct StepUp {
    /// Whose.
    pub tenant: TenantId,
    /// Which session.
    pub id: SessionId,
    /// What its user has proven.
    pub authentication: Authentication,
    /// The seed of its refresh tokens from now on: those of the old one are nobody's.
    pub seed: Secret256,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
}

/// A session has new credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct SteppedUp {
    /// The session as it is now.
    pub session: Session,
    /// The log entry that ends the old ones, whose fence makes that true for everybody.
    pub fresh: Publication,
}

/// What came of [`StepUp`]: `None` where that tenant has no such session.
pub type StepUpOutcome = Option<Result<Box<SteppedUp>, Over>>;
