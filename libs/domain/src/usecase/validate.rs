//! Is this session still good? The question asked on every request, answered from memory.

use std::marker::PhantomData;
use std::time::Duration;

use crate::port::{Bus, BusReply, BusRequest, Clock, TokenVerifier};
use crate::revocation::{AllGuards, CheckQuery, CheckVerdict, Guards, RevocationState, Standing};
use crate::time::{BootInstant, Timestamp};
use crate::token::{Claims, Refusal, TokenKind};

/// How far the reaper may lag, where nobody decides, before session tokens, whose own `exp` is far
/// away, are checked with the authority: a reaper that died must not mean sessions that live for
/// ever.
pub const REAPER_LAG_MAX: Duration = Duration::from_secs(60);

/// How far in the future a token may have been issued: the spread of several authorities'
/// estimates of the one clock, which is that of the database.
pub const ISSUED_AHEAD_MAX: Duration = Duration::from_secs(5);

/// What a token must be to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// The audience it must be for.
    pub audience: String,
    /// How far the reaper may lag before session tokens are checked with the authority.
    pub reaper_lag_max: Duration,
}

/// What the memory of this process says about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// It is good.
    Accept(Claims),
    /// It isn't, and won't be.
    Deny(Refusal),
    /// Its signature is good, but there is no lease to answer by: ask the authority.
    Ask(Claims),
    /// Nothing can be said: this process has no keys yet.
    Blind,
}

/// The answer for a gateway.
#[expect(
    clippy::large_enum_variant,
    reason = "made and taken apart once per request, where a box would be an allocation"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Accept(Claims),
    /// It isn't.
    Deny(Refusal),
    /// It can't be known right now. Never to be taken for a yes.
    Unavailable,
}

/// What a decision from memory needs.
pub struct Memory<'a> {
    /// The revocation state and the lease.
    pub state: &'a RevocationState,
    /// Checks signatures and form.
    pub verifier: &'a dyn TokenVerifier,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// Judges a token from memory.
///
/// The order is the heart of the promise. The deadline is loaded *first*: the state looked at
/// afterwards is at least as new as the lease it belongs to. The clock is read *last*: however
/// long this thread was held up in between, an answer is given only within that lease.
pub fn decide(
    memory: &Memory<'_>,
    token: &str,
    kind: TokenKind,
    requirements: &Requirements,
) -> Local {
    let begun = Begun::<AllGuards>::begin(memory);
    let judged = begun.judge(memory, token, kind, requirements);
    judged.answer(memory)
}

/// A decision's first step: the deadline is in hand.
///
/// The steps of a decision are values of their own, so that their order can't be mistaken and a
/// simulator can hold a thread up between any two of them.
#[derive(Debug, Clone)]
#[must_use]
pub struct Begun<G = AllGuards> {
    deadline: BootInstant,
    /// The clock, where it isn't read last.
    early: BootInstant,
    guards: PhantomData<G>,
}

impl<G: Guards> Begun<G> {
    /// Loads the deadline.
    #[inline]
    pub fn begin(memory: &Memory<'_>) -> Self {
        let early = if G::CLOCK_LAST {
            BootInstant::default()
        } else {
            memory.clock.boot()
        };
        Self {
            deadline: memory.state.deadline(),
            early,
            guards: PhantomData,
        }
    }

    /// Verifies and looks up.
    #[inline]
    pub fn judge(
        self,
        memory: &Memory<'_>,
        token: &str,
        kind: TokenKind,
        requirements: &Requirements,
    ) -> Judged<G> {
        let verified = memory.verifier.verify(token, kind, &memory.state.keys());
        Judged {
            begun: self,
            kind,
            reaper_lag_max: requirements.reaper_lag_max,
            verified: verified.and_then(|claims| judge::<G>(memory.state, claims, requirements)),
        }
    }
}

/// A decision's second step: the token has been judged by what was known since.
#[derive(Debug, Clone)]
#[must_use]
pub struct Judged<G = AllGuards> {
    begun: Begun<G>,
    kind: TokenKind,
    reaper_lag_max: Duration,
    verified: Result<Claims, Refusal>,
}

