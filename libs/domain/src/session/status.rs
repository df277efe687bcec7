use serde::{Deserialize, Serialize};

use crate::ids::Seq;
use crate::time::Timestamp;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its user logged out with it.
    Logout,
    /// Its user ended it from another session.
    RevokedByUser,
    /// A service (the login system, support tooling) ended it.
    RevokedByService,
    /// An administrator ended it.
    RevokedByAdmin,
    /// It reached `expires_at`.
    Expired,
    /// It was unused for longer than its idle allowance.
    Idle,
    /// A used refresh token was presented again: somebody else holds a copy.
    RefreshReuse,
    /// A newer login of the same user needed its place.
    Evicted,
}

impl EndReason {
    /// Every reason, for storage and for tests.
    pub const ALL: [Self; 8] = [
        Self::Logout,
        Self::RevokedByUser,
        Self::RevokedByService,
        Self::RevokedByAdmin,
        Self::Expired,
        Self::Idle,
        Self::RefreshReuse,
        Self::Evicted,
    ];

    /// The name used in JSON and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::RevokedByUser => "revoked_by_user",
            Self::RevokedByService => "revoked_by_service",
            Self::RevokedByAdmin => "revoked_by_admin",
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::RefreshReuse => "refresh_reuse",
            Self::Evicted => "evicted",
        }
    }

    /// The reason of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Whether time ended it (shown as `expired`) rather than somebody (shown as `revoked`).
    pub const fn is_expiry(self) -> bool {
        matches!(self, Self::Expired | Self::Idle)
    }
}

/// How a session came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
    /// The log entry that carries it. Whoever is told "ended" waits for the fence of this number.
    pub seq: Seq,
}

/// Whether a session is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Its credentials are accepted.
    Active,
    /// It is over, for good: an ended session never lives again.
    Ended(Ending),
}

/// A session's status as people and the HTTP API see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShownStatus {
    /// In use.
    Active,
    /// Ended by time.
    Expired,
    /// Ended by somebody.
    Revoked,
}

impl ShownStatus {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Active, Self::Expired, Self::Revoked];
}

impl Status {
    /// What to show for it.
    pub const fn shown(self) -> ShownStatus {
        match self {
            Self::Active => ShownStatus::Active,
            Self::Ended(ending) if ending.reason.is_expiry() => ShownStatus::Expired,
            Self::Ended(_) => ShownStatus::Revoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_name() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::from_name(reason.as_str()), Some(reason));
        }
    }
}
