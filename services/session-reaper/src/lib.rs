//! `session-reaper`: ends sessions whose time is over. Validators learn of each end through the
//! revocation log, like of any other.

mod config;

use std::sync::Arc;

use session_domain::ids::Seq;
use session_domain::port::{Clock, Fence, PortError, SessionStore};
use session_domain::usecase::expire::expire;
use session_runtime::shutdown::Shutdown;

pub use config::{Config, Process};

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
