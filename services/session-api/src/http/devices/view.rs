//! A user's device as the API shows it.

use poem_openapi::Object;
use session_domain::ids::DeviceId;
use session_domain::known_device::KnownDevice;
use session_domain::port::PortError;
use session_domain::usecase::find::find;
use time::OffsetDateTime;

use crate::app::App;
use crate::http::caller::User;
use crate::http::view::date;

/// A device a user has signed in on.
#[derive(Debug, Object)]
#[oai(rename = "KnownDevice")]
pub(super) struct KnownDeviceView {
    /// The handle.
    id: String,
    /// What to call it: the name the user gave it, or browser and operating system.
    label: String,
    /// The name the user gave it.
    name: Option<String>,
    /// The browser or program, at the latest sign-in.
    browser: Option<String>,
    /// Its version.
    browser_version: Option<String>,
    /// The operating system.
    os: Option<String>,
    /// `desktop`, `mobile`, `tablet`, `desktop_app`, `bot`, `http_client` or `unknown`.
    kind: String,
    /// Whether the user said that it is theirs.
    trusted: bool,
    /// Whether it is the one this request was made on.
    is_current: bool,
    /// When it was first signed in on.
    first_seen_at: OffsetDateTime,
    /// When it was last used.
    last_seen_at: OffsetDateTime,
}

impl KnownDeviceView {
    /// How `device` is shown to whoever calls on device `current`.
    pub(super) fn new(device: KnownDevice, current: Option<DeviceId>) -> Self {
        let agent = device.agent;
        Self {
            id: device.id.to_string(),
            label: device.name.clone().unwrap_or(agent.label),
            name: device.name,
            browser: agent.browser,
            browser_version: agent.browser_version,
            os: agent.os,
            kind: agent.kind.as_str().to_owned(),
            trusted: device.trusted,
            is_current: current == Some(device.id),
            first_seen_at: date(device.first_seen_at),
            last_seen_at: date(device.last_seen_at),
        }
    }
}

/// The device a user calls on.
pub(super) async fn current(app: &App, user: &User) -> Result<Option<DeviceId>, PortError> {
    let ports = app.find_ports();
    let session = find(&ports, &user.caller(), &user.tenant, user.session).await?;
    Ok(session.map(|session| session.device_id()))
}
