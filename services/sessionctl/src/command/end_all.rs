use std::collections::HashSet;

use clap::Args;
use serde_json::{Value, json};

use super::{PAGE, end::end, sessions_of, text};
use crate::args::TenantArg;
use crate::client::{Client, Query};
use crate::failure::Failure;
use crate::output::Output;

/// Whose sessions to end, and why.
///
/// The API has no operation for it, so they are ended one by one, the newest first, until none is
/// left: each on its own, with the wait for validators each. What is started meanwhile is ended
/// too. Stopped halfway, some are ended; doing it again ends the rest.
#[derive(Debug, Args)]
pub struct EndAll {
    /// Whose
    #[arg(long, value_name = "USER")]
    user: String,
    /// Why, for the audit trail; no personal data
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    tenant: TenantArg,
}

impl EndAll {
    pub async fn execute(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let mut ended = Vec::new();
        let done = self.end_pages(client, &mut ended).await;
        // Nothing is written until all is done: a reader who leaves must not stop it halfway.
        if let Err(cause) = done {
            return Err(Failure::Unfinished {
                ended: ended.len(),
                cause: Box::new(cause),
            });
        }
        if output.is_json() {
            return output.json(&json!({ "ended": ended }));
        }
        match ended.len() {
            0 => output.line("No session was active."),
            1 => output.line("1 session is over; no validator accepts it."),
            many => output.line(&format!(
                "{many} sessions are over; no validator accepts them."
            )),
        }
    }

    async fn end_pages(&self, client: &Client, ended: &mut Vec<Value>) -> Result<(), Failure> {
        let path = ["sessions", "user", &self.user, "active"];
        let query = self.tenant.query();
        let mut seen = HashSet::new();
        loop {
            // What was ended isn't listed any more, so the first page is always the next one.
            let page = sessions_of(client, &path, &query, PAGE).await?.found;
            if page.is_empty() {
                return Ok(());
            }
            for session in page {
                let id = text(&session, "id")?;
                if !seen.insert(id.to_owned()) {
                    let text = format!("{id} is listed as active after it was ended");
                    return Err(Failure::Unexpected(text));
                }
                ended.push(self.end_one(client, &query, id).await?);
            }
        }
    }

    async fn end_one(&self, client: &Client, query: Query<'_>, id: &str) -> Result<Value, Failure> {
        end(client, id, query, self.reason.as_deref()).await
    }
}
