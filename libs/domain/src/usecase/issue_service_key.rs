//! Hand a service a key of its own.

use crate::event::Actor;
use crate::ids::{ServiceKeyId, TenantId};
use crate::port::{AddServiceKey, Clock, Entropy, PortError, ServiceKey, SessionStore};
use crate::secret::Credential;
use crate::service_key::{KeyHash, Scopes, generate};

/// A service, as an administrator describes it.
#[derive(Debug, Clone)]
pub struct NewService {
    /// What people call it.
    pub name: String,
    /// The only tenant it may act for; `None` for any.
    pub tenant: Option<TenantId>,
    /// What it may do.
    pub scopes: Scopes,
}

/// Makes a key for a service. The key itself is in this answer and nowhere else.
///
/// # Errors
/// Where the store doesn't answer.
pub async fn issue_service_key(
    store: &dyn SessionStore,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    actor: Actor,
    service: NewService,
) -> Result<(ServiceKey, Credential), PortError> {
    let credential = generate(entropy);
    let key = ServiceKey {
        id: service_key_id(entropy),
        hash: KeyHash::of(credential.expose()),
        name: service.name,
        tenant: service.tenant,
        scopes: service.scopes,
        created_at: clock.wall(),
    };
    let change = AddServiceKey {
        key: key.clone(),
        actor,
    };
    if store.apply(change).await?.added {
        Ok((key, credential))
    } else {
        let source = "a fresh key was known already";
        Err(PortError::fatal("make a service key", source))
    }
}

/// A fresh public handle.
pub(super) fn service_key_id(entropy: &dyn Entropy) -> ServiceKeyId {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    ServiceKeyId(uuid::Builder::from_random_bytes(random).into_uuid())
}
