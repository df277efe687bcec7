use crate::event::Actor;
use crate::ids::{DeviceId, TenantId, UserId};
use crate::known_device::{DeviceUpdate, KnownDevice};
use crate::port::EndOutcome;
use crate::time::Timestamp;

/// Renames a user's device, or changes whether they trust it.
#[derive(Debug, Clone)]
pub struct ChangeDevice {
    /// Whose.
    pub tenant: TenantId,
    /// Whose.
    pub user: UserId,
    /// Which of theirs.
    pub id: DeviceId,
    /// What shall be different.
    pub update: DeviceUpdate,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
}

/// What came of [`ChangeDevice`]: the device as it is now; `None` where that user has none such.
pub type DeviceOutcome = Option<Box<KnownDevice>>;

/// Forgets a user's device, and ends the sessions on it.
#[derive(Debug, Clone)]
pub struct ForgetDevice {
    /// Whose.
    pub tenant: TenantId,
    /// Whose.
    pub user: UserId,
    /// Which of theirs.
    pub id: DeviceId,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
    /// At most this many sessions in one transaction.
    pub batch: u32,
}

/// What came of [`ForgetDevice`].
#[derive(Debug, Clone, PartialEq)]
pub struct ForgetOutcome {
    /// Whether that user had it. It is forgotten with the last batch.
    pub known: bool,
    /// The sessions that ended.
    pub end: EndOutcome,
}
