use crate::bulk::{Filter, Revocation};
use crate::event::Actor;
use crate::ids::{RevocationId, Seq};
use crate::revocation::Publication;
use crate::session::{EndReason, Session};
use crate::time::Timestamp;

/// Begins to end every session that `filter` means, of those there are now.
///
/// Where the filter [is a floor](Filter::is_floor), one log entry ends them all with this change,
/// and from then on the store MUST show and treat each as ended; their rows are written by
/// [`ContinueRevocation`]. Otherwise nothing has ended yet.
///
/// Whatever else the store does at the same time: a session is either among those there are, or
/// its serial was drawn after. In particular no step-up takes a session that is meant out of reach.
#[derive(Debug, Clone)]
pub struct BeginRevocation {
    /// Its handle.
    pub id: RevocationId,
    /// Which sessions.
    pub filter: Filter,
    /// Why.
    pub reason: EndReason,
    /// The caller's words.
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
}

/// What came of [`BeginRevocation`].
#[derive(Debug, Clone, PartialEq)]
pub struct BegunRevocation {
    /// The revocation.
    pub revocation: Revocation,
    /// The log entry, of a floor.
    pub fresh: Option<Publication>,
}

/// Ends the next sessions of a revocation that isn't finished, or finishes it where none is left.
/// Each ends as by [`End`](super::End): row, log entry, event, counters.
#[derive(Debug, Clone)]
pub struct ContinueRevocation {
    /// Which: `None` for the one that began first among those that nobody works on right now.
    pub id: Option<RevocationId>,
    /// When.
    pub at: Timestamp,
    /// At most this many end in one transaction.
    pub batch: u32,
}

/// What came of [`ContinueRevocation`] where there was anything to continue.
#[derive(Debug, Clone, PartialEq)]
pub struct ContinuedRevocation {
    /// The revocation as it is now.
    pub revocation: Revocation,
    /// The sessions this change ended.
    pub ended: Vec<Session>,
    /// The number whose fence makes their end true for everybody.
    pub through: Seq,
    /// The log entries this change wrote.
    pub fresh: Option<Publication>,
}

/// What came of [`ContinueRevocation`]: `None` where there is nothing to continue.
pub type ContinueOutcome = Option<Box<ContinuedRevocation>>;
