//! A user's devices: what is the same across the sessions started on one.

use crate::device::{Agent, Device};
use crate::ids::{DeviceId, TenantId, UserId};
use crate::session::Session;
use crate::time::Timestamp;

/// A device a user has signed in on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDevice {
    /// The public handle.
    pub id: DeviceId,
    /// Whose.
    pub tenant: TenantId,
    /// Whose.
    pub user: UserId,
    /// What its user agent was read as at the latest sign-in.
    pub agent: Agent,
    /// The name its user gave it; shown in place of the label.
    pub name: Option<String>,
    /// Whether its user said that it is theirs. Descriptive: nothing is skipped for it here.
    pub trusted: bool,
    /// When it was first signed in on.
    pub first_seen_at: Timestamp,
    /// When it was last used.
    pub last_seen_at: Timestamp,
}

/// What shall be different about a device; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceUpdate {
    /// Its name; `Some(None)` takes it back.
    pub name: Option<Option<String>>,
    /// Whether its user says that it is theirs.
    pub trusted: Option<bool>,
}

impl KnownDevice {
    /// The device as its first sign-in, `session`, makes it known.
    pub fn first_seen(session: &Session) -> Self {
        Self {
            id: session.device_id(),
            tenant: session.tenant.clone(),
            user: session.user.clone(),
            agent: session.device.agent.clone(),
            name: session.device.name.clone(),
            trusted: false,
            first_seen_at: session.created_at,
            last_seen_at: session.created_at,
        }
    }

    /// Takes in another sign-in on it, as [`Self::first_seen`] would make that known. What its user
    /// said of it stays; a name given at this sign-in is taken where there is none.
    pub fn seen_again(&mut self, later: Self) {
        self.agent = later.agent;
        self.last_seen_at = later.last_seen_at;
        self.name = self.name.take().or(later.name);
    }

    /// The device with what `update` names.
    #[must_use]
    pub fn updated(self, update: DeviceUpdate) -> Self {
        Self {
            name: update.name.unwrap_or(self.name),
            trusted: update.trusted.unwrap_or(self.trusted),
            ..self
        }
    }
}

impl Session {
    /// Which of its user's devices it was started on: told apart by the fingerprint where the
    /// login system sent one, else by browser, operating system and kind. Derived, so that every
    /// process names a device the same without asking; of another user it is another device.
    pub fn device_id(&self) -> DeviceId {
        let Device {
            agent,
            fingerprint_hash,
            ..
        } = &self.device;
        let mut hasher = blake3::Hasher::new_derive_key("session-service 2026 device id");
        let mut part = |text: Option<&str>| {
            // The length before each keeps "a", "bc" from being "ab", "c"; none isn't empty.
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            hasher.update(&length.to_be_bytes());
            hasher.update(text.unwrap_or("").as_bytes());
        };
        part(Some(self.tenant.as_str()));
        part(Some(self.user.as_str()));
        part(fingerprint_hash.as_deref());
        if fingerprint_hash.is_none() {
            part(agent.browser.as_deref());
            part(agent.os.as_deref());
            part(Some(agent.kind.as_str()));
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        DeviceId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;

    fn id(change: impl FnOnce(&mut Session)) -> DeviceId {
        let mut session = sample::session();
        change(&mut session);
        session.device_id()
    }

    #[test]
    fn a_device_is_its_fingerprint_or_else_browser_system_and_kind() {
        let plain = id(|_| ());
        let newer = |session: &mut Session| {
            session.device.agent.browser_version = Some("999.0".into());
            session.device.user_agent = "other".into();
            session.device.name = Some("Work".into());
            session.network.ip = None;
        };
        assert_eq!(id(newer), plain);
        assert_ne!(id(|session| session.device.agent.browser = None), plain);
        assert_ne!(
            id(|session| session.device.agent.os = Some(String::new())),
            plain
        );
        let marked = |session: &mut Session| session.device.fingerprint_hash = Some("f1".into());
        assert_ne!(id(marked), plain);
        let elsewhere = id(|session| {
            marked(session);
            session.device.agent.browser = None;
        });
        assert_eq!(elsewhere, id(marked));
    }

    #[test]
    fn nobody_shares_a_device() {
        let plain = id(|_| ());
        assert_ne!(id(|session| session.user = sample::user("bob")), plain);
        assert_ne!(id(|session| session.tenant = sample::tenant("acme")), plain);
    }
}
