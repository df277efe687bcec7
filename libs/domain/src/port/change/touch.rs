use crate::ids::{SessionId, TenantId};
use crate::time::Timestamp;

/// One session was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whose.
    pub tenant: TenantId,
    /// Which session.
    pub id: SessionId,
    /// When, at the latest.
    pub at: Timestamp,
}

/// Takes in that sessions were used: [`Session::seen`](crate::session::Session::seen) of each. The
/// one change that writes no events and leaves versions as they are: it happens too often to be
/// told, and nobody's optimistic lock must fail by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// Which, and when. A session named twice was used at the later of the two.
    pub seen: Vec<Seen>,
}

/// What came of [`Touch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TouchOutcome {
    /// For how many it was news.
    pub moved: u64,
}
