use clap::Args;
use serde_json::{Value, json};

use crate::args::TenantArg;
use crate::client::{Client, Query};
use crate::failure::Failure;
use crate::output::{Output, field};

/// Which session to end, and why.
#[derive(Debug, Args)]
pub struct End {
    /// The session's id
    id: String,
    /// Why, for the audit trail; no personal data
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    tenant: TenantArg,
}

impl End {
    pub async fn execute(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let query = self.tenant.query();
        let session = end(client, &self.id, &query, self.reason.as_deref()).await?;
        if output.is_json() {
            output.json(&session)
        } else {
            let (id, why) = (field(&session, "/id"), field(&session, "/end_reason"));
            output.line(&format!("{id} is over ({why}); no validator accepts it."))
        }
    }
}

/// Ends a session. Returns what became of it, once no validator accepts it any more.
pub async fn end(
    client: &Client,
    id: &str,
    query: Query<'_>,
    reason: Option<&str>,
) -> Result<Value, Failure> {
    let body = match reason {
        Some(reason) => json!({ "reason": reason }),
        None => json!({}),
    };
    client
        .post(&["sessions", id, "revoke"], query, Some(&body))
        .await
}
