//! How the API document groups operations.

use poem_openapi::Tags;

/// A group of operations.
#[derive(Tags)]
pub enum Tag {
    /// Sessions: start, look at, refresh, end.
    #[oai(rename = "sessions")]
    Sessions,
    /// A user's own devices.
    #[oai(rename = "devices")]
    Devices,
    /// The deployment's keys, services and validators.
    #[oai(rename = "admin")]
    Admin,
    /// What third parties need: keys and health.
    #[oai(rename = "public")]
    Public,
}
