//! Withdraw a signing key. When this returns, no validator anywhere accepts what it signed.

use crate::event::Actor;
use crate::ids::{KeyId, Seq};
use crate::port::{PortError, RetireOutcome, RetireSigningKey};
use crate::usecase::ready_keys::{ReadyKeysPorts, newest_in_service};
use crate::usecase::rotate_key::rotate_key;

/// How often it is tried: each time, somebody else may retire what was made to follow.
const ATTEMPTS: usize = 3;

/// A key is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// The log entry that every validator has applied or can't answer without.
    pub seq: Seq,
    /// The key made to follow it, where it was the one that signs.
    pub successor: Option<KeyId>,
}

/// Why a key isn't known to be withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum RetireKeyError {
    /// There is no such key.
    #[error("no such key")]
    Unknown,
    /// Something needed didn't work. It may be withdrawn; asking again completes it.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Withdraws a key and waits until no validator accepts what it signed. Where it is the one that
/// signs, a successor is made and put to use first.
///
/// # Errors
/// See [`RetireKeyError`].
pub async fn retire_key(
    ports: &ReadyKeysPorts<'_>,
    actor: Actor,
    kid: KeyId,
) -> Result<Retired, RetireKeyError> {
    let mut successor = None;
    for _ in 0..ATTEMPTS {
        // The newest key in service signs: here, or wherever somebody just took it up.
        if newest_in_service(ports.store)
            .await?
            .is_some_and(|newest| *newest.kid() == kid)
        {
            successor = Some(rotate_key(ports, actor.clone()).await?);
        }
        let change = RetireSigningKey {
            kid: kid.clone(),
            at: ports.clock.wall(),
            actor: actor.clone(),
        };
        match ports.store.apply(change).await? {
            RetireOutcome::Unknown => return Err(RetireKeyError::Unknown),
            RetireOutcome::LastOne => {}
            RetireOutcome::Retired { through, fresh } => {
                ports.fence.wait(through, fresh).await?;
                return Ok(Retired {
                    seq: through,
                    successor,
                });
            }
        }
    }
    let busy = PortError::retry(
        "retire a signing key",
        "its successors were retired meanwhile",
    );
    Err(busy.into())
}
