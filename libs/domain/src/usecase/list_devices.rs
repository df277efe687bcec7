//! List a user's devices, a page at a time.

use crate::known_device::KnownDevice;
use crate::port::{DevicePosition, DeviceQuery, PortError, SessionStore};
use crate::usecase::list::PAGE_MAX;

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct DevicePage {
    /// The newest first.
    pub devices: Vec<KnownDevice>,
    /// Where the next page starts, if there is one.
    pub next: Option<DevicePosition>,
}

/// One page of what `query` asks for.
///
/// # Errors
/// Where the store doesn't answer.
pub async fn list_devices(
    store: &dyn SessionStore,
    query: DeviceQuery,
) -> Result<DevicePage, PortError> {
    let limit = query.limit.clamp(1, PAGE_MAX);
    // One more than asked for tells whether there is a next page, without counting.
    let query = DeviceQuery {
        limit: limit + 1,
        ..query
    };
    let mut devices = store.devices(&query).await?;
    let more = devices.len() > limit as usize;
    devices.truncate(limit as usize);
    let last = devices.last().filter(|_| more);
    let next = last.map(|device| DevicePosition {
        first_seen_at: device.first_seen_at,
        id: device.id,
    });
    Ok(DevicePage { devices, next })
}
