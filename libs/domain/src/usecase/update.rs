//! Change what is remembered of a session.

use crate::ids::{SessionId, TenantId, Version};
use crate::port::{PortError, Update};
use crate::service_key::Scope;
use crate::session::{Over, Session, SessionUpdate, UpdateRefusal};
use crate::usecase::caller::Caller;
use crate::usecase::extend::AdjustPorts;
use crate::usecase::find::reachable;
use crate::usecase::start::{METADATA_BYTES_MAX, metadata_fits};

/// Why a session isn't updated.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// There is no such session, or none the caller may update.
    #[error("no such session")]
    Unknown,
    /// Something in the request breaks a rule.
    #[error("{field} must be {rule}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// The rule, worded to follow "must be".
        rule: String,
    },
    /// It is over.
    #[error("the session is over")]
    Over(Over),
    /// It was made for another version than this one, which is the session's now.
    #[error("the session has changed since")]
    Version(Version),
    /// Something needed didn't work.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Changes what `update` names. Its user may, and the services that start sessions.
///
/// # Errors
/// See [`UpdateError`]; nothing was changed.
pub async fn update(
    ports: &AdjustPorts<'_>,
    caller: &Caller,
    tenant: &TenantId,
    id: SessionId,
    update: SessionUpdate,
) -> Result<Session, UpdateError> {
    check(&update)?;
    let found = reachable(ports.store, caller, tenant, id, Scope::Create).await?;
    let absolute_end = found.ok_or(UpdateError::Unknown)?.absolute_expires_at;
    let change = Update {
        tenant: tenant.clone(),
        id,
        update,
        at: ports.clock.wall(),
        actor: caller.actor(),
    };
    let judged = ports.store.apply(change).await?;
    let session = judged
        .ok_or(UpdateError::Unknown)?
        .map_err(|refusal| match refusal {
            UpdateRefusal::Over(over) => UpdateError::Over(over),
            UpdateRefusal::Version(version) => UpdateError::Version(version),
            UpdateRefusal::ExpiresAt => UpdateError::Invalid {
                field: "expires_at",
                rule: format!(
                    "in the future and at most the session's absolute end, {} seconds since 1970",
                    absolute_end.unix_seconds()
                ),
            },
        })?;
    // A cache that can't remember costs speed, never truth.
    let _ = ports.cache.put(&session).await;
    Ok(*session)
}

fn check(update: &SessionUpdate) -> Result<(), UpdateError> {
    let invalid = |field, rule| Err(UpdateError::Invalid { field, rule });
    if update.fields().is_empty() {
        return invalid(".", "an object that names something to change".to_owned());
    }
    match &update.metadata {
        Some(metadata) if !metadata_fits(metadata) => invalid(
            "metadata",
            format!("at most {METADATA_BYTES_MAX} bytes of JSON"),
        ),
        _ => Ok(()),
    }
}
