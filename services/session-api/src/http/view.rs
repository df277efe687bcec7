//! Sessions as the API shows them.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object};
use session_domain::ids::SessionId;
use session_domain::session::{Session, ShownStatus, Status};
use session_domain::time::Timestamp;
use time::OffsetDateTime;

/// Whether a session is in use, and if not, what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SessionStatus", rename_all = "snake_case")]
pub enum StatusView {
    /// In use.
    Active,
    /// Ended by time.
    Expired,
    /// Ended by somebody.
    Revoked,
}

impl From<ShownStatus> for StatusView {
    fn from(status: ShownStatus) -> Self {
        match status {
            ShownStatus::Active => Self::Active,
            ShownStatus::Expired => Self::Expired,
            ShownStatus::Revoked => Self::Revoked,
        }
    }
}

impl From<StatusView> for ShownStatus {
    fn from(status: StatusView) -> Self {
        match status {
            StatusView::Active => Self::Active,
            StatusView::Expired => Self::Expired,
            StatusView::Revoked => Self::Revoked,
        }
    }
}

/// The device a session was started on.
#[derive(Debug, Object)]
#[oai(rename = "Device")]
pub struct DeviceView {
    /// Its handle among its user's devices.
    pub id: String,
    /// What to call it: the name the user gave it, or browser and operating system.
    pub label: String,
    /// The browser or program.
    pub browser: Option<String>,
    /// Its version.
    pub browser_version: Option<String>,
    /// The operating system.
    pub os: Option<String>,
    /// `desktop`, `mobile`, `tablet`, `desktop_app`, `bot`, `http_client` or `unknown`.
    pub kind: String,
    /// The user agent as it was sent; may be empty.
    pub user_agent: String,
    /// The name the user gave it.
    pub name: Option<String>,
}

/// The network a session was started from.
#[derive(Debug, Object)]
#[oai(rename = "Network")]
pub struct NetworkView {
    /// The address, while it is kept.
    pub ip: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The autonomous system's number.
    pub asn: Option<u32>,
    /// The autonomous system's organisation.
    pub organisation: Option<String>,
}

/// A session. Holds no credential.
#[derive(Debug, Object)]
#[oai(rename = "Session")]
pub struct SessionView {
    /// The public handle.
    pub id: String,
    /// Whose customer.
    pub tenant: String,
    /// Whose.
    pub user_id: String,
    /// In use, or what became of it.
    pub status: StatusView,
    /// Whether it is the one this request was made with.
    pub is_current: bool,
    /// When it started.
    pub created_at: OffsetDateTime,
    /// When its user last used it.
    pub last_seen_at: OffsetDateTime,
    /// When it ends unless extended.
    pub expires_at: OffsetDateTime,
    /// When it ends whatever happens.
    pub absolute_expires_at: OffsetDateTime,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
    /// Why it ended: `logout`, `revoked_by_user`, `revoked_by_service`, `revoked_by_admin`,
    /// `expired`, `idle`, `refresh_reuse` or `evicted`.
    pub end_reason: Option<String>,
    /// When the user authenticated.
    pub auth_time: OffsetDateTime,
    /// The authentication context class reached.
    pub acr: Option<String>,
    /// The authentication methods used (RFC 8176).
    pub amr: Vec<String>,
    /// The device.
    pub device: DeviceView,
    /// The network.
    pub network: NetworkView,
    /// How often its refresh token was rotated.
    pub refresh_count: u32,
    /// What the login system wanted remembered.
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// Rises with every change.
    pub version: u64,
}

impl SessionView {
    /// How `session` is shown to whoever calls with session `current`.
    pub fn new(session: Session, current: Option<SessionId>) -> Self {
        let ending = match session.status {
            Status::Active => None,
            Status::Ended(ending) => Some(ending),
        };
        let device_id = session.device_id().to_string();
        let (agent, place) = (session.device.agent, session.network.place);
        Self {
            id: session.id.to_string(),
            tenant: session.tenant.into(),
            user_id: session.user.into(),
            status: session.status.shown().into(),
            is_current: current == Some(session.id),
            created_at: date(session.created_at),
            last_seen_at: date(session.last_seen_at),
            expires_at: date(session.expires_at),
            absolute_expires_at: date(session.absolute_expires_at),
            ended_at: ending.map(|ending| date(ending.at)),
            end_reason: ending.map(|ending| ending.reason.as_str().to_owned()),
            auth_time: date(session.authentication.auth_time),
            acr: session.authentication.acr,
            amr: session.authentication.amr,
            device: DeviceView {
                id: device_id,
                label: session.device.name.clone().unwrap_or(agent.label),
                browser: agent.browser,
                browser_version: agent.browser_version,
                os: agent.os,
                kind: agent.kind.as_str().to_owned(),
                user_agent: session.device.user_agent,
                name: session.device.name,
            },
            network: NetworkView {
                ip: session.network.ip.map(|ip| ip.to_string()),
                country: place.country,
                city: place.city,
                asn: place.asn,
                organisation: place.organisation,
            },
            refresh_count: session.refresh.generation.0,
            metadata: session.metadata.into_iter().collect(),
            version: session.version.0,
        }
    }
}

/// A moment as RFC 3339 shows it; one outside its years is shown as 1970.
pub(super) fn date(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
