use clap::Subcommand;

use super::taken;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Column, Output, field};

const PATH: [&str; 2] = ["admin", "keys"];

const COLUMNS: [Column; 5] = [
    ("KID", "/kid"),
    ("ALG", "/alg"),
    ("STATE", "/state"),
    ("CREATED", "/created_at"),
    ("RETIRED", "/retired_at"),
];

/// What to do with signing keys.
#[derive(Debug, Subcommand)]
pub enum SigningKeys {
    /// Lists them
    List,
    /// Makes a new one that signs from now on; what the others signed stays good
    Rotate,
    /// Withdraws one: every token it signed is dead when this returns
    Retire {
        /// The key's name, as `list` shows it
        kid: String,
    },
}

impl SigningKeys {
    pub async fn execute(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        match self {
            Self::List => list(client, output).await,
            Self::Rotate => rotate(client, output).await,
            Self::Retire { kid } => retire(client, output, &kid).await,
        }
    }
}

async fn list(client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut answer = client.get(&PATH, &[]).await?;
    if output.is_json() {
        return output.json(&answer);
    }
    let keys = taken(&mut answer, "keys")?;
    output.rows(&keys, &COLUMNS, "There are none.")
}

async fn rotate(client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let answer = client.post(&PATH, &[], None).await?;
    if output.is_json() {
        return output.json(&answer);
    }
    let kid = field(&answer, "/kid");
    output.line(&format!("{kid} signs, and every validator knows it."))
}

async fn retire(client: &Client, output: &mut Output<'_>, kid: &str) -> Result<(), Failure> {
    let [admin, keys] = PATH;
    let answer = client
        .post(&[admin, keys, kid, "retire"], &[], None)
        .await?;
    if output.is_json() {
        return output.json(&answer);
    }
    output.line(&format!("{kid} is withdrawn: what it signed is dead."))?;
    match answer["successor"].as_str() {
        Some(successor) => output.line(&format!("{successor} signs instead.")),
        None => Ok(()),
    }
}
