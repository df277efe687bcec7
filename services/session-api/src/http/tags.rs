//! How the API document groups operations.

use poem_openapi::Tags;

/// A group of operations.
#[derive(Tags)]
pub enum Tag {
    /// Sessions: start, look at, refresh, end.
    #[oai(rename = "sessions")]
    Sessions,
    /// What third parties need: keys and health.
    #[oai(rename = "public")]
    Public,
}
