//! Let a session last longer.

use std::time::Duration;

use crate::ids::{SessionId, TenantId};
use crate::port::{Clock, Extend, PortError, SessionCache, SessionStore};
use crate::service_key::Scope;
use crate::session::{ExtendRefusal, Over, Session};
use crate::usecase::caller::Caller;
use crate::usecase::find::reachable;

/// By how much a session may be extended at once, at the least.
pub const EXTENSION_MIN: Duration = Duration::from_mins(5);

/// By how much a session may be extended at once, at the most.
pub const EXTENSION_MAX: Duration = Duration::from_hours(24);

/// By how much a session is extended where nobody says.
pub const EXTENSION_DEFAULT: Duration = Duration::from_hours(1);

/// What changing a session needs from the world.
pub struct AdjustPorts<'a> {
    /// Where sessions are kept.
    pub store: &'a dyn SessionStore,
    /// Recent readings.
    pub cache: &'a dyn SessionCache,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// Why a session isn't extended.
#[derive(Debug, thiserror::Error)]
pub enum ExtendError {
    /// There is no such session, or none the caller may extend.
    #[error("no such session")]
    Unknown,
    /// It is over.
    #[error("the session is over")]
    Over(Over),
    /// It lasts until its absolute end already.
    #[error("the session lasts until its absolute end already")]
    AtAbsoluteEnd,
    /// Something needed didn't work.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Moves a session's end `by` later, at most to its absolute end. Its user may, and the services
/// that start sessions: what may be begun for so long may be begun again.
///
/// # Errors
/// See [`ExtendError`].
pub async fn extend(
    ports: &AdjustPorts<'_>,
    caller: &Caller,
    tenant: &TenantId,
    id: SessionId,
    by: Duration,
) -> Result<Session, ExtendError> {
    reachable(ports.store, caller, tenant, id, Scope::Create)
        .await?
        .ok_or(ExtendError::Unknown)?;
    let change = Extend {
        tenant: tenant.clone(),
        id,
        by,
        at: ports.clock.wall(),
        actor: caller.actor(),
    };
    let judged = ports.store.apply(change).await?;
    let session = judged
        .ok_or(ExtendError::Unknown)?
        .map_err(|refusal| match refusal {
            ExtendRefusal::Over(over) => ExtendError::Over(over),
            ExtendRefusal::AtAbsoluteEnd => ExtendError::AtAbsoluteEnd,
        })?;
    // A cache that can't remember costs speed, never truth.
    let _ = ports.cache.put(&session).await;
    Ok(*session)
}
