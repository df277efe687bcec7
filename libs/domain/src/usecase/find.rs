//! Look at one session.

use crate::ids::{SessionId, TenantId};
use crate::port::{Clock, PortError, SessionCache, SessionStore};
use crate::revocation::{RevocationState, Standing};
use crate::service_key::Scope;
use crate::session::{Session, Status};
use crate::usecase::caller::Caller;

/// What looking needs from the world.
pub struct FindPorts<'a> {
    /// The truth.
    pub store: &'a dyn SessionStore,
    /// Recent readings of it.
    pub cache: &'a dyn SessionCache,
    /// What is known of ends, so that a remembered reading is never shown as alive after its end.
    pub revocations: &'a RevocationState,
    /// By which the lease is measured under which that is known.
    pub clock: &'a dyn Clock,
}

/// The session of that id, if the caller may see it; one that isn't theirs doesn't exist.
///
/// # Errors
/// Where the store doesn't answer. A cache that doesn't is passed over.
pub async fn find(
    ports: &FindPorts<'_>,
    caller: &Caller,
    tenant: &TenantId,
    id: SessionId,
) -> Result<Option<Session>, PortError> {
    let session = match remembered(ports, tenant, id).await {
        Some(session) => Some(session),
        None => read(ports, tenant, id).await?,
    };
    Ok(session.filter(|session| caller.reaches(session, Scope::Read)))
}

/// The session of that id as it is in the store, if the caller may do to it what `scope` stands
/// for; one that isn't theirs doesn't exist. For changes, which never start from a remembered
/// reading.
///
/// # Errors
/// Where the store doesn't answer.
pub async fn reachable(
    store: &dyn SessionStore,
    caller: &Caller,
    tenant: &TenantId,
    id: SessionId,
    scope: Scope,
) -> Result<Option<Session>, PortError> {
    let session = store.find(tenant, id).await?;
    Ok(session.filter(|session| caller.reaches(session, scope)))
}

/// What is remembered of it, where that agrees with what is known of ends.
///
/// In the order of every decision from memory (see [`crate::usecase::validate`]): the deadline
/// first, the clock last. Without a lease nothing is known well enough, and only the truth will do:
/// a cache, however old or wrong what it holds is, never says that a session lives, or doesn't.
async fn remembered(ports: &FindPorts<'_>, tenant: &TenantId, id: SessionId) -> Option<Session> {
    let deadline = ports.revocations.deadline();
    let session = ports.cache.get(tenant, id).await.ok()??;
    let standing = ports.revocations.standing(tenant, session.serial);
    let agrees = match session.status {
        Status::Active => standing == Standing::Live,
        Status::Ended(_) => standing == Standing::Ended,
    };
    let leased = ports.clock.boot() < deadline;
    (agrees && leased).then_some(session)
}

async fn read(
    ports: &FindPorts<'_>,
    tenant: &TenantId,
    id: SessionId,
) -> Result<Option<Session>, PortError> {
    let session = ports.store.find(tenant, id).await?;
    if let Some(session) = &session {
        // A cache that can't remember costs speed, never truth.
        let _ = ports.cache.put(session).await;
    }
    Ok(session)
}
