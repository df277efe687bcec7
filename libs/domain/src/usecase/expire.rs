//! End the sessions whose time is over.

use crate::event::Actor;
use crate::port::{Clock, End, Fence, PortError, SessionStore, Targets, Why};

/// Ends at most `batch` overdue sessions and announces their ends; nobody was promised a moment,
/// so it doesn't wait for the fence. Returns how many it ended and whether there may be more.
///
/// # Errors
/// Where the store doesn't answer; what wasn't ended is still overdue next time.
pub async fn expire(
    store: &dyn SessionStore,
    fence: &dyn Fence,
    clock: &dyn Clock,
    batch: u32,
) -> Result<(usize, bool), PortError> {
    let change = End {
        targets: Targets::Overdue,
        why: Why::Overdue,
        at: clock.wall(),
        actor: Actor::System,
        batch,
    };
    let outcome = store.apply(change).await?;
    if let Some(fresh) = outcome.fresh {
        fence.announce(fresh).await;
    }
    Ok((outcome.ended.len(), outcome.more))
}
