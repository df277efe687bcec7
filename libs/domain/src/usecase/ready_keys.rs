//! Have a signing key that every validator knows, before the first token is signed.

use crate::event::Actor;
use crate::port::{
    AddSigningKey, Clock, Fence, KeyRing, PortError, RevocationLog, SessionStore, StoredSigningKey,
};

/// What readying keys needs from the world.
pub struct ReadyKeysPorts<'a> {
    /// Where keys are kept.
    pub store: &'a dyn SessionStore,
    /// Where the log stands.
    pub log: &'a dyn RevocationLog,
    /// The wait for every validator.
    pub fence: &'a dyn Fence,
    /// Makes keys and puts them to use.
    pub ring: &'a dyn KeyRing,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// Makes the deployment's first signing key where there is none, and puts the newest one in
/// service to use. Processes that start together agree on one key.
///
/// # Errors
/// Where the store doesn't answer or a key can't be opened.
pub async fn ready_keys(ports: &ReadyKeysPorts<'_>) -> Result<(), PortError> {
    if newest_in_service(ports.store).await?.is_none() {
        let key = ports.ring.generate(ports.clock.wall())?;
        let outcome = ports
            .store
            .apply(AddSigningKey {
                key,
                only_if_none: true,
                actor: Actor::System,
            })
            .await?;
        ports.fence.wait(outcome.through, outcome.fresh).await?;
    } else {
        // Whoever added it may have died before its fence: nobody signs with it before.
        ports.fence.wait(ports.log.head().await?.seq, None).await?;
    }
    let key = newest_in_service(ports.store).await?;
    let key = key
        .ok_or_else(|| PortError::retry("no signing key", "the only key was retired meanwhile"))?;
    ports.ring.activate(&key)
}

/// The key that signs, or will: the newest in service.
///
/// # Errors
/// Where the store doesn't answer.
pub async fn newest_in_service(
    store: &dyn SessionStore,
) -> Result<Option<StoredSigningKey>, PortError> {
    let keys = store.signing_keys().await?.into_iter();
    Ok(keys
        .filter(|key| key.retired_at.is_none())
        .max_by_key(|key| key.created_at))
}
