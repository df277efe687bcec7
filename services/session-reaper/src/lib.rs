//! `session-reaper`: ends sessions whose time is over. Validators learn of each end through the
//! revocation log, like of any other.

use std::sync::Arc;
use std::time::Duration;

use session_domain::port::{Clock, Fence, PortError, SessionStore};
use session_domain::usecase::expire::expire;
use session_runtime::config::{Mistaken, Reader};
use session_runtime::shutdown::Shutdown;

/// What an operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How often overdue sessions are looked for.
    pub tick: Duration,
    /// How many end in one transaction.
    pub batch: u32,
}

impl Config {
    /// Reads the section `reaper`.
    ///
    /// # Errors
    /// The mistakes have been noted.
    pub fn read(reader: &mut Reader) -> Result<Self, Mistaken> {
        let tick = reader
            .value("reaper.tick")
            .doc("How often overdue sessions are looked for.")
            .default("1s")
            .duration_within("10ms", "1m");
        let batch = reader
            .value("reaper.batch")
            .doc("How many overdue sessions end in one transaction.")
            .default("500")
            .within(1, 1_000);
        Ok(Self {
            tick: tick?,
            batch: batch?,
        })
    }
}

/// The adapters a reaper is composed of.
#[derive(Clone)]
pub struct Ports {
    /// Where sessions are kept.
    pub store: Arc<dyn SessionStore>,
    /// How ends are announced.
    pub fence: Arc<dyn Fence>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Reaps until `shutdown`. A store that doesn't answer is tried again at the next tick: until then
/// what is overdue stays so, and validators see it by the grants' `reaped_through`.
///
/// # Errors
/// None today; a reaper that can't go on ends with one.
pub async fn run(config: Config, ports: Ports, shutdown: Shutdown) -> Result<(), PortError> {
    loop {
        tokio::select! {
            () = shutdown.draining() => return Ok(()),
            () = tokio::time::sleep(config.tick) => {}
        }
        match tick(&config, &ports, &shutdown).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "ended overdue sessions"),
            Err(error) => {
                tracing::warn!(%error, "overdue sessions could not be ended; trying again");
            }
        }
    }
}

/// Ends all that is overdue now, a batch at a time. Returns how many.
async fn tick(config: &Config, ports: &Ports, shutdown: &Shutdown) -> Result<usize, PortError> {
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
