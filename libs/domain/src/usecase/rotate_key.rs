//! Change the signing key: make one, let every validator know it, then sign with it.

use std::time::Duration;

use crate::event::Actor;
use crate::ids::KeyId;
use crate::port::{AddSigningKey, PortError};
use crate::usecase::ready_keys::{ReadyKeysPorts, newest_in_service};

/// Makes a new signing key and puts it to use once every validator knows it. The ones before stay
/// in service, so that what they signed is good until its own end. Other processes that sign take
/// the new key up when they hear of it ([`crate::usecase::ready_keys`]).
///
/// # Errors
/// Where the store doesn't answer, or the fence can't be waited for; then the key may be known,
/// but isn't in use here.
pub async fn rotate_key(ports: &ReadyKeysPorts<'_>, actor: Actor) -> Result<KeyId, PortError> {
    // The newest one signs: a clock that was set back must not make the new one the older.
    let newest = newest_in_service(ports.store).await?;
    let after = newest.map(|key| key.created_at.plus(Duration::from_micros(1)));
    let at = after.map_or(ports.clock.wall(), |after| after.max(ports.clock.wall()));
    let key = ports.ring.generate(at)?;
    let change = AddSigningKey {
        key: key.clone(),
        only_if_none: false,
        actor,
    };
    let outcome = ports.store.apply(change).await?;
    ports.fence.wait(outcome.through, outcome.fresh).await?;
    ports.ring.activate(&key)?;
    Ok(key.kid().clone())
}