impl<G: Guards> Judged<G> {
    /// Reads the clock and answers.
    #[inline]
    pub fn answer(self, memory: &Memory<'_>) -> Local {
        let deadline = if G::DEADLINE_FIRST {
            self.begun.deadline
        } else {
            memory.state.deadline()
        };
        let now = if G::CLOCK_LAST {
            memory.clock.boot()
        } else {
            self.begun.early
        };
        let leased = now < deadline;
        match self.verified {
            // A key may be unknown because nothing has been heard for too long.
            Err(Refusal::UnknownKey) if !leased => Local::Blind,
            Err(refusal) => Local::Deny(refusal),
            Ok(claims) if !leased => Local::Ask(claims),
            Ok(claims) => {
                let server_time = memory.state.server_time(now);
                let reaped =
                    server_time.since(memory.state.reaped_through()) <= self.reaper_lag_max;
                match judge_time(&claims, server_time) {
                    Err(refusal) => Local::Deny(refusal),
                    Ok(()) if self.kind == TokenKind::Session && !reaped => Local::Ask(claims),
                    Ok(()) => Local::Accept(claims),
                }
            }
        }
    }
}

/// Judges a token, asking the authority where memory doesn't suffice, for at most `within`.
pub async fn validate(
    memory: &Memory<'_>,
    bus: &dyn Bus,
    within: Duration,
    token: &str,
    kind: TokenKind,
    requirements: &Requirements,
) -> Verdict {
    match decide(memory, token, kind, requirements) {
        Local::Accept(claims) => Verdict::Accept(claims),
        Local::Deny(refusal) => Verdict::Deny(refusal),
        Local::Blind => Verdict::Unavailable,
        Local::Ask(claims) => ask(memory.state, bus, within, claims).await,
    }
}

async fn ask(state: &RevocationState, bus: &dyn Bus, within: Duration, claims: Claims) -> Verdict {
    let query = query(&claims);
    match bus.request(BusRequest::Check(query), within).await {
        Ok(BusReply::Check(verdict)) => conclude(state, claims, verdict),
        // Any other answer, or none, is no yes.
        Ok(_) | Err(_) => Verdict::Unavailable,
    }
}

/// What the authority is asked about a token that [`decide`] could not judge alone.
pub fn query(claims: &Claims) -> CheckQuery {
    CheckQuery {
        tenant: claims.tenant.clone(),
        session: claims.session,
        serial: claims.serial,
        key: claims.key.clone(),
    }
}

/// What the authority's answer means for the token. An end is remembered in `state`, so that this
/// process never takes the refusal back.
pub fn conclude(state: &RevocationState, claims: Claims, verdict: CheckVerdict) -> Verdict {
    conclude_under::<AllGuards>(state, claims, verdict)
}

/// [`conclude`], by the guards that hold.
pub fn conclude_under<G: Guards>(
    state: &RevocationState,
    claims: Claims,
    verdict: CheckVerdict,
) -> Verdict {
    if verdict == CheckVerdict::Dead && G::REFUSAL_REMEMBERED {
        state.end(claims.serial);
    }
    match verdict {
        CheckVerdict::Alive { server_time } => match judge_time(&claims, server_time) {
            Ok(()) => Verdict::Accept(claims),
            Err(refusal) => Verdict::Deny(refusal),
        },
        CheckVerdict::Dead => Verdict::Deny(Refusal::Ended),
        CheckVerdict::UnknownKey => Verdict::Deny(Refusal::UnknownKey),
    }
}

fn judge<G: Guards>(
    state: &RevocationState,
    claims: Claims,
    requirements: &Requirements,
) -> Result<Claims, Refusal> {
    if !claims.audience.contains(&requirements.audience) {
        return Err(Refusal::Audience);
    }
    match state.standing_under::<G>(&claims.tenant, claims.serial) {
        Standing::Live => Ok(claims),
        Standing::Ended => Err(Refusal::Ended),
    }
}

fn judge_time(claims: &Claims, server_time: Timestamp) -> Result<(), Refusal> {
    if server_time >= claims.expires_at {
        Err(Refusal::Expired)
    } else if claims.issued_at > server_time.plus(ISSUED_AHEAD_MAX) {
        Err(Refusal::NotYet)
    } else {
        Ok(())
    }
}
