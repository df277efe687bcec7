//! End everything that is overdue now, rather than at the reaper's next step.

use crate::port::{Clock, Fence, PortError, RevocationLog, SessionStore};
use crate::usecase::expire::expire;

/// How many end in one transaction: as many as lock nobody else out for long.
const BATCH: u32 = 500;

/// What cleaning up needs from the world.
pub struct CleanupPorts<'a> {
    /// Where sessions are kept.
    pub store: &'a dyn SessionStore,
    /// Where the log stands.
    pub log: &'a dyn RevocationLog,
    /// The wait for every validator.
    pub fence: &'a dyn Fence,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// What was overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanedUp {
    /// How many sessions ended.
    pub expired: u64,
    /// In how many transactions.
    pub batches: u64,
}

/// Ends sessions until nothing more is overdue, and waits until no validator accepts any of them:
/// unlike the reaper, whoever calls is told that they ended.
///
/// # Errors
/// Where the store doesn't answer; what wasn't ended is still overdue next time.
pub async fn cleanup(ports: &CleanupPorts<'_>) -> Result<CleanedUp, PortError> {
    let (mut expired, mut batches, mut looked_again) = (0, 0, false);
    loop {
        let (count, more) = expire(ports.store, ports.fence, ports.clock, BATCH).await?;
        expired += count as u64;
        batches += u64::from(count > 0);
        // Once more after the last ones: a store may pass over what others are ending meanwhile as
        // long as it finds anything else.
        if !more && (count == 0 || looked_again) {
            break;
        }
        looked_again = !more;
    }
    let head = ports.log.head().await?;
    ports.fence.wait(head.seq, None).await?;
    Ok(CleanedUp { expired, batches })
}
