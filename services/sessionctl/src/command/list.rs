use clap::{Args, ValueEnum};
use serde_json::json;

use super::{SESSION_COLUMNS, sessions_of};
use crate::args::TenantArg;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

/// Which sessions to list. There is no list of everybody's: a person who looks for one session
/// knows whose it is, and `stats` counts the rest.
#[derive(Debug, Args)]
pub struct List {
    /// Whose
    #[arg(long, value_name = "USER")]
    user: String,
    /// Only those; all where nobody says
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    tenant: TenantArg,
}

/// What the API shows sessions as.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    /// In use
    Active,
    /// Ended by time
    Expired,
    /// Ended by somebody
    Revoked,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl List {
    pub async fn execute(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let path = ["sessions", "user", &self.user];
        let mut query = self.tenant.query();
        query.extend(self.status.map(|status| ("status", status.as_str())));
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let sessions = sessions_of(client, &path, &query, limit).await?;
        if output.is_json() {
            output.json(&json!({ "sessions": sessions.found }))?;
        } else {
            output.rows(&sessions.found, &SESSION_COLUMNS, "No sessions.")?;
        }
        if !sessions.is_all {
            let shown = sessions.found.len();
            output.note(&format!("these are the newest {shown}; --limit shows more"));
        }
        Ok(())
    }
}
