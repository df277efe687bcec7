//! End one session. When this returns, no validator anywhere accepts it.

use futures::future::join;

use crate::ids::{Seq, SessionId, TenantId};
use crate::port::{
    Clock, End, EndOutcome, Fence, PortError, SessionCache, SessionStore, Targets, Why,
};
use crate::revocation::Publication;
use crate::service_key::Scope;
use crate::session::Session;
use crate::usecase::caller::Caller;
use crate::usecase::find::reachable;

/// What ending needs from the world.
pub struct EndPorts<'a> {
    /// Where sessions are kept.
    pub store: &'a dyn SessionStore,
    /// Recent readings.
    pub cache: &'a dyn SessionCache,
    /// The wait for every validator.
    pub fence: &'a dyn Fence,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// How long whoever ends something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until no validator anywhere accepts it.
    UntilRefused,
    /// Until the end is written: validators learn of it at once, and one that can't be reached may
    /// accept it until its lease is over.
    UntilWritten,
}

/// It is over, and with the patience for it nobody accepts it any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The session. Where it had ended before, with that ending.
    pub session: Session,
    /// The log entry that every validator has applied or can't answer without; or will, where the
    /// caller didn't wait.
    pub seq: Seq,
}

/// Why an end isn't confirmed.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// There is no such session, or none the caller may end.
    #[error("no such session")]
    Unknown,
    /// Something needed didn't work. The end may have been written; asking again completes it.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Waits as long as was wished for the entry `through`, of which `fresh` is the news.
pub(crate) async fn settle(
    fence: &dyn Fence,
    patience: Patience,
    through: Seq,
    fresh: Option<Publication>,
) -> Result<(), PortError> {
    match (patience, fresh) {
        (Patience::UntilRefused, fresh) => fence.wait(through, fresh).await,
        (Patience::UntilWritten, Some(fresh)) => {
            fence.announce(fresh).await;
            Ok(())
        }
        (Patience::UntilWritten, None) => Ok(()),
    }
}

/// Ends a session on behalf of `caller`, and waits until no validator accepts it, or as long as
/// `patience` says.
///
/// Ending what has ended is a success, after waiting for *that* end's fence: a repeated request
/// must not be answered before the first one could have been.
///
/// # Errors
/// See [`EndError`].
pub async fn end(
    ports: &EndPorts<'_>,
    caller: &Caller,
    tenant: &TenantId,
    id: SessionId,
    note: Option<String>,
    patience: Patience,
) -> Result<Ended, EndError> {
    // Who may end any session of the tenant needn't look at it first: if there is none, the end
    // itself finds out.
    if !caller.reaches_all_of(tenant, Scope::Revoke) {
        reachable(ports.store, caller, tenant, id, Scope::Revoke)
            .await?
            .ok_or(EndError::Unknown)?;
    }
    let change = End {
        targets: Targets::One {
            tenant: tenant.clone(),
            id,
        },
        why: Why::Because {
            reason: caller.end_reason(id),
            note,
        },
        at: ports.clock.wall(),
        actor: caller.actor(),
        batch: 1,
    };
    let EndOutcome {
        ended,
        already,
        through,
        fresh,
        more: _,
    } = ports.store.apply(change).await?;
    let session = ended
        .into_iter()
        .next()
        .or(already.map(|session| *session))
        .ok_or(EndError::Unknown)?;
    // A cache that can't remember costs speed, never truth.
    let (settled, _) = join(
        settle(ports.fence, patience, through, fresh),
        ports.cache.put(&session),
    )
    .await;
    settled?;
    Ok(Ended {
        session,
        seq: through,
    })
}
