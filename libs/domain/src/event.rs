//! What happened, as the audit trail and other systems hear it. One state change, one event; a
//! row of events is written in the transaction of the change it tells of.

use serde::{Deserialize, Serialize};

use crate::ids::{DeviceId, RevocationId, ServiceKeyId, SessionId, TenantId, UserId};
use crate::session::EndReason;
use crate::time::Timestamp;

/// Who caused a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// The session's own user, acting through this session.
    User {
        /// The session acted through.
        session: SessionId,
    },
    /// A service, by its key.
    Service {
        /// The key's public handle.
        key: ServiceKeyId,
    },
    /// The product itself: expiry, theft detection, start-up.
    System,
}

/// How much attention an event deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The ordinary course of things.
    Info,
    /// Logged.
    Low,
    /// The user is notified.
    Medium,
    /// The session is suspended until step-up.
    High,
    /// The session is ended.
    Critical,
}

impl Severity {
    /// The name used in JSON and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What kind of thing happened, with what is particular to it. Holds ids only: addresses, names
/// and user agents never travel in an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Fact {
    /// A session was started.
    SessionStarted,
    /// A session's refresh token was rotated.
    SessionRefreshed {
        /// The generation now current.
        generation: u32,
    },
    /// A session's end was moved later.
    SessionExtended {
        /// To when.
        expires_at: Timestamp,
    },
    /// What is remembered of a session was changed.
    SessionUpdated {
        /// What, by the API's names; never the values.
        fields: Vec<String>,
    },
    /// A session's user proved more; it has new credentials, and the old ones are dead.
    SessionSteppedUp {
        /// The context class reached.
        #[serde(skip_serializing_if = "Option::is_none")]
        acr: Option<String>,
    },
    /// A session ended.
    SessionEnded {
        /// Why.
        reason: EndReason,
        /// What the caller said about it, where they said something.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Every session of the event's tenant ended, or every session where it names none. Each is
    /// told of by itself as its row is written.
    FloorRaised {
        /// The revocation.
        revocation: RevocationId,
        /// Why.
        reason: EndReason,
        /// What the caller said about it, where they said something.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A signing key was made known to every validator.
    KeyAdded {
        /// The key's `kid`.
        kid: String,
    },
    /// A signing key was withdrawn; what it signed is dead.
    KeyRetired {
        /// The key's `kid`.
        kid: String,
    },
    /// A service key was made.
    ServiceKeyAdded {
        /// The key's public handle.
        key: ServiceKeyId,
    },
    /// A service key was withdrawn.
    ServiceKeyRevoked {
        /// The key's public handle.
        key: ServiceKeyId,
    },
    /// A user renamed a device, or trusts it now, or no longer.
    DeviceChanged {
        /// Which.
        device: DeviceId,
    },
    /// A user forgot a device.
    DeviceForgotten {
        /// Which.
        device: DeviceId,
    },
}

impl Fact {
    /// The event's type as other systems see it, for example `session_ended`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::SessionStarted => "session_started",
            Self::SessionRefreshed { .. } => "session_refreshed",
            Self::SessionExtended { .. } => "session_extended",
            Self::SessionUpdated { .. } => "session_updated",
            Self::SessionSteppedUp { .. } => "session_stepped_up",
            Self::SessionEnded { .. } => "session_ended",
            Self::FloorRaised { .. } => "floor_raised",
            Self::KeyAdded { .. } => "key_added",
            Self::KeyRetired { .. } => "key_retired",
            Self::ServiceKeyAdded { .. } => "service_key_added",
            Self::ServiceKeyRevoked { .. } => "service_key_revoked",
            Self::DeviceChanged { .. } => "device_changed",
            Self::DeviceForgotten { .. } => "device_forgotten",
        }
    }

    /// How much attention it deserves.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::SessionEnded {
                reason: EndReason::RefreshReuse,
                ..
            } => Severity::Critical,
            Self::SessionStarted
            | Self::SessionRefreshed { .. }
            | Self::SessionExtended { .. }
            | Self::SessionUpdated { .. }
            | Self::SessionSteppedUp { .. }
            | Self::SessionEnded { .. }
            | Self::FloorRaised { .. }
            | Self::KeyAdded { .. }
            | Self::KeyRetired { .. }
            | Self::ServiceKeyAdded { .. }
            | Self::ServiceKeyRevoked { .. }
            | Self::DeviceChanged { .. }
            | Self::DeviceForgotten { .. } => Severity::Info,
        }
    }
}

/// One row of the audit trail, before the store has given it its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened, on the authority's clock.
    pub at: Timestamp,
    /// Whose tenant it happened in; `None` for the deployment as a whole (signing keys).
    pub tenant: Option<TenantId>,
    /// The session it happened to, if one.
    pub session: Option<SessionId>,
    /// The user it happened to, if one.
    pub user: Option<UserId>,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    pub fact: Fact,
}

#[cfg(test)]
mod tests {
    use crate::contract::sample;

    #[test]
    fn the_type_name_is_the_json_tag() {
        for fact in sample::facts() {
            assert_eq!(
                serde_json::to_value(&fact).unwrap()["type"],
                fact.type_name()
            );
        }
    }
}
