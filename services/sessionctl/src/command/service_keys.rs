use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::json;

use super::{taken, text};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Column, Output, field};

const PATH: [&str; 2] = ["admin", "service-keys"];

/// What a service may be allowed to do.
const SCOPES: [&str; 6] = [
    "sessions:create",
    "sessions:read",
    "sessions:revoke",
    "sessions:admin",
    "audit:read",
    "introspect",
];

const COLUMNS: [Column; 6] = [
    ("ID", "/id"),
    ("NAME", "/name"),
    ("TENANT", "/tenant"),
    ("SCOPES", "/scopes"),
    ("CREATED", "/created_at"),
    ("CURRENT", "/is_current"),
];

/// What to do with service keys.
#[derive(Debug, Subcommand)]
pub enum ServiceKeys {
    /// Lists them, without the keys themselves
    List,
    /// Makes one and prints it: it can't be shown again
    New(New),
    /// Withdraws one
    Remove {
        /// The key's id, as `list` shows it
        id: String,
    },
}

/// The service that shall have a key.
#[derive(Debug, Args)]
pub struct New {
    /// What to call it
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it may do; may be repeated, or separated by commas
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',',
          value_parser = PossibleValuesParser::new(SCOPES))]
    scopes: Vec<String>,
    /// The only tenant it may act for; any where nobody says
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

impl ServiceKeys {
    pub async fn execute(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        match self {
            Self::List => list(client, output).await,
            Self::New(new) => new.execute(client, output).await,
            Self::Remove { id } => {
                let [admin, keys] = PATH;
                client.delete(&[admin, keys, &id]).await?;
                if output.is_json() {
                    return Ok(());
                }
                output.line(&format!("{id} is withdrawn."))
            }
        }
    }
}

async fn list(client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut answer = client.get(&PATH, &[]).await?;
    if output.is_json() {
        return output.json(&answer);
    }
    let keys = taken(&mut answer, "service_keys")?;
    output.rows(&keys, &COLUMNS, "There are none.")
}

impl New {
    async fn execute(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let mut body = json!({ "name": self.name, "scopes": self.scopes });
        if let Some(tenant) = self.tenant {
            body["tenant"] = tenant.into();
        }
        let answer = client.post(&PATH, &[], Some(&body)).await?;
        // Said first: should the key not reach anybody, this is what to remove.
        let (id, name) = (
            field(&answer, "/service_key/id"),
            field(&answer, "/service_key/name"),
        );
        output.note(&format!(
            "made service key {id} ({name}); it can't be shown again"
        ));
        if output.is_json() {
            output.json(&answer)
        } else {
            // Alone on its line, so that it can be sent straight to where it shall be kept.
            output.line(text(&answer, "key")?)
        }
    }
}
