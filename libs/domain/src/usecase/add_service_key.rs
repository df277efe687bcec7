//! Make a service known.

use crate::event::Actor;
use crate::ids::TenantId;
use crate::port::{AddServiceKey, Clock, Entropy, PortError, ServiceKey, SessionStore};
use crate::service_key::{KeyHash, Scopes};
use crate::usecase::issue_service_key::service_key_id;

/// Makes the service known that will present `key`, if it isn't already. The key itself isn't
/// kept. Returns whether it was new.
///
/// # Errors
/// Where the store doesn't answer.
pub async fn add_service_key(
    store: &dyn SessionStore,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    name: &str,
    tenant: Option<TenantId>,
    scopes: Scopes,
    key: &str,
) -> Result<bool, PortError> {
    let key = ServiceKey {
        id: service_key_id(entropy),
        hash: KeyHash::of(key),
        name: name.to_owned(),
        tenant,
        scopes,
        created_at: clock.wall(),
    };
    Ok(store
        .apply(AddServiceKey {
            key,
            actor: Actor::System,
        })
        .await?
        .added)
}
