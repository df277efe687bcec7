use clap::Args;

use crate::args::TenantArg;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Column, Output};

/// Which session to show.
#[derive(Debug, Args)]
pub struct Show {
    /// The session's id
    id: String,
    #[command(flatten)]
    tenant: TenantArg,
}

/// What is shown of a session on its own.
pub const PROPERTIES: [Column; 25] = [
    ("id", "/id"),
    ("tenant", "/tenant"),
    ("user", "/user_id"),
    ("status", "/status"),
    ("end reason", "/end_reason"),
    ("ended", "/ended_at"),
    ("device", "/device/label"),
    ("kind", "/device/kind"),
    ("browser", "/device/browser"),
    ("browser version", "/device/browser_version"),
    ("system", "/device/os"),
    ("address", "/network/ip"),
    ("country", "/network/country"),
    ("city", "/network/city"),
    ("network", "/network/asn"),
    ("organisation", "/network/organisation"),
    ("created", "/created_at"),
    ("last seen", "/last_seen_at"),
    ("expires", "/expires_at"),
    ("expires at most", "/absolute_expires_at"),
    ("authenticated", "/auth_time"),
    ("acr", "/acr"),
    ("amr", "/amr"),
    ("refreshed", "/refresh_count"),
    ("metadata", "/metadata"),
];

impl Show {
    pub async fn execute(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let path = ["sessions", &self.id];
        let session = client.get(&path, &self.tenant.query()).await?;
        if output.is_json() {
            output.json(&session)
        } else {
            output.properties(&session, &PROPERTIES)
        }
    }
}
