//! Have a signing key that every validator knows, before the first token is signed.

use crate::port::{AddSigningKey, Clock, Fence, KeyRing, PortError, RevocationLog, SessionStore};

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
    let in_service = async || {
        let keys = ports.store.signing_keys().await?;
        Ok::<_, PortError>(
            keys.into_iter()
                .filter(|key| key.retired_at.is_none())
                .max_by_key(|key| key.created_at),
        )
    };
    if in_service().await?.is_none() {
        let key = ports.ring.generate(ports.clock.wall())?;
        let outcome = ports
            .store
            .apply(AddSigningKey {
                key,
                only_if_none: true,
            })
            .await?;
        ports.fence.wait(outcome.through, outcome.fresh).await?;
    } else {
        // Whoever added it may have died before its fence: nobody signs with it before.
        ports.fence.wait(ports.log.head().await?.seq, None).await?;
    }
    let key = in_service().await?;
    let key = key
        .ok_or_else(|| PortError::retry("no signing key", "the only key was retired meanwhile"))?;
    ports.ring.activate(&key)
}
