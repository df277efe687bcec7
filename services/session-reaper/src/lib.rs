//! `session-reaper`: ends sessions whose time is over, carries on the ending of many at once, tells
//! other systems what happened, and deletes what was kept for long enough. Validators learn of each
//! end through the revocation log, like of any other.

mod config;
mod purge;
mod relay;
mod revocations;

use std::sync::Arc;

use opentelemetry::metrics::{Counter, Meter};
use session_domain::ids::Seq;
use session_domain::port::{Clock, Fence, PortError, RevocationLog, SessionStore};
use session_domain::usecase::expire::expire;
use session_runtime::shutdown::{Shutdown, Tasks};

pub use config::{Config, Events, Process, event_source};
pub use purge::Purging;
pub use relay::Telling;

/// The adapters a reaper is composed of.
#[derive(Clone)]
pub struct Ports {
    /// Where sessions are kept.
    pub store: Arc<dyn SessionStore>,
    /// The revocation log.
    pub log: Arc<dyn RevocationLog>,
    /// How ends are announced.
    pub fence: Arc<dyn Fence>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Adds all that a reaper does to a process's tasks. Other systems are told what happens where
/// there is a `telling`.
pub fn spawn(
    tasks: &mut Tasks,
    config: Config,
    ports: Ports,
    telling: Option<Telling>,
    meter: &Meter,
    shutdown: &Shutdown,
) {
    let mut purging = config.purging.clone();
    purging.retention.events_relayed_only = telling.is_some();
    let (store, clock) = (Arc::clone(&ports.store), Arc::clone(&ports.clock));
    if let Some(telling) = telling {
        let clock = Arc::clone(&clock);
        let relay = relay::relay(telling, clock, meter.clone(), shutdown.clone());
        tasks.spawn("relay", relay);
    }
    let log = Arc::clone(&ports.log);
    let purge = purge::keep_purging(purging, store, log, clock, meter.clone(), shutdown.clone());
    tasks.spawn("purge", purge);
    tasks.spawn(
        "reaper",
        run(config, ports, meter.clone(), shutdown.clone()),
    );
}

/// Reaps until `shutdown`. A store that doesn't answer is tried again at the next tick: until then
/// what is overdue stays so, and validators see it by the grants' `reaped_through`.
///
/// # Errors
/// None today; a reaper that can't go on ends with one.
pub async fn run(
    config: Config,
    ports: Ports,
    meter: Meter,
    shutdown: Shutdown,
) -> Result<(), PortError> {
    let ticks = Ticks::new(&meter);
    tokio::join!(
        expire_overdue(&config, &ports, &ticks, &shutdown),
        revocations::run(&config, &ports, &shutdown),
    );
    Ok(())
}

/// What is counted of looking for what is overdue.
struct Ticks {
    expired: Counter<u64>,
    failures: Counter<u64>,
}

impl Ticks {
    fn new(meter: &Meter) -> Self {
        let expired = meter.u64_counter("session.reaper.expired");
        let failures = meter.u64_counter("session.reaper.failures");
        Self {
            expired: expired
                .with_description("Sessions ended because their time was over")
                .build(),
            failures: failures
                .with_description("Times overdue sessions could not be ended; tried again")
                .build(),
        }
    }
}

async fn expire_overdue(config: &Config, ports: &Ports, ticks: &Ticks, shutdown: &Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.draining() => return,
            () = tokio::time::sleep(config.tick) => {}
        }
        match tick(config, ports, shutdown).await {
            Ok(0) => {}
            Ok(count) => {
                ticks.expired.add(count as u64, &[]);
                tracing::info!(count, "ended overdue sessions");
            }
            Err(error) => {
                ticks.failures.add(1, &[]);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "overdue sessions could not be ended; trying again"
                );
            }
        }
    }
}

/// Ends all that is overdue now, a batch at a time. Returns how many.
async fn tick(config: &Config, ports: &Ports, shutdown: &Shutdown) -> Result<usize, PortError> {
    // Waiting for nothing looks at the leases: those of the dead are forgotten, and no longer keep
    // idle sessions alive by never telling of their use.
    ports.fence.wait(Seq(0), None).await?;
    let mut total = 0;
    loop {
        let (count, more) = expire(
            ports.store.as_ref(),
            ports.fence.as_ref(),
            ports.clock.as_ref(),
            config.batch,
        )
        .await?;
        total += count;
        if !more || shutdown.is_draining() {
            return Ok(total);
        }
    }
}
