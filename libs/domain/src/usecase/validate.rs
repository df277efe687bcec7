//! Is this session still good? The question asked on every request, answered from memory.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::time::Duration;

use crate::port::{Bus, BusReply, BusRequest, Clock, TokenVerifier};
use crate::revocation::{
    AllGuards, CheckQuery, CheckVerdict, Guards, KeySet, RevocationState, Standing,
};
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

/// What the memory of this process says about a token, whose claims come in whatever holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local<C = Claims> {
    /// It is good.
    Accept(C),
    /// It isn't, and won't be.
    Deny(Refusal),
    /// Its signature is good, but there is no lease to answer by: ask the authority.
    Ask(C),
    /// Nothing can be said: this process has no keys yet.
    Blind,
}

/// The answer for a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<C = Claims> {
    /// It is good.
    Accept(C),
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
    let verify = |keys: &KeySet| memory.verifier.verify(token, kind, keys);
    decide_by(memory, kind, requirements, verify)
}

/// [`decide`], where `verify` says which claims `kind` of token has by the keys in service. It is
/// asked once, after the deadline has been loaded, and MUST honour no key but those: it may
/// remember what they have verified, never what they would.
pub fn decide_by<C: Borrow<Claims>>(
    memory: &Memory<'_>,
    kind: TokenKind,
    requirements: &Requirements,
    verify: impl FnOnce(&KeySet) -> Result<C, Refusal>,
) -> Local<C> {
    let begun = Begun::<AllGuards>::begin(memory);
    let judged = begun.judge_by(memory, kind, requirements, verify);
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
        let verify = |keys: &KeySet| memory.verifier.verify(token, kind, keys);
        self.judge_by(memory, kind, requirements, verify)
    }

    /// [`Self::judge`], verifying as [`decide_by`] says.
    #[inline]
    pub fn judge_by<C: Borrow<Claims>>(
        self,
        memory: &Memory<'_>,
        kind: TokenKind,
        requirements: &Requirements,
        verify: impl FnOnce(&KeySet) -> Result<C, Refusal>,
    ) -> Judged<G, C> {
        let verified = verify(&memory.state.keys());
        let judge = |claims: C| {
            judge::<G>(memory.state, claims.borrow(), requirements)?;
            Ok(claims)
        };
        Judged {
            begun: self,
            kind,
            reaper_lag_max: requirements.reaper_lag_max,
            verified: verified.and_then(judge),
        }
    }
}

/// A decision's second step: the token has been judged by what was known since.
#[derive(Debug, Clone)]
#[must_use]
pub struct Judged<G = AllGuards, C = Claims> {
    begun: Begun<G>,
    kind: TokenKind,
    reaper_lag_max: Duration,
    verified: Result<C, Refusal>,
}

impl<G: Guards, C: Borrow<Claims>> Judged<G, C> {
    /// Reads the clock and answers.
    #[inline]
    pub fn answer(self, memory: &Memory<'_>) -> Local<C> {
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
                match judge_time(claims.borrow(), server_time) {
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
pub fn conclude<C: Borrow<Claims>>(
    state: &RevocationState,
    claims: C,
    verdict: CheckVerdict,
) -> Verdict<C> {
    conclude_under::<AllGuards, C>(state, claims, verdict)
}

/// [`conclude`], by the guards that hold.
pub fn conclude_under<G: Guards, C: Borrow<Claims>>(
    state: &RevocationState,
    claims: C,
    verdict: CheckVerdict,
) -> Verdict<C> {
    if verdict == CheckVerdict::Dead && G::REFUSAL_REMEMBERED {
        state.end(claims.borrow().serial);
    }
    match verdict {
        CheckVerdict::Alive { server_time } => match judge_time(claims.borrow(), server_time) {
            Ok(()) => Verdict::Accept(claims),
            Err(refusal) => Verdict::Deny(refusal),
        },
        CheckVerdict::Dead => Verdict::Deny(Refusal::Ended),
        CheckVerdict::UnknownKey => Verdict::Deny(Refusal::UnknownKey),
    }
}

fn judge<G: Guards>(
    state: &RevocationState,
    claims: &Claims,
    requirements: &Requirements,
) -> Result<(), Refusal> {
    if !claims.audience.contains(&requirements.audience) {
        return Err(Refusal::Audience);
    }
    match state.standing_under::<G>(&claims.tenant, claims.serial) {
        Standing::Live => Ok(()),
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
