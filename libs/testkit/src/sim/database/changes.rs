//! Changes on behalf of clients: every one a transaction.

use std::time::Duration;

use session_domain::contract::sample;
use session_domain::event::Actor;
use session_domain::ids::{Generation, Seq, Serial};
use session_domain::revocation::{Guards, Head, LogEntry, Publication};
use session_domain::secret::Secret256;
use session_domain::session::NewSession;
use session_domain::session::{EndReason, Moved, RefreshVerdict, Session, Status};
use session_domain::time::Timestamp;

use super::{Change, Database, SessionNumber, tenant_of};
use crate::sim::event::Promise;

/// How long a rotated refresh token is answered with the same successor.
const GRACE: Duration = Duration::from_secs(10);

/// What came of a change.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The number whose fence makes it true for everybody, where the answer waits for it.
    pub awaits: Option<Head>,
    /// The entries it wrote.
    pub fresh: Option<Publication>,
    /// What the answer promises.
    pub promise: Promise,
    /// The session that may be used from now on, with its serial.
    pub issued: Option<(SessionNumber, Serial)>,
    /// Which successor a refresh token got.
    pub rotated: Option<(SessionNumber, Generation, Generation)>,
    /// Whether it found nothing left to do.
    pub repeated: bool,
}

impl Outcome {
    const fn nothing() -> Self {
        Self {
            awaits: None,
            fresh: None,
            promise: Promise {
                sessions: Vec::new(),
                serial: None,
                floor: None,
                key: None,
                timeline: 0,
                seq: Seq(0),
            },
            issued: None,
            rotated: None,
            repeated: false,
        }
    }
}

impl Database {
    pub(super) fn change<G: Guards>(
        &mut self,
        change: &Change,
        drawn: Serial,
        at: Timestamp,
    ) -> Outcome {
        let drawn = self.drawn(drawn);
        let mut outcome = self.decide::<G>(change, drawn, at);
        outcome.promise.timeline = self.timeline;
        outcome.promise.seq = outcome.awaits.map_or(self.head().seq, |head| head.seq);
        outcome
    }

    fn decide<G: Guards>(&mut self, change: &Change, drawn: Serial, at: Timestamp) -> Outcome {
        match *change {
            Change::Start(user) => self.start_session::<G>(user, drawn, at),
            Change::End(session) => self.end::<G>(&[session], at),
            Change::EndUser(user) => {
                let name = sample::user(&user_name(user));
                let of_user: Vec<_> = (0..self.sessions.len())
                    .filter(|&number| self.sessions[number].user == name)
                    .filter(|number| !self.lost.contains(number))
                    .collect();
                self.end::<G>(&of_user, at)
            }
            Change::Rotate(session, presented) => self.rotate::<G>(session, presented, at),
            Change::StepUp(session) => self.step_up::<G>(session, drawn, at),
            Change::Floor(user) => self.raise_floor(user),
            Change::RetireKey => self.retire_key(),
            Change::Reap => {
                let floored: Vec<_> = self.floored.iter().copied().collect();
                Outcome {
                    awaits: None,
                    promise: Promise::default(),
                    ..self.end::<G>(&floored, at)
                }
            }
        }
    }

    fn start_session<G: Guards>(&mut self, user: u64, drawn: Serial, at: Timestamp) -> Outcome {
        let number = self.sessions.len();
        let tenant = tenant_of(user);
        let mut serial = drawn;
        if G::FLOORS_COMPARED_BY_WRITERS && self.covered(&tenant, serial) {
            // A floor was raised since the serial was drawn: it meant those before it.
            serial = self.draw();
        }
        let draft = Session {
            id: sample::session_id(number as u128),
            user: sample::user(&user_name(user)),
            tenant,
            created_at: at,
            last_seen_at: at,
            // Far away: ends by time are not what is simulated here, and clocks are an hour wrong.
            expires_at: at.plus(Duration::from_secs(86_400)),
            absolute_expires_at: at.plus(Duration::from_secs(86_400)),
            ..sample::session()
        };
        let started = NewSession::new(draft, Secret256([1; 32])).start(serial, Actor::System);
        self.sessions.push(started.session);
        self.count(1, 1);
        Outcome {
            issued: Some((number, serial)),
            ..Outcome::nothing()
        }
    }

    /// The one place where sessions end. What has ended already is passed over, and the answer
    /// waits for it all the same.
    fn end<G: Guards>(&mut self, targets: &[SessionNumber], at: Timestamp) -> Outcome {
        if let [one] = targets
            && self.lost.contains(one)
        {
            // There is no such session, and nobody promises anything about it.
            return Outcome::nothing();
        }
        let seq = Seq(self.entries.len() as u64 + 1);
        let mut serials = Vec::new();
        let mut earlier = None;
        for &number in targets {
            let session = self.sessions[number].clone();
            let serial = session.serial;
            match session.end(at, EndReason::RevokedByUser, None, Actor::System, seq) {
                Ok(moved) => {
                    self.take(number, moved);
                    serials.push(serial);
                }
                Err(ending) => earlier = earlier.max(Some(ending.seq)),
            }
        }
        let promise = Promise {
            sessions: targets.to_vec(),
            ..Promise::default()
        };
        if serials.is_empty() {
            // One session: the number of its own ending. Many: the head read after looking.
            let seq = match (targets, earlier) {
                ([_], Some(seq)) => seq,
                _ => self.head().seq,
            };
            let through = Head {
                epoch: self.epoch,
                seq,
            };
            return Outcome {
                awaits: G::EARLIER_END_AWAITED.then_some(through),
                promise,
                repeated: true,
                ..Outcome::nothing()
            };
        }
        self.ended.extend(serials.iter().copied());
        let fresh = self.append(LogEntry::Ended(serials));
        Outcome {
            awaits: Some(self.head()),
            fresh: Some(fresh),
            promise,
            ..Outcome::nothing()
        }
    }

