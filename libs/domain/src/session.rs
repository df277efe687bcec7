//! The session and its legal moves. Every rule about what may happen to a session is here, as a
//! pure function from what is to what will be; stores run these inside their transactions.

mod adjust;
mod seen;
mod status;
mod step_up;

pub use adjust::{ExtendRefusal, Over, SessionUpdate, UpdateRefusal};
pub use status::{EndReason, Ending, ShownStatus, Status};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::device::{Device, Network};
use crate::event::{Actor, Event, Fact};
use crate::ids::{Generation, Seq, Serial, SessionId, TenantId, UserId, Version};
use crate::secret::Secret256;
use crate::time::Timestamp;

/// How and when the user proved who they are (OpenID Connect Core §2, RFC 9470).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// When.
    pub auth_time: Timestamp,
    /// The authentication context class reached.
    pub acr: Option<String>,
    /// The methods used (RFC 8176), for example `pwd`, `otp`.
    pub amr: Vec<String>,
}

/// What the session's access tokens are good for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Who may accept them; empty means the issuer itself.
    pub audience: Vec<String>,
    /// Space-separated scopes (RFC 6749 §3.3).
    pub scope: Option<String>,
    /// The OAuth client, where there is one.
    pub client_id: Option<String>,
}

/// Where a session's chain of refresh tokens stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshState {
    /// The generation that may be used next.
    pub generation: Generation,
    /// When it became current: the session's start, or the last rotation.
    pub rotated_at: Timestamp,
}

/// One user, on one device, signed in once. Holds nothing secret: see [`Seeded`] for that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The public handle.
    pub id: SessionId,
    /// The place in the status lists of the credentials now valid.
    pub serial: Serial,
    /// Whose customer.
    pub tenant: TenantId,
    /// Whose.
    pub user: UserId,
    /// Alive or not.
    pub status: Status,
    /// When it started.
    pub created_at: Timestamp,
    /// When it was last used by its user.
    pub last_seen_at: Timestamp,
    /// When it ends unless extended. Never after `absolute_expires_at`.
    pub expires_at: Timestamp,
    /// When it ends whatever happens.
    pub absolute_expires_at: Timestamp,
    /// How long it may be unused; `None` for no limit.
    pub idle_timeout: Option<Duration>,
    /// How its user proved who they are.
    pub authentication: Authentication,
    /// What its access tokens are good for.
    pub authorization: Authorization,
    /// The device.
    pub device: Device,
    /// The network.
    pub network: Network,
    /// Its refresh tokens.
    pub refresh: RefreshState,
    /// What the login system wants remembered: a JSON object of at most 4 KiB.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// The optimistic lock.
    pub version: Version,
}

/// A session with the row's half of what its refresh tokens are derived from; the other half is a
/// key outside the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Seeded {
    /// The session.
    pub session: Session,
    /// Its seed.
    pub seed: Secret256,
}

/// A session that isn't in the store yet: the store draws its serial.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSession(Seeded);

impl NewSession {
    /// Prepares a session for its start; whatever serial and status it was given are replaced.
    /// The caller has checked every part by its policy.
    pub fn new(session: Session, seed: Secret256) -> Self {
        let session = Session {
            serial: Serial(0),
            status: Status::Active,
            version: Version(0),
            ..session
        };
        Self(Seeded { session, seed })
    }

    /// Looks at it before it has a serial.
    pub const fn draft(&self) -> &Session {
        &self.0.session
    }

    /// Its seed.
    pub const fn seed(&self) -> &Secret256 {
        &self.0.seed
    }

    /// The session as it starts, with the serial the store drew for it, and the event to record.
    pub fn start(&self, serial: Serial, actor: Actor) -> Moved {
        let session = Session {
            serial,
            version: Version(1),
            ..self.draft().clone()
        };
        let event = session.event(session.created_at, actor, Fact::SessionStarted);
        Moved { session, event }
    }
}

/// A legal move: the session after it, and the event that tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The session as it is now.
    pub session: Session,
    /// What to record, in the same transaction.
    pub event: Event,
}

/// What a presented refresh token means for a session (TOKENS: refresh without a token table).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// The current one: rotate.
    Rotate,
    /// The previous one within its grace: a lost answer or a second tab. The same successor again.
    Repeat,
    /// Used before, and not just now: a copy is in somebody else's hands.
    Reused,
    /// A generation not issued yet: nobody can have been handed it.
    NeverIssued,
    /// The session is over.
    Ended(Ending),
}

impl Session {
    /// The moment it is over by time alone, as things stand: the earliest of its ends. It may have
    /// been used a little after `last_seen_at`, and is never idle before its allowance has passed
    /// since then: see [`Self::seen_step`].
    pub fn due_at(&self) -> Timestamp {
        let end = self.expires_at.min(self.absolute_expires_at);
        match self.idle_timeout {
            Some(idle) => end.min(self.last_seen_at.plus(idle).plus(self.seen_step())),
            None => end,
        }
    }

    /// Why it is overdue at `now`, if it is.
    pub fn overdue(&self, now: Timestamp) -> Option<EndReason> {
        if now < self.due_at() {
            None
        } else if now >= self.expires_at.min(self.absolute_expires_at) {
            Some(EndReason::Expired)
        } else {
            Some(EndReason::Idle)
        }
    }

    /// Why it is overdue at `now`, going by what has been heard up to `heard`: for having been
    /// idle only if everybody who could know of a use in time has told.
    pub fn overdue_as_heard(&self, now: Timestamp, heard: Timestamp) -> Option<EndReason> {
        self.overdue(now)
            .filter(|&reason| reason != EndReason::Idle || self.due_at() <= heard)
    }

