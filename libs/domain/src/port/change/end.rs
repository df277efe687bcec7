use crate::event::Actor;
use crate::ids::{DeviceId, Seq, SessionId, TenantId, UserId};
use crate::revocation::Publication;
use crate::session::{EndReason, Session};
use crate::time::Timestamp;

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
    /// Every active one on a device of a user.
    Device {
        /// Their tenant.
        tenant: TenantId,
        /// The user.
        user: UserId,
        /// The device.
        device: DeviceId,
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
