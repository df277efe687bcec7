//! Operations on a user's own devices, one file each.

mod change;
mod forget;
mod list;
mod view;

use poem_openapi::OpenApi;
use session_domain::ids::DeviceId;

use super::problem::Problem;

/// All of them.
pub(super) fn operations() -> impl OpenApi {
    (list::ListDevices, change::Change, forget::Forget)
}

/// Reads a device's id as it stands in a path.
fn device_id(text: &str) -> Result<DeviceId, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid("id", "must be a device's id, a hyphenated lower-case UUID"))
}
