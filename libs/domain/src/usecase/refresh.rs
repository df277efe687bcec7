//! Trade a refresh token for the next credentials.

use crate::event::Actor;
use crate::ids::Seq;
use crate::policy::SessionPolicy;
use crate::port::{Clock, Fence, PortError, RefreshTokens, Rotate, SessionStore, TokenSigner};
use crate::session::{RefreshVerdict, Seeded, Session};
use crate::usecase::issue::{Issued, issue};

/// What refreshing needs from the world.
pub struct RefreshPorts<'a> {
    /// Where sessions are kept.
    pub store: &'a dyn SessionStore,
    /// How a theft's end is announced.
    pub fence: &'a dyn Fence,
    /// Signs tokens.
    pub signer: &'a dyn TokenSigner,
    /// Reads and derives refresh tokens.
    pub refresh: &'a dyn RefreshTokens,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// The session goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Refreshed {
    /// The session.
    pub session: Session,
    /// Its new credentials.
    pub issued: Issued,
}

/// Why no credentials were issued. The holder learns the same of all but the last.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It isn't a refresh token of ours, or its session is gone.
    #[error("not a refresh token")]
    Unknown,
    /// Its session has ended.
    #[error("the session has ended")]
    Ended {
        /// The end's place in the log.
        seq: Seq,
    },
    /// It had been used before: a copy is in somebody else's hands, and the session is ended.
    #[error("the refresh token was used before")]
    Reused {
        /// The session that was ended.
        session: Box<Session>,
    },
    /// Something needed didn't work; the same token may be tried again.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Rotates a session's refresh token and issues the next credentials.
///
/// The proof comes first: nobody who merely knows a session's id can end it by a made-up token.
///
/// # Errors
/// See [`RefreshError`].
pub async fn refresh(
    ports: &RefreshPorts<'_>,
    policy: &SessionPolicy,
    token: &str,
) -> Result<Refreshed, RefreshError> {
    let claim = ports.refresh.read(token).ok_or(RefreshError::Unknown)?;
    let found = ports.store.find_for_refresh(claim.session).await?;
    let Seeded { session, seed } = found.ok_or(RefreshError::Unknown)?;
    if !ports.refresh.proves(&claim, &seed) {
        return Err(RefreshError::Unknown);
    }
    let change = Rotate {
        tenant: session.tenant,
        id: session.id,
        presented: claim.generation,
        seed: seed.clone(),
        at: ports.clock.wall(),
        grace: policy.refresh_grace,
        actor: Actor::User {
            session: session.id,
        },
    };
    let outcome = ports.store.apply(change).await?;
    if let Some(fresh) = outcome.fresh {
        ports.fence.announce(fresh).await;
    }
    let (verdict, session) = outcome.judged.ok_or(RefreshError::Unknown)?;
    match verdict {
        RefreshVerdict::Rotate | RefreshVerdict::Repeat => {
            let issued = issue(ports.signer, ports.refresh, policy, &session, &seed)?;
            Ok(Refreshed {
                session: *session,
                issued,
            })
        }
        RefreshVerdict::Reused => Err(RefreshError::Reused { session }),
        RefreshVerdict::NeverIssued => Err(RefreshError::Unknown),
        RefreshVerdict::Ended(ending) => Err(RefreshError::Ended { seq: ending.seq }),
    }
}
