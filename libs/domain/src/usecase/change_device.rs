//! Rename a device, or say whether it is to be trusted.

use crate::event::Actor;
use crate::ids::{DeviceId, TenantId, UserId};
use crate::known_device::{DeviceUpdate, KnownDevice};
use crate::port::{ChangeDevice, Clock, PortError, SessionStore};

/// Changes what a user says of a device of theirs. `None` where they have none such.
///
/// # Errors
/// Where the store doesn't answer.
pub async fn change_device(
    store: &dyn SessionStore,
    clock: &dyn Clock,
    actor: Actor,
    (tenant, user): (TenantId, UserId),
    id: DeviceId,
    update: DeviceUpdate,
) -> Result<Option<KnownDevice>, PortError> {
    let change = ChangeDevice {
        tenant,
        user,
        id,
        update,
        at: clock.wall(),
        actor,
    };
    Ok(store.apply(change).await?.map(|device| *device))
}
