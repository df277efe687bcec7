//! Deletes what was kept for long enough, a little at a time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use session_domain::port::{Clock, PortError, Purgeable, RevocationLog, SessionStore};
use session_domain::usecase::purge::{Retention, purge};
use session_runtime::config::{Mistaken, Reader};
use session_runtime::shutdown::Shutdown;

/// How many rows are deleted in one transaction: as many as hold nobody up.
const BATCH: u32 = 250;

/// The pause between two transactions, in which others get their turn.
const BREATHER: Duration = Duration::from_millis(25);

/// How long an entry of the revocation log is kept at least: far longer than anybody takes to join.
const ENTRIES_KEPT: Duration = Duration::from_hours(1);

/// How many of those are deleted at once: small rows, one after the other.
const ENTRIES_BATCH: u32 = 5_000;

/// How long things are kept, and how often it is looked for those kept long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purging {
    /// How long.
    pub retention: Retention,
    /// How often.
    pub every: Duration,
}

impl Purging {
    /// Reads the section `retention`. Whether events must have been told first is for those to say
    /// who know whether anybody is told.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let mut span = |name, doc, default, least| {
            let value = reader.value(name).doc(doc).default(default);
            value.duration_within(least, "36500d")
        };
        let sessions = span(
            "retention.sessions",
            "How long a session is kept after it ended and after the last of its tokens would have.",
            "90d",
            "1h",
        );
        let idempotency_keys = span(
            "retention.idempotency_keys",
            "How long a request with an Idempotency-Key can be repeated.",
            "24h",
            "1m",
        );
        let events = span(
            "retention.events",
            "How long the audit trail is kept. Where events are told to other systems, never shorter than until they were.",
            "400d",
            "1h",
        );
        let devices = span(
            "retention.devices",
            "How long a device is known that nobody is signed in on, after its last use.",
            "400d",
            "1h",
        );
        let every = reader
            .value("retention.every")
            .doc("How often it is looked for what was kept long enough.")
            .default("10m")
            .duration_within("100ms", "1d");
        Ok(Self {
            retention: Retention {
                sessions: sessions?,
                idempotency_keys: idempotency_keys?,
                events: events?,
                events_relayed_only: false,
                devices: devices?,
            },
            every: every?,
        })
    }
}

/// Purges until `shutdown`. Any number of reapers may: each passes over what another is at.
///
/// # Errors
/// Never: what can't be deleted now is deleted later.
pub(crate) async fn keep_purging(
    purging: Purging,
    store: Arc<dyn SessionStore>,
    log: Arc<dyn RevocationLog>,
    clock: Arc<dyn Clock>,
    meter: Meter,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let purged = meter
        .u64_counter("session.reaper.purged")
        .with_description("Rows deleted because they were kept long enough, by what they were")
        .build();
    let looks = meter
        .u64_counter("session.reaper.purges")
        .with_description("How often it was looked for rows to delete, to the end")
        .build();
    let pass = Pass {
        retention: purging.retention,
        store: store.as_ref(),
        log: log.as_ref(),
        clock: clock.as_ref(),
        purged,
        shutdown: &shutdown,
    };
    while !shutdown.is_draining() {
        for rows in purging.retention.kinds() {
            match pass.purge_all(rows).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, rows = name(rows), "purged"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, rows = name(rows), "could not be purged; later again");
                }
            }
        }
        match pass.prune_log().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, rows = LOG_ENTRIES, "purged"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    rows = LOG_ENTRIES,
                    "could not be purged; later again"
                );
            }
        }
        looks.add(1, &[]);
        pass.pause(purging.every).await;
    }
    Ok(())
}

/// One look for everything that was kept long enough.
struct Pass<'a> {
    retention: Retention,
    store: &'a dyn SessionStore,
    log: &'a dyn RevocationLog,
    clock: &'a dyn Clock,
    purged: Counter<u64>,
    shutdown: &'a Shutdown,
}

impl Pass<'_> {
    /// Deletes all rows of a kind that may go, a batch at a time. Returns how many.
    async fn purge_all(&self, kind: Purgeable) -> Result<u64, PortError> {
        let (mut count, mut rows) = (0, Some(kind));
        while let Some(next) = rows.filter(|_| !self.shutdown.is_draining()) {
            let outcome = purge(self.store, self.clock, &self.retention, next, BATCH).await?;
            let kind = KeyValue::new("rows", name(kind));
            self.purged.add(outcome.purged, &[kind]);
            count += outcome.purged;
            rows = outcome.next;
            self.pause(BREATHER).await;
        }
        Ok(count)
    }

    /// Deletes the log's entries that every validator has. Returns how many.
    async fn prune_log(&self) -> Result<u64, PortError> {
        let mut count = 0;
        while !self.shutdown.is_draining() {
            let pruned = self.log.prune(ENTRIES_KEPT, ENTRIES_BATCH).await?;
            let kind = KeyValue::new("rows", LOG_ENTRIES);
            self.purged.add(pruned, &[kind]);
            count += pruned;
            if pruned < u64::from(ENTRIES_BATCH) {
                break;
            }
            self.pause(BREATHER).await;
        }
        Ok(count)
    }

    async fn pause(&self, span: Duration) {
        tokio::select! {
            () = self.shutdown.draining() => {}
            () = tokio::time::sleep(span) => {}
        }
    }
}

/// What the log's entries are called there.
const LOG_ENTRIES: &str = "log_entries";

/// What rows are called in logs and metrics.
const fn name(rows: Purgeable) -> &'static str {
    match rows {
        Purgeable::Sessions => "sessions",
        Purgeable::SupersededSerials => "superseded_serials",
        Purgeable::IdempotencyKeys => "idempotency_keys",
        Purgeable::Events { .. } => "events",
        Purgeable::Devices { .. } => "devices",
    }
}
