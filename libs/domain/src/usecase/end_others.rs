//! End all of a user's sessions, but perhaps the one they use. When this returns, no validator
//! anywhere accepts any of them.

use crate::ids::{Seq, SessionId, TenantId, UserId};
use crate::port::{End, EndOutcome, Targets, Why};
use crate::session::EndReason;
use crate::usecase::caller::Caller;
use crate::usecase::end::{EndError, EndPorts, Patience, settle};

/// How many sessions end in one transaction: as many as lock nobody else out for long.
const BATCH: u32 = 1_000;

/// How many are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedMany {
    /// How many this call ended.
    pub count: u64,
    /// The log entry that every validator has applied or can't answer without; or will, where the
    /// caller didn't wait.
    pub seq: Seq,
}

/// Ends every active session of a user but `except`, and waits until no validator accepts any, or
/// as long as `patience` says.
///
/// # Errors
/// See [`EndError`]: some may have been ended; asking again completes it.
pub async fn end_others(
    ports: &EndPorts<'_>,
    caller: &Caller,
    tenant: &TenantId,
    user: &UserId,
    except: Option<SessionId>,
    patience: Patience,
) -> Result<EndedMany, EndError> {
    let reason = match caller {
        Caller::User { .. } => EndReason::RevokedByUser,
        Caller::Service(_) => caller.end_reason(SessionId(uuid::Uuid::nil())),
    };
    let mut count = 0;
    loop {
        let change = End {
            targets: Targets::User {
                tenant: tenant.clone(),
                user: user.clone(),
                except,
            },
            why: Why::Because { reason, note: None },
            at: ports.clock.wall(),
            actor: caller.actor(),
            batch: BATCH,
        };
        let EndOutcome {
            ended,
            through,
            fresh,
            more,
            ..
        } = ports.store.apply(change).await?;
        count += ended.len() as u64;
        for session in &ended {
            // A cache that can't remember costs speed, never truth.
            let _ = ports.cache.put(session).await;
        }
        if !more {
            // The log is applied in order: the last fence stands for all before it.
            settle(ports.fence, patience, through, fresh).await?;
            return Ok(EndedMany {
                count,
                seq: through,
            });
        }
        if let Some(fresh) = fresh {
            ports.fence.announce(fresh).await;
        }
    }
}