    fn rotate<G: Guards>(
        &mut self,
        number: SessionNumber,
        presented: Generation,
        at: Timestamp,
    ) -> Outcome {
        let session = self.sessions[number].clone();
        let floored = self.covered(&session.tenant, session.serial);
        if self.lost.contains(&number) || (G::FLOORS_COMPARED_BY_WRITERS && floored) {
            return Outcome::nothing();
        }
        let serial = session.serial;
        let current = session.refresh.generation;
        match session.judge_refresh(presented, at, GRACE) {
            RefreshVerdict::Rotate => {
                let Ok(moved) = session.rotate(at, Actor::System) else {
                    return Outcome::nothing();
                };
                self.take(number, moved);
                Outcome {
                    issued: Some((number, serial)),
                    rotated: Some((number, presented, presented.next())),
                    ..Outcome::nothing()
                }
            }
            RefreshVerdict::Repeat => Outcome {
                issued: Some((number, serial)),
                rotated: Some((number, presented, current)),
                ..Outcome::nothing()
            },
            // Nobody was promised this end, so nobody waits for it.
            RefreshVerdict::Reused => Outcome {
                awaits: None,
                promise: Promise::default(),
                ..self.end::<G>(&[number], at)
            },
            RefreshVerdict::NeverIssued | RefreshVerdict::Ended(_) => Outcome::nothing(),
        }
    }

    fn step_up<G: Guards>(
        &mut self,
        number: SessionNumber,
        drawn: Serial,
        at: Timestamp,
    ) -> Outcome {
        let session = self.sessions[number].clone();
        let floored = self.covered(&session.tenant, session.serial);
        if self.lost.contains(&number) || (G::FLOORS_COMPARED_BY_WRITERS && floored) {
            return Outcome::nothing();
        }
        let before = session.serial;
        let authentication = session.authentication.clone();
        let Ok(moved) = session.step_up(authentication, drawn, at, Actor::System) else {
            return Outcome::nothing();
        };
        self.take(number, moved);
        self.ended.insert(before);
        let fresh = self.append(LogEntry::Ended(vec![before]));
        Outcome {
            awaits: Some(self.head()),
            fresh: Some(fresh),
            promise: Promise {
                serial: Some(before),
                ..Promise::default()
            },
            issued: Some((number, drawn)),
            ..Outcome::nothing()
        }
    }

    fn raise_floor(&mut self, user: u64) -> Outcome {
        let tenant = tenant_of(user);
        let through = self.draw();
        self.floors.insert(Some(tenant.clone()), through);
        let active =
            |session: &Session| session.tenant == tenant && session.status == Status::Active;
        let floored: Vec<_> = (0..self.sessions.len())
            .filter(|number| active(&self.sessions[*number]) && !self.lost.contains(number))
            .collect();
        self.floored.extend(floored.iter().copied());
        // The floor itself is one event; the sessions' own follow with the reaper.
        self.count(1, 1);
        let fresh = self.append(LogEntry::Floor {
            tenant: Some(tenant.clone()),
            through,
        });
        Outcome {
            awaits: Some(self.head()),
            fresh: Some(fresh),
            promise: Promise {
                floor: Some((tenant, through)),
                sessions: floored,
                ..Promise::default()
            },
            ..Outcome::nothing()
        }
    }

    fn retire_key(&mut self) -> Outcome {
        let kid = super::second_key();
        let promise = Promise {
            key: Some(kid.clone()),
            ..Promise::default()
        };
        let known = self.keys.iter().any(|key| key.kid == kid);
        if !known {
            return Outcome {
                awaits: Some(self.head()),
                promise,
                repeated: true,
                ..Outcome::nothing()
            };
        }
        self.keys.retain(|key| key.kid != kid);
        self.count(1, 1);
        let fresh = self.append(LogEntry::KeyRetired(kid));
        Outcome {
            awaits: Some(self.head()),
            fresh: Some(fresh),
            promise,
            ..Outcome::nothing()
        }
    }

    /// A session's move: the row and its event, in one transaction.
    fn take(&mut self, number: SessionNumber, moved: Moved) {
        let told = u64::from(moved.event.session == Some(moved.session.id));
        let changed = moved.session.version.0 - self.sessions[number].version.0;
        self.sessions[number] = moved.session;
        self.count(changed, told);
    }

    const fn count(&mut self, moves: u64, events: u64) {
        self.moves += moves;
        self.events += events;
    }

    fn append(&mut self, entry: LogEntry) -> Publication {
        let after = self.head().seq;
        self.entries.push(entry);
        self.publication(after, 1)
    }
}

fn user_name(user: u64) -> String {
    format!("user-{user}")
}
