//! An event as other systems hear it: `CloudEvents` 1.0, JSON, structured mode. What leaves the
//! product is named here one by one, so that a new fact says nothing to others before somebody
//! has decided what.

use std::sync::Arc;

use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use crate::event::{Actor, Event, Fact, Severity};
use crate::ids::{DeviceId, EventId, RevocationId, SessionId, TenantId, UserId};
use crate::session::EndReason;
use crate::time::Timestamp;

/// The envelope's media type.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";

/// An event in its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudEvent {
    /// The event's number, written as text: the same however often it is published. With the
    /// source it tells it from every other event.
    pub id: EventId,
    /// Who publishes: a URI reference, most often the issuer.
    pub source: Arc<str>,
    /// The type, for example `session.ended`.
    pub kind: &'static str,
    /// When it happened.
    pub time: Timestamp,
    /// Whose tenant it happened in; `None` for the deployment as a whole.
    pub tenant: Option<TenantId>,
    /// The session it happened to, if one.
    pub subject: Option<SessionId>,
    /// What happened.
    pub data: EventData,
}

/// What happened, as others hear it. Holds ids and words of ours only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventData {
    /// Who caused it.
    pub actor: Actor,
    /// How much attention it deserves.
    pub severity: Severity,
    /// The user it happened to, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// What is particular to it.
    #[serde(flatten)]
    pub detail: Detail,
}

/// What is particular to a kind of event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// The refresh generation now current.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// When the session ends now (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// What was changed, by the API's names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// The authentication context class reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The revocation of many sessions at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationId>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// The signing key's `kid`, or the service key's public handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

impl CloudEvent {
    /// The event numbered `id` in its envelope.
    pub fn new(id: EventId, event: &Event, source: Arc<str>) -> Self {
        let (kind, detail) = outward(&event.fact);
        Self {
            id,
            source,
            kind,
            time: event.at,
            tenant: event.tenant.clone(),
            subject: event.session,
            data: EventData {
                actor: event.actor.clone(),
                severity: event.fact.severity(),
                user: event.user.clone(),
                detail,
            },
        }
    }
}

/// The type others know a fact by, and what they are told of it. What a caller noted about an end
/// stays in the audit trail: it is anybody's words about anybody.
fn outward(fact: &Fact) -> (&'static str, Detail) {
    let nothing = Detail::default();
    match fact {
        Fact::SessionStarted => ("session.started", nothing),
        Fact::SessionRefreshed { generation } => {
            let generation = Some(*generation);
            (
                "session.refreshed",
                Detail {
                    generation,
                    ..nothing
                },
            )
        }
        Fact::SessionExtended { expires_at } => {
            let expires_at = Some(expires_at.rfc3339());
            (
                "session.extended",
                Detail {
                    expires_at,
                    ..nothing
                },
            )
        }
        Fact::SessionUpdated { fields } => {
            let fields = Some(fields.clone());
            ("session.updated", Detail { fields, ..nothing })
        }
        Fact::SessionSteppedUp { acr } => {
            let acr = acr.clone();
            ("session.stepped_up", Detail { acr, ..nothing })
        }
        Fact::SessionEnded { reason, note: _ } => {
            let reason = Some(*reason);
            ("session.ended", Detail { reason, ..nothing })
        }
        Fact::FloorRaised {
            revocation,
            reason,
            note: _,
        } => {
            let (revocation, reason) = (Some(*revocation), Some(*reason));
            let detail = Detail {
                revocation,
                reason,
                ..nothing
            };
            ("floor.raised", detail)
        }
        Fact::KeyAdded { kid } => ("key.added", keyed(kid.clone())),
        Fact::KeyRetired { kid } => ("key.retired", keyed(kid.clone())),
        Fact::ServiceKeyAdded { key } => ("service_key.added", keyed(key.to_string())),
        Fact::ServiceKeyRevoked { key } => ("service_key.revoked", keyed(key.to_string())),
        Fact::DeviceChanged { device } => ("device.changed", on(*device)),
        Fact::DeviceForgotten { device } => ("device.forgotten", on(*device)),
    }
}

fn keyed(key: String) -> Detail {
    Detail {
        key: Some(key),
        ..Detail::default()
    }
}

fn on(device: DeviceId) -> Detail {
    Detail {
        device: Some(device),
        ..Detail::default()
    }
}

impl Serialize for CloudEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let present = 7 + usize::from(self.subject.is_some()) + usize::from(self.tenant.is_some());
        let mut envelope = serializer.serialize_struct("CloudEvent", present)?;
        envelope.serialize_field("specversion", "1.0")?;
        envelope.serialize_field("id", &self.id.to_string())?;
        envelope.serialize_field("source", &*self.source)?;
        envelope.serialize_field("type", self.kind)?;
        if let Some(subject) = &self.subject {
            envelope.serialize_field("subject", subject)?;
        }
        envelope.serialize_field("time", &self.time.rfc3339())?;
        envelope.serialize_field("datacontenttype", "application/json")?;
        if let Some(tenant) = &self.tenant {
            envelope.serialize_field("tenant", tenant)?;
        }
        envelope.serialize_field("data", &self.data)?;
        envelope.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::sample;

    fn event(fact: Fact) -> Event {
        Event {
            at: sample::START,
            tenant: Some(sample::tenant("acme")),
            session: Some(sample::session_id(1)),
            user: Some(sample::user("alice")),
            actor: Actor::System,
            fact,
        }
    }

    fn outside(event: &Event) -> serde_json::Value {
        let source = "https://login.example".into();
        serde_json::to_value(CloudEvent::new(EventId(7), event, source)).unwrap()
    }

    #[test]
    fn an_envelope_has_every_attribute_where_the_standard_wants_it() {
        let ended = event(Fact::SessionEnded {
            reason: EndReason::Logout,
            note: Some("called from 192.0.2.1".into()),
        });
        assert_eq!(
            outside(&ended),
            json!({
                "specversion": "1.0",
                "id": "7",
                "source": "https://login.example",
                "type": "session.ended",
                "subject": sample::session_id(1).to_string(),
                "time": "2027-01-15T08:00:00.000000Z",
                "datacontenttype": "application/json",
                "tenant": "acme",
                "data": {
                    "actor": { "kind": "system" },
                    "severity": "info",
                    "user": "alice",
                    "reason": "logout",
                },
            })
        );
    }

    #[test]
    fn what_does_not_apply_is_left_out() {
        let added = Event {
            tenant: None,
            session: None,
            user: None,
            ..event(Fact::KeyAdded { kid: "k1".into() })
        };
        let outside = outside(&added);
        let envelope: Vec<_> = outside.as_object().unwrap().keys().cloned().collect();
        let named = [
            "data",
            "datacontenttype",
            "id",
            "source",
            "specversion",
            "time",
            "type",
        ];
        assert_eq!(envelope, named);
        let data = json!({ "actor": { "kind": "system" }, "severity": "info", "key": "k1" });
        assert_eq!(outside["data"], data);
    }

    #[test]
    fn every_fact_has_a_type_of_its_own_that_is_the_audit_trails_with_a_dot() {
        for fact in sample::facts() {
            let (kind, _) = outward(&fact);
            assert_eq!(kind.replace('.', "_"), fact.type_name());
            // A dot separates the words of a subject; none may be empty or a wildcard.
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(kind.split('.').count() == 2, "{kind}");
            assert!(
                kind.split('.')
                    .all(|word| !word.is_empty() && word.chars().all(plain))
            );
        }
    }
}
