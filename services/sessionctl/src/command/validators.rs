use super::taken;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Column, Output, field};

const COLUMNS: [Column; 5] = [
    ("ID", "/id"),
    ("APPLIED", "/applied"),
    ("LAG", "/lag"),
    ("LEASE (S)", "/lease_seconds"),
    ("RENEWALS", "/renewals"),
];

pub async fn execute(client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut answer = client.get(&["admin", "validators"], &[]).await?;
    if output.is_json() {
        return output.json(&answer);
    }
    let validators = taken(&mut answer, "validators")?;
    output.rows(&validators, &COLUMNS, "Nobody answers from memory.")?;
    output.line(&format!("The log is at {}.", field(&answer, "/head")))
}
