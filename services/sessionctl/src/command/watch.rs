use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::stats::{counts, stats};
use super::{sessions_of, text};
use crate::args::TenantArg;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, field};

/// How many of a user's sessions are watched: the newest.
const SESSIONS_MAX: usize = 1_000;

/// How many rounds in a row may fail before watching ends: as long as a restart takes.
const FAILURES_MAX: u32 = 5;

/// What to watch, and for how long.
#[derive(Debug, Args)]
pub struct Watch {
    /// Whose sessions; the counts of `stats` where nobody says
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// How often to look
    #[arg(long, value_name = "SECONDS", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
    /// For how long
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 3_600,
          value_parser = clap::value_parser!(u64).range(0..=604_800))]
    duration: u64,
    #[command(flatten)]
    tenant: TenantArg,
}

/// What was there in the round before.
enum Known {
    Counts(BTreeMap<String, i64>),
    Sessions(BTreeMap<String, Value>),
}

impl Watch {
    /// Looks again and again, and tells what changed. Ends without a failure when its time is over
    /// or `stop` says so.
    pub async fn execute(
        self,
        client: &Client,
        output: &mut Output<'_>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = pin!(stop) => Ok(()),
            watched = self.rounds(client, output) => watched,
        }
    }

    async fn rounds(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let mut known = None;
        let mut failures = 0;
        // Counted, so that nothing depends on a clock.
        for round in 0..=self.duration / self.every {
            if round > 0 {
                tokio::time::sleep(Duration::from_secs(self.every)).await;
            }
            match self.round(client, output, &mut known).await {
                Ok(()) => failures = 0,
                Err(failure) if failure.may_pass() && failures < FAILURES_MAX => {
                    failures += 1;
                    output.failure(&failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn round(
        &self,
        client: &Client,
        output: &mut Output<'_>,
        known: &mut Option<Known>,
    ) -> Result<(), Failure> {
        let before = known.take();
        let now = match &self.user {
            None => self.counts(client, output, before.as_ref()).await,
            Some(user) => self.sessions(client, output, user, before.as_ref()).await,
        };
        // After a round that failed, changes are told against the one before it.
        match now {
            Ok(now) => {
                *known = Some(now);
                Ok(())
            }
            Err(failure) => {
                *known = before;
                Err(failure)
            }
        }
    }

    async fn counts(
        &self,
        client: &Client,
        output: &mut Output<'_>,
        before: Option<&Known>,
    ) -> Result<Known, Failure> {
        let answer = stats(client, &self.tenant).await?;
        let now = counts(&answer);
        let none = BTreeMap::new();
        let before = match before {
            Some(Known::Counts(before)) => Some(before),
            Some(Known::Sessions(_)) | None => None,
        };
        if output.is_json() {
            if before != Some(&now) {
                output.json_line(&answer)?;
            }
            return Ok(Known::Counts(now));
        }
        let is_first = before.is_none();
        let before = before.unwrap_or(&none);
        // What fell to zero isn't listed any more.
        let names = before.keys().filter(|name| !now.contains_key(*name));
        for name in now.keys().chain(names) {
            let count = |counts: &BTreeMap<String, i64>| counts.get(name).copied().unwrap_or(0);
            match (count(before), count(&now)) {
                (_, count) if is_first => output.line(&format!("{name} {count}"))?,
                (old, new) if old != new => output.line(&format!("{name} {old} -> {new}"))?,
                _ => {}
            }
        }
        Ok(Known::Counts(now))
    }

    async fn sessions(
        &self,
        client: &Client,
        output: &mut Output<'_>,
        user: &str,
        before: Option<&Known>,
    ) -> Result<Known, Failure> {
        let path = ["sessions", "user", user, "active"];
        let query = self.tenant.query();
        let listed = sessions_of(client, &path, &query, SESSIONS_MAX).await?;
        let mut now = BTreeMap::new();
        for session in listed.found {
            now.insert(text(&session, "id")?.to_owned(), session);
        }
        let none = BTreeMap::new();
        let (before, fresh) = match before {
            Some(Known::Sessions(before)) => (before, "started"),
            Some(Known::Counts(_)) | None => (&none, "active"),
        };
        for (id, session) in &now {
            match before.get(id) {
                None => tell(output, fresh, session)?,
                Some(old) if old["version"] != session["version"] => {
                    tell(output, "changed", session)?;
                }
                Some(_) => {}
            }
        }
        for (id, session) in before.iter().filter(|(id, _)| !now.contains_key(*id)) {
            // Pushed out of what is watched by newer ones, or over.
            match client.get(&["sessions", id], &query).await {
                Ok(found) if found["status"] == "active" => {}
                Ok(found) => tell(output, "ended", &found)?,
                Err(Failure::Problem(_)) => tell(output, "ended", session)?,
                Err(failure) => return Err(failure),
            }
        }
        Ok(Known::Sessions(now))
    }
}

fn tell(output: &mut Output<'_>, change: &str, session: &Value) -> Result<(), Failure> {
    if output.is_json() {
        return output.json_line(&json!({ "change": change, "session": session }));
    }
    let shown = |at| field(session, at);
    let (id, device, country) = (
        shown("/id"),
        shown("/device/label"),
        shown("/network/country"),
    );
    let why = match change {
        "ended" => format!(" ({})", shown("/end_reason")),
        _ => String::new(),
    };
    output.line(&format!("{change}{why} {id} {device}, {country}"))
}
