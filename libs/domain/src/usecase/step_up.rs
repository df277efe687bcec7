//! Give a session new credentials, because its user has proven more. When this returns, no
//! validator anywhere accepts the old ones.

use std::time::Duration;

use crate::ids::{Seq, SessionId, TenantId};
use crate::policy::SessionPolicy;
use crate::port::{
    Clock, Entropy, Fence, PortError, RefreshTokens, SessionCache, SessionStore, StepUp,
    TokenSigner,
};
use crate::service_key::Scope;
use crate::session::{Authentication, Over, Session};
use crate::time::Timestamp;
use crate::usecase::caller::Caller;
use crate::usecase::find::reachable;
use crate::usecase::issue::{Issued, issue};
use crate::usecase::start::AUTH_TIME_AHEAD_MAX;

/// What stepping up needs from the world.
pub struct StepUpPorts<'a> {
    /// Where sessions are kept.
    pub store: &'a dyn SessionStore,
    /// Recent readings.
    pub cache: &'a dyn SessionCache,
    /// The wait for every validator.
    pub fence: &'a dyn Fence,
    /// Signs tokens.
    pub signer: &'a dyn TokenSigner,
    /// Derives refresh tokens.
    pub refresh: &'a dyn RefreshTokens,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub entropy: &'a dyn Entropy,
}

/// What the user has just proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The context class reached now.
    pub acr: Option<String>,
    /// The methods used, all of those the session now stands on.
    pub amr: Vec<String>,
    /// When; `None` for now.
    pub auth_time: Option<Timestamp>,
}

/// The session goes on with new credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct SteppedUp {
    /// The session.
    pub session: Session,
    /// Its credentials.
    pub issued: Issued,
    /// The log entry that ended the old ones.
    pub seq: Seq,
}

/// Why the session has no new credentials, or none that are known to be the only ones.
#[derive(Debug, thiserror::Error)]
pub enum StepUpError {
    /// There is no such session, or none the caller may step up.
    #[error("no such session")]
    Unknown,
    /// Something in the request breaks a rule.
    #[error("{field} must be {rule}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// The rule, worded to follow "must be".
        rule: &'static str,
    },
    /// It is over.
    #[error("the session is over")]
    Over(Over),
    /// Something needed didn't work. The old credentials may be dead; asking again gives new ones.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Draws new credentials for a session and waits until no validator accepts the old ones.
///
/// # Errors
/// See [`StepUpError`].
pub async fn step_up(
    ports: &StepUpPorts<'_>,
    policy: &SessionPolicy,
    caller: &Caller,
    tenant: &TenantId,
    id: SessionId,
    proof: Proof,
) -> Result<SteppedUp, StepUpError> {
    let at = ports.clock.wall();
    let authentication = authentication(proof, at)?;
    reachable(ports.store, caller, tenant, id, Scope::Create)
        .await?
        .ok_or(StepUpError::Unknown)?;
    let seed = ports.entropy.secret();
    let change = StepUp {
        tenant: tenant.clone(),
        id,
        authentication,
        seed: seed.clone(),
        at,
        actor: caller.actor(),
    };
    let judged = ports.store.apply(change).await?;
    let done = judged
        .ok_or(StepUpError::Unknown)?
        .map_err(StepUpError::Over)?;
    let (session, seq) = (done.session, done.fresh.last());
    ports.fence.wait(seq, Some(done.fresh)).await?;
    // A cache that can't remember costs speed, never truth.
    let _ = ports.cache.put(&session).await;
    let issued = issue(ports.signer, ports.refresh, policy, &session, &seed)?;
    Ok(SteppedUp {
        session,
        issued,
        seq,
    })
}

fn authentication(proof: Proof, now: Timestamp) -> Result<Authentication, StepUpError> {
    let auth_time = proof.auth_time.unwrap_or(now);
    let ahead: Duration = auth_time.since(now);
    if ahead > AUTH_TIME_AHEAD_MAX {
        let (field, rule) = ("auth_time", "in the past");
        return Err(StepUpError::Invalid { field, rule });
    }
    Ok(Authentication {
        auth_time,
        acr: proof.acr,
        amr: proof.amr,
    })
}
