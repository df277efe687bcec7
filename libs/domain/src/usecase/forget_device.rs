//! Forget a device, and end the sessions on it. When this returns, no validator anywhere accepts
//! any of them.

use crate::event::Actor;
use crate::ids::{DeviceId, TenantId, UserId};
use crate::port::{EndOutcome, ForgetDevice};
use crate::usecase::end::{EndError, EndPorts};
use crate::usecase::end_others::EndedMany;

/// How many sessions end in one transaction: as many as lock nobody else out for long.
const BATCH: u32 = 1_000;

/// Forgets a user's device, ends the sessions on it, and waits until no validator accepts any.
///
/// # Errors
/// See [`EndError`]: some may have been ended; asking again completes it.
pub async fn forget_device(
    ports: &EndPorts<'_>,
    actor: Actor,
    (tenant, user): (TenantId, UserId),
    id: DeviceId,
) -> Result<EndedMany, EndError> {
    let (mut count, mut known) = (0, false);
    loop {
        let change = ForgetDevice {
            tenant: tenant.clone(),
            user: user.clone(),
            id,
            at: ports.clock.wall(),
            actor: actor.clone(),
            batch: BATCH,
        };
        let outcome = ports.store.apply(change).await?;
        let EndOutcome {
            ended,
            through,
            fresh,
            more,
            ..
        } = outcome.end;
        // Also where it was forgotten while somebody signed in on it: what ends was on it.
        known |= outcome.known || !ended.is_empty();
        count += ended.len() as u64;
        for session in &ended {
            // A cache that can't remember costs speed, never truth.
            let _ = ports.cache.put(session).await;
        }
        if !more {
            // The log is applied in order: the last fence stands for all before it.
            ports.fence.wait(through, fresh).await?;
            let done = EndedMany {
                count,
                seq: through,
            };
            return if known {
                Ok(done)
            } else {
                Err(EndError::Unknown)
            };
        }
        if let Some(fresh) = fresh {
            ports.fence.announce(fresh).await;
        }
    }
}
