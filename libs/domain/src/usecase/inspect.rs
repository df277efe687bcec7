//! Is this token still good, and what is known of its session? For services that ask over HTTP
//! instead of standing behind a validator.

use std::time::Duration;

use crate::port::{Bus, PortError};
use crate::service_key::Scope;
use crate::session::Session;
use crate::token::{Claims, Refusal, TokenKind};
use crate::usecase::caller::Caller;
use crate::usecase::find::{FindPorts, find};
use crate::usecase::touch::Activity;
use crate::usecase::validate::{Memory, Requirements, Verdict, validate};

/// What inspecting needs from the world.
pub struct InspectPorts<'a> {
    /// What is known of ends, and who checks signatures.
    pub memory: Memory<'a>,
    /// The way to the authority, where memory doesn't suffice.
    pub bus: &'a dyn Bus,
    /// How sessions are looked at.
    pub find: FindPorts<'a>,
    /// Where uses are noted.
    pub activity: &'a Activity,
}

/// Judges a session token, or an access token: whichever it says it is. `None` where it isn't
/// good, whatever the reason: also for a token of a session out of the caller's reach.
///
/// Where `is_use`, the session counts as used now.
///
/// # Errors
/// Where it can't be known right now. Never to be taken for a yes.
pub async fn inspect(
    ports: &InspectPorts<'_>,
    within: Duration,
    requirements: &Requirements,
    caller: &Caller,
    token: &str,
    is_use: bool,
) -> Result<Option<Session>, PortError> {
    let Some(claims) = judge(ports, within, requirements, token).await? else {
        return Ok(None);
    };
    let now = ports.memory.clock.wall();
    let found = find(&ports.find, caller, &claims.tenant, claims.session).await?;
    let session = match found {
        // A remembered reading may be from before an extension: only the truth says "over".
        Some(session) if session.alive_at(now).is_err() => {
            let truth = ports
                .find
                .store
                .find(&claims.tenant, claims.session)
                .await?;
            truth.filter(|session| caller.reaches(session, Scope::Read))
        }
        found => found,
    };
    let good = session.filter(|session| session.alive_at(now).is_ok());
    if is_use && let Some(session) = &good {
        let clock = ports.memory.clock;
        ports
            .activity
            .note(&session.tenant, session.id, || clock.wall());
    }
    Ok(good)
}

async fn judge(
    ports: &InspectPorts<'_>,
    within: Duration,
    requirements: &Requirements,
    token: &str,
) -> Result<Option<Claims>, PortError> {
    // The verifier alone knows a token's kind; a session token is what is usual here.
    for kind in [TokenKind::Session, TokenKind::Access] {
        match validate(&ports.memory, ports.bus, within, token, kind, requirements).await {
            Verdict::Accept(claims) => return Ok(Some(claims)),
            Verdict::Deny(Refusal::Kind) => {}
            Verdict::Deny(_) => return Ok(None),
            Verdict::Unavailable => {
                return Err(PortError::retry(
                    "judge a token",
                    "no lease and no authority",
                ));
            }
        }
    }
    Ok(None)
}
