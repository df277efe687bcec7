//! Values to test with. Addresses are documentation addresses (RFC 5737, RFC 3849).

use std::time::Duration;

use uuid::Uuid;

use crate::device::{Agent, Device, DeviceKind, Network, Place};
use crate::event::Fact;
use crate::ids::{
    DeviceId, Generation, RevocationId, Seq, Serial, ServiceKeyId, SessionId, TenantId, UserId,
    Version,
};
use crate::secret::Secret256;
use crate::session::{
    Authentication, Authorization, EndReason, NewSession, RefreshState, Session, Status,
};
use crate::time::Timestamp;

/// When sample sessions start.
pub const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// A session of `default`/`alice`, started at [`START`], for an hour, absolutely for a day.
pub fn session() -> Session {
    Session {
        id: session_id(1),
        serial: Serial(1),
        tenant: TenantId::default(),
        user: user("alice"),
        status: Status::Active,
        created_at: START,
        last_seen_at: START,
        expires_at: START.plus(Duration::from_secs(3_600)),
        absolute_expires_at: START.plus(Duration::from_secs(86_400)),
        idle_timeout: None,
        authentication: Authentication {
            auth_time: START,
            acr: Some("aal1".into()),
            amr: vec!["pwd".into()],
        },
        authorization: Authorization::default(),
        device: device(),
        network: Network::new("192.0.2.10".parse().expect("an address"), Place::default()),
        refresh: RefreshState {
            generation: Generation(0),
            rotated_at: START,
        },
        metadata: serde_json::Map::new(),
        version: Version(1),
    }
}

/// A session like [`session`] that can be started, with its own id and user.
pub fn new_session(number: u128, user_name: &str) -> NewSession {
    let session = Session {
        id: session_id(number),
        user: user(user_name),
        ..session()
    };
    NewSession::new(
        session,
        Secret256([u8::try_from(number % 251).unwrap_or(0); 32]),
    )
}

/// One fact of every kind.
pub fn facts() -> [Fact; 13] {
    [
        Fact::SessionStarted,
        Fact::SessionRefreshed { generation: 1 },
        Fact::SessionExtended { expires_at: START },
        Fact::SessionUpdated {
            fields: vec!["metadata".into()],
        },
        Fact::SessionSteppedUp { acr: None },
        Fact::SessionEnded {
            reason: EndReason::RefreshReuse,
            note: None,
        },
        Fact::FloorRaised {
            revocation: RevocationId(Uuid::nil()),
            reason: EndReason::RevokedByAdmin,
            note: None,
        },
        Fact::KeyAdded { kid: "k".into() },
        Fact::KeyRetired { kid: "k".into() },
        Fact::ServiceKeyAdded {
            key: ServiceKeyId(Uuid::nil()),
        },
        Fact::ServiceKeyRevoked {
            key: ServiceKeyId(Uuid::nil()),
        },
        Fact::DeviceChanged {
            device: DeviceId(Uuid::nil()),
        },
        Fact::DeviceForgotten {
            device: DeviceId(Uuid::nil()),
        },
    ]
}

/// The user of that name.
pub fn user(name: &str) -> UserId {
    name.parse().expect("a user id")
}

/// The tenant of that name.
pub fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant id")
}

/// A session id that sorts by `number`.
pub fn session_id(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(
        0x0191_d3c4_5b6e_7000_8000_0000_0000_0000 + number,
    ))
}

/// A log number.
pub fn seq(number: u64) -> Seq {
    Seq(number)
}

fn device() -> Device {
    let agent = Agent {
        browser: Some("Firefox".into()),
        browser_version: Some("140.0".into()),
        os: Some("Linux".into()),
        kind: DeviceKind::Desktop,
        label: "Firefox on Linux".into(),
    };
    Device {
        agent,
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)".into(),
        fingerprint_hash: None,
        name: None,
    }
}