    /// Ends it, as of log entry `seq`. Ending twice is not a move: the first ending is returned
    /// and stays what it was.
    ///
    /// # Errors
    /// The [`Ending`] it already has.
    pub fn end(
        self,
        at: Timestamp,
        reason: EndReason,
        note: Option<String>,
        actor: Actor,
        seq: Seq,
    ) -> Result<Moved, Ending> {
        if let Status::Ended(ending) = self.status {
            return Err(ending);
        }
        let event = self.event(at, actor, Fact::SessionEnded { reason, note });
        let status = Status::Ended(Ending { at, reason, seq });
        Ok(Moved {
            session: Self {
                status,
                version: self.version.next(),
                ..self
            },
            event,
        })
    }

    /// What presenting the refresh token of `presented` at `now` means.
    pub fn judge_refresh(
        &self,
        presented: Generation,
        now: Timestamp,
        grace: Duration,
    ) -> RefreshVerdict {
        if let Status::Ended(ending) = self.status {
            return RefreshVerdict::Ended(ending);
        }
        let current = self.refresh.generation;
        if presented == current {
            RefreshVerdict::Rotate
        } else if presented > current {
            RefreshVerdict::NeverIssued
        } else if presented.next() == current && now.since(self.refresh.rotated_at) <= grace {
            RefreshVerdict::Repeat
        } else {
            RefreshVerdict::Reused
        }
    }

    /// Moves to the next refresh generation. Not a use by its user: `last_seen_at` stays.
    ///
    /// # Errors
    /// The [`Ending`] it has, if it is over.
    pub fn rotate(self, at: Timestamp, actor: Actor) -> Result<Moved, Ending> {
        if let Status::Ended(ending) = self.status {
            return Err(ending);
        }
        let generation = self.refresh.generation.next();
        let event = self.event(
            at,
            actor,
            Fact::SessionRefreshed {
                generation: generation.0,
            },
        );
        let refresh = RefreshState {
            generation,
            rotated_at: at,
        };
        Ok(Moved {
            session: Self {
                refresh,
                version: self.version.next(),
                ..self
            },
            event,
        })
    }

    /// An event about this session.
    pub fn event(&self, at: Timestamp, actor: Actor, fact: Fact) -> Event {
        Event {
            at,
            tenant: Some(self.tenant.clone()),
            session: Some(self.id),
            user: Some(self.user.clone()),
            actor,
            fact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;

    const GRACE: Duration = Duration::from_secs(10);

    fn ended(session: Session) -> Session {
        session
            .end(Timestamp(9), EndReason::Logout, None, Actor::System, Seq(4))
            .unwrap()
            .session
    }

    #[test]
    fn ending_twice_keeps_the_first_ending() {
        let once = ended(sample::session());
        let again = once.clone().end(
            Timestamp(99),
            EndReason::RevokedByAdmin,
            None,
            Actor::System,
            Seq(5),
        );
        assert_eq!(
            again,
            Err(Ending {
                at: Timestamp(9),
                reason: EndReason::Logout,
                seq: Seq(4)
            })
        );
    }

    #[test]
    fn an_ended_session_neither_rotates_nor_refreshes() {
        let session = ended(sample::session());
        assert!(
            session
                .clone()
                .rotate(Timestamp(10), Actor::System)
                .is_err()
        );
        let verdict = session.judge_refresh(session.refresh.generation, Timestamp(10), GRACE);
        assert!(matches!(verdict, RefreshVerdict::Ended(_)));
    }

    #[test]
    fn refresh_verdicts_by_generation_and_grace() {
        let t0 = Timestamp::from_unix_seconds(1_000);
        let first = sample::session();
        assert_eq!(
            first.judge_refresh(Generation(0), t0, GRACE),
            RefreshVerdict::Rotate
        );
        assert_eq!(
            first.judge_refresh(Generation(1), t0, GRACE),
            RefreshVerdict::NeverIssued
        );

        let second = first.rotate(t0, Actor::System).unwrap().session;
        assert_eq!(
            second.judge_refresh(Generation(0), t0.plus(GRACE), GRACE),
            RefreshVerdict::Repeat
        );
        let late = t0.plus(GRACE + Duration::from_micros(1));
        assert_eq!(
            second.judge_refresh(Generation(0), late, GRACE),
            RefreshVerdict::Reused
        );

        let third = second.rotate(t0, Actor::System).unwrap().session;
        assert_eq!(
            third.judge_refresh(Generation(0), t0, GRACE),
            RefreshVerdict::Reused
        );
        assert_eq!(
            third.judge_refresh(Generation(1), t0, GRACE),
            RefreshVerdict::Repeat
        );
    }

    #[test]
    fn a_rotation_is_not_activity() {
        let session = sample::session();
        let rotated = session
            .clone()
            .rotate(Timestamp(i64::MAX), Actor::System)
            .unwrap()
            .session;
        assert_eq!(rotated.last_seen_at, session.last_seen_at);
        assert_eq!(rotated.due_at(), session.due_at());
    }

    #[test]
    fn overdue_says_why() {
        let mut session = sample::session();
        session.idle_timeout = Some(Duration::from_secs(60));
        let idle_end = session.last_seen_at.plus(Duration::from_secs(60 + 6));
        assert_eq!(
            session.overdue(idle_end.minus(Duration::from_micros(1))),
            None
        );
        assert_eq!(session.overdue(idle_end), Some(EndReason::Idle));
        assert_eq!(
            session.overdue(session.expires_at),
            Some(EndReason::Expired)
        );
    }
}
