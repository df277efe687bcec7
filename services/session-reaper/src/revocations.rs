//! Carries on the ending of many sessions: what the processes that began it didn't get to, and the
//! rows of what floors have ended.

use session_domain::port::PortError;
use session_domain::usecase::end_matching::resume;
use session_runtime::shutdown::Shutdown;

use crate::{Config, Ports};

/// Carries on whatever isn't finished, tick by tick, until `shutdown`. Several reapers share the
/// work, a revocation each.
pub(crate) async fn run(config: &Config, ports: &Ports, shutdown: &Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.draining() => return,
            () = tokio::time::sleep(config.tick) => {}
        }
        if let Err(error) = carry_on(ports, shutdown).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "revocations could not be carried on; trying again"
            );
        }
    }
}

async fn carry_on(ports: &Ports, shutdown: &Shutdown) -> Result<(), PortError> {
    let (store, fence, clock) = (&*ports.store, &*ports.fence, &*ports.clock);
    while !shutdown.is_draining() {
        let Some(revocation) = resume(store, fence, clock).await? else {
            break;
        };
        if revocation.finished_at.is_some() {
            let (id, ended) = (revocation.id, revocation.ended);
            tracing::info!(%id, ended, "finished a revocation of many sessions");
        }
    }
    Ok(())
}
