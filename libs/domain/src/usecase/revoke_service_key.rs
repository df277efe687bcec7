//! Withdraw a service's key. It is asked for with every request, so none that begins afterwards
//! is carried out.

use crate::ids::ServiceKeyId;
use crate::port::{Clock, PortError, RevokeServiceKey, SessionStore};
use crate::usecase::caller::Caller;

/// Why a service key isn't withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum RevokeServiceKeyError {
    /// There is no such key.
    #[error("no such service key")]
    Unknown,
    /// It is the caller's own: whoever withdraws it could not undo that.
    #[error("the caller's own key")]
    Own,
    /// Something needed didn't work.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Withdraws a service key other than the caller's own. Doing so twice is a success.
///
/// # Errors
/// See [`RevokeServiceKeyError`].
pub async fn revoke_service_key(
    store: &dyn SessionStore,
    clock: &dyn Clock,
    caller: &Caller,
    id: ServiceKeyId,
) -> Result<(), RevokeServiceKeyError> {
    if matches!(caller, Caller::Service(own) if own.id == id) {
        return Err(RevokeServiceKeyError::Own);
    }
    let change = RevokeServiceKey {
        id,
        at: clock.wall(),
        actor: caller.actor(),
    };
    if store.apply(change).await?.known {
        Ok(())
    } else {
        Err(RevokeServiceKeyError::Unknown)
    }
}
