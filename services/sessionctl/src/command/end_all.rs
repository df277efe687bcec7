use std::time::Duration;

use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};

use super::{SESSION_COLUMNS, taken, text};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

/// How long to wait before looking again how far it has come.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Which sessions to end, and why.
///
/// All that is said must hold of a session. It is the API that ends them, of those that there are
/// when it is asked: what starts meanwhile is spared, and stopping this program stops nothing.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true)
    .args(["user", "tenant", "country", "cidr", "device_kind", "auth_method", "created_before", "everything"]))]
pub struct EndAll {
    /// Of this user, of the tenant `default` where no other is named
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Of this tenant; alone, everybody's in it
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Started from this country, by its two letters
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// Started from this network, for example 192.0.2.0/24, or one address
    #[arg(long, value_name = "NETWORK")]
    cidr: Option<String>,
    /// On this kind of device: desktop, mobile, tablet, `desktop_app`, bot, `http_client`, unknown
    #[arg(long, value_name = "KIND")]
    device_kind: Option<String>,
    /// Authenticated by this method among others, for example pwd
    #[arg(long, value_name = "METHOD")]
    auth_method: Option<String>,
    /// Started before this moment, for example 2026-01-31T12:00:00Z
    #[arg(long, value_name = "MOMENT")]
    created_before: Option<String>,
    /// Every session of every tenant
    #[arg(long, conflicts_with_all = ["user", "tenant", "country", "cidr", "device_kind", "auth_method", "created_before"])]
    everything: bool,
    /// Ends nothing, and shows what would end
    #[arg(long)]
    dry_run: bool,
    /// Why, for the audit trail; no personal data
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl EndAll {
    pub async fn execute(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let path = ["admin", "revocations"];
        let begun = client.post(&path, &[], Some(&self.body())).await?;
        if self.dry_run {
            return preview(begun, output);
        }
        let done = settled(client, begun, output).await?;
        if output.is_json() {
            return output.json(&done);
        }
        match count(&done) {
            0 => output.line("No session was active."),
            1 => output.line("1 session is over; no validator accepts it."),
            many => output.line(&format!(
                "{many} sessions are over; no validator accepts them."
            )),
        }
    }

    fn body(&self) -> Value {
        let texts = [
            ("user_id", &self.user),
            ("tenant", &self.tenant),
            ("country", &self.country),
            ("ip_cidr", &self.cidr),
            ("device_kind", &self.device_kind),
            ("auth_method", &self.auth_method),
            ("created_before", &self.created_before),
            ("reason", &self.reason),
        ];
        let said = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))));
        let flags = [("everything", self.everything), ("dry_run", self.dry_run)];
        let flags = flags
            .into_iter()
            .filter(|(_, is)| *is)
            .map(|(name, is)| (name.to_owned(), json!(is)));
        Value::Object(said.chain(flags).collect::<Map<_, _>>())
    }
}

/// The revocation once no validator accepts any of its sessions, with a word about how far it is
/// whenever that was waited for.
async fn settled(
    client: &Client,
    mut revocation: Value,
    output: &mut Output<'_>,
) -> Result<Value, Failure> {
    while text(&revocation, "state")? == "running" {
        let id = text(&revocation, "id")?.to_owned();
        let ended = count(&revocation);
        output.note(&format!(
            "{ended} ended so far; it goes on without this program, as {id}"
        ));
        tokio::time::sleep(LOOK_AGAIN).await;
        let now = client.get(&["admin", "revocations", &id], &[]).await;
        revocation = now.map_err(|cause| Failure::Unfinished {
            ended: usize::try_from(ended).unwrap_or(usize::MAX),
            cause: Box::new(cause),
        })?;
    }
    Ok(revocation)
}

/// How many sessions are over: for a whole tenant that is known before the last row says so.
fn count(revocation: &Value) -> u64 {
    let of = |name: &str| revocation.get(name).and_then(Value::as_u64);
    of("matching").or_else(|| of("ended")).unwrap_or(0)
}

fn preview(mut preview: Value, output: &mut Output<'_>) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&preview);
    }
    let at_least = preview["matching_at_least"] == json!(true);
    let at_least = if at_least { "at least " } else { "" };
    let count = count(&preview);
    output.line(&match count {
        1 => format!("{at_least}1 session would end."),
        count => format!("{at_least}{count} sessions would end."),
    })?;
    let sample = taken(&mut preview, "sample")?;
    if sample.is_empty() {
        return Ok(());
    }
    output.rows(&sample, &SESSION_COLUMNS, "")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        command: EndAll,
    }

    fn body(args: &[&str]) -> Option<Value> {
        let args = std::iter::once("x").chain(args.iter().copied());
        Only::try_parse_from(args)
            .ok()
            .map(|only| only.command.body())
    }

    #[test]
    fn nothing_said_is_not_everything() {
        assert_eq!(body(&[]), None);
        assert_eq!(body(&["--reason", "x"]), None);
        assert_eq!(body(&["--dry-run"]), None);
        assert_eq!(body(&["--everything", "--tenant", "acme"]), None);
        assert_eq!(body(&["--everything"]), Some(json!({"everything": true})));
    }

    #[test]
    fn what_is_said_is_asked_for() {
        let args = ["--user", "alice", "--cidr", "192.0.2.0/24", "--dry-run"];
        let expected = json!({"user_id": "alice", "ip_cidr": "192.0.2.0/24", "dry_run": true});
        assert_eq!(body(&args), Some(expected));
    }
}
