use std::collections::BTreeMap;

use clap::Args;
use serde_json::Value;

use crate::args::TenantArg;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

/// Of which tenant.
#[derive(Debug, Args)]
pub struct Stats {
    #[command(flatten)]
    tenant: TenantArg,
}

impl Stats {
    pub async fn execute(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let stats = stats(client, &self.tenant).await?;
        if output.is_json() {
            return output.json(&stats);
        }
        let counts = counts(&stats).into_iter();
        output.table(counts.map(|(name, count)| vec![name, count.to_string()]))
    }
}

/// What the API counts. A key that isn't tied to a tenant is told of all where nobody says.
pub async fn stats(client: &Client, tenant: &TenantArg) -> Result<Value, Failure> {
    client.get(&["sessions", "stats"], &tenant.query()).await
}

/// Every count, by its name: `active`, `by_country SE`.
pub fn counts(stats: &Value) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for (name, value) in stats.as_object().into_iter().flatten() {
        counts.extend(value.as_i64().map(|count| (name.clone(), count)));
        for (label, count) in value.as_object().into_iter().flatten() {
            counts.extend(
                count
                    .as_i64()
                    .map(|count| (format!("{name} {label}"), count)),
            );
        }
    }
    counts
}
