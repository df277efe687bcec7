use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use session_domain::ids::{DeviceId, Seq, Serial, SessionId, TenantId, UserId};
use session_domain::known_device::KnownDevice;
use session_domain::port::{
    Change, End, Eviction, Idempotency, Outcome, PortError, Rotate, SessionLimit, Start,
    StartOutcome, Targets,
};
use session_domain::session::{Seeded, Session, Status};
use uuid::Uuid;

use crate::change::Effects;
use crate::change::end::{Ending, end_active};
use crate::change::rotate::{Rotated, judge};
use crate::change::start;
use crate::closing::{Closed, Place};
use crate::entity::idempotency_key;

/// The serial of what has none yet.
const UNDRAWN: Serial = Serial(0);

/// A session as the changes of a group see it, locked or just started.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) seeded: Seeded,
    /// Where a change of this group has ended it.
    pub(super) ended: Option<Place>,
    /// Whether a change of this group has rotated its refresh token.
    pub(super) rotated: bool,
    /// Where a change of this group has started it: as it starts, whatever becomes of it.
    pub(super) started: Option<Session>,
}

impl Held {
    pub(super) const fn new(seeded: Seeded) -> Self {
        Self {
            seeded,
            ended: None,
            rotated: false,
            started: None,
        }
    }

    fn is_active(&self) -> bool {
        self.seeded.session.status == Status::Active
    }

    /// The session as it is now.
    pub(super) fn told(&self, closed: &Closed) -> Seeded {
        let mut seeded = self.seeded.clone();
        if let Some(place) = self.ended {
            seeded.session = closed.numbered((seeded.session, place));
        }
        seeded
    }
}

/// How many active sessions a user has, and which give way first.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) active: u64,
    pub(super) oldest: BTreeSet<(i64, SessionId)>,
    pub(super) least_recent: BTreeSet<(i64, SessionId)>,
}

impl Room {
    fn leaves(&mut self, id: SessionId) {
        self.active = self.active.saturating_sub(1);
        self.oldest.retain(|(_, other)| *other != id);
        self.least_recent.retain(|(_, other)| *other != id);
    }

    fn enters(&mut self, session: &Session) {
        self.active += 1;
        self.oldest.insert((session.created_at.0, session.id));
        self.least_recent
            .insert((session.last_seen_at.0, session.id));
    }

    /// Forgets those that ended between the count and their lock: they have made their room.
    fn settle(&mut self, held: &HashMap<SessionId, Held>) {
        let both = self.oldest.union(&self.least_recent);
        let gone: BTreeSet<_> = both
            .map(|(_, id)| *id)
            .filter(|id| held.get(id).is_none_or(|held| !held.is_active()))
            .collect();
        for id in gone {
            self.leaves(id);
        }
    }

    /// Who gives way to one more; `None` where it must not start.
    fn make(&self, limit: SessionLimit) -> Option<Vec<SessionId>> {
        // More than one where the limit was lowered.
        let excess = (self.active + 1).saturating_sub(u64::from(limit.max.max(1)));
        let least = match limit.eviction {
            _ if excess == 0 => return Some(Vec::new()),
            Eviction::Reject => return None,
            Eviction::Oldest => &self.oldest,
            Eviction::LeastRecent => &self.least_recent,
        };
        let excess = usize::try_from(excess).unwrap_or(usize::MAX);
        Some(least.iter().take(excess).map(|(_, id)| *id).collect())
    }
}

/// What came of a change, but for numbers and serials.
pub(super) enum Answer {
    Ending(Ending),
    Rotated(Box<Rotated>),
    Started {
        id: SessionId,
        evicted: Vec<(Session, Place)>,
    },
    /// The session that the same request started, perhaps just now.
    Replayed(SessionId),
    KeyReused,
    LimitReached,
}

impl Answer {
    /// The outcome, when everything has its serial and its number.
    pub(super) fn tell(self, known: &Known, closed: &Closed) -> Result<Outcome, PortError> {
        Ok(match self {
            Self::Ending(ending) => Outcome::End(ending.tell(closed)),
            Self::Rotated(rotated) => Outcome::Rotate(rotated.tell(closed)),
            Self::Started { id, mut evicted } => {
                for (session, _) in &mut evicted {
                    session.serial = known.serial(session);
                }
                let started = known.held.get(&id).and_then(|held| held.started.clone());
                let started = started.ok_or_else(|| lost("start a session"))?;
                Outcome::Start(start::tell(started, evicted, closed))
            }
            Self::Replayed(id) => {
                let held = known.held.get(&id).map(|held| held.told(closed));
                let replayed = held.or_else(|| known.replayed.get(&id).cloned());
                let replayed = replayed.ok_or_else(|| lost("repeat a start"))?;
                Outcome::Start(StartOutcome::Replayed(Box::new(replayed)))
            }
            Self::KeyReused => Outcome::Start(StartOutcome::KeyReused),
            Self::LimitReached => Outcome::Start(StartOutcome::LimitReached),
        })
    }
}

fn lost(what: &'static str) -> PortError {
    PortError::fatal(what, "decided, but not kept")
}

/// The sessions that changes name.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Every one that is named, and that may have to give way: locked, or just started.
    pub(super) held: HashMap<SessionId, Held>,
    /// Those that earlier requests started, as they were read.
    pub(super) replayed: HashMap<SessionId, Seeded>,
}

impl Known {
    /// The serial of a session that may have got it after it was put down.
    fn serial(&self, session: &Session) -> Serial {
        let held = self.held.get(&session.id);
        held.map_or(session.serial, |held| held.seeded.session.serial)
    }
}

/// What the rules know, and what they have decided so far.
#[derive(Default)]
pub(super) struct Deciding {
    pub(super) known: Known,
    /// The requests that were carried out before: what they said, and what they started.
    pub(super) requests: HashMap<(Uuid, String), (Vec<u8>, SessionId)>,
    /// Of the users whose sessions are limited.
    pub(super) rooms: HashMap<(TenantId, UserId), Room>,
    /// The log's head, read after all was locked.
    pub(super) head: Seq,
    pub(super) effects: Effects,
    /// The sessions that start, in their order; they have no serials yet.
    pub(super) started: Vec<SessionId>,
    pub(super) devices: BTreeMap<DeviceId, KnownDevice>,
    pub(super) remembered: Vec<idempotency_key::ActiveModel>,
    pub(super) answers: Vec<Answer>,
}

impl Deciding {
    /// Decides about all of them, in their order.
    pub(super) fn all(&mut self, changes: &[Change]) -> Result<(), PortError> {
        for room in self.rooms.values_mut() {
            room.settle(&self.known.held);
        }
        for change in changes {
            let answer = match change {
                Change::Start(change) => self.start(change)?,
                Change::Rotate(change) => Answer::Rotated(Box::new(self.rotate(change)?)),
                Change::End(change) => Answer::Ending(self.end(change)?),
                _ => return Err(PortError::fatal("commit", "not a change for a group")),
            };
            self.answers.push(answer);
        }
        Ok(())
    }

    fn end(&mut self, change: &End) -> Result<Ending, PortError> {
        let Targets::One { tenant, id } = &change.targets else {
            return Err(PortError::fatal("commit", "not an end for a group"));
        };
        let nothing = Ending::Nothing {
            through: self.head,
            more: false,
        };
        let found = self
            .known
            .held
            .get(id)
            .filter(|held| held.started.is_none());
        let Some(held) = found.filter(|held| held.seeded.session.tenant == *tenant) else {
            return Ok(nothing);
        };
        let session = held.seeded.session.clone();
        if !held.is_active() {
            return Ok(Ending::Already(Box::new(session), held.ended));
        }
        let Some(ended) = end_active(&mut self.effects, change, session)? else {
            return Ok(nothing);
        };
        self.note_end(&ended);
        Ok(Ending::Now {
            ended: vec![ended],
            more: false,
        })
    }

    fn rotate(&mut self, change: &Rotate) -> Result<Rotated, PortError> {
        // Who names a session that starts at this very moment is taken to have come before.
        let found = self.known.held.get_mut(&change.id);
        let Some(held) = found.filter(|held| held.started.is_none()) else {
            return Ok(Rotated::Nobodys);
        };
        let found = Some(held.seeded.clone());
        let rotated = judge(&mut self.effects, found, held.ended, change)?;
        match &rotated {
            Rotated::Moved(session) => {
                held.seeded.session = session.clone();
                held.rotated = true;
            }
            Rotated::Stolen(session, place) => self.note_end(&(session.clone(), *place)),
            Rotated::Nobodys | Rotated::Same(..) => {}
        }
        Ok(rotated)
    }

    fn start(&mut self, change: &Start) -> Result<Answer, PortError> {
        // Before the limit: a repeated request that filled the last place is answered, not refused.
        if let Some(answer) = self.repeated(change.idempotency.as_ref()) {
            return Ok(answer);
        }
        let draft = change.session.draft();
        let user = (draft.tenant.clone(), draft.user.clone());
        let giving_way = match (change.limit, self.rooms.get(&user)) {
            (Some(limit), Some(room)) => room.make(limit),
            _ => Some(Vec::new()),
        };
        let Some(giving_way) = giving_way else {
            return Ok(Answer::LimitReached);
        };
        let giving_way = giving_way.iter().filter_map(|id| self.known.held.get(id));
        let giving_way = giving_way.map(|held| held.seeded.session.clone()).collect();
        let evicted = start::evict(&mut self.effects, giving_way, change)?;
        for ended in &evicted {
            self.note_end(ended);
        }
        self.write_start(change, &user);
        let id = draft.id;
        Ok(Answer::Started { id, evicted })
    }

    fn write_start(&mut self, change: &Start, user: &(TenantId, UserId)) {
        // The serial is drawn once it is known how many start.
        let started = change.session.start(UNDRAWN, change.actor.clone());
        let session = started.session;
        self.effects.tally.start(&session);
        self.effects.events.push(started.event);
        let seen = KnownDevice::first_seen(&session);
        match self.devices.entry(seen.id) {
            Entry::Occupied(mut known) => known.get_mut().seen_again(seen),
            Entry::Vacant(new) => {
                new.insert(seen);
            }
        }
        if let Some(idempotency) = &change.idempotency {
            let row = start::remembered(idempotency, session.id, session.created_at);
            self.remembered.push(row);
            let request = (idempotency.caller.0, idempotency.key.clone());
            let said = (idempotency.digest.to_vec(), session.id);
            self.requests.insert(request, said);
        }
        if let Some(room) = self.rooms.get_mut(user) {
            room.enters(&session);
        }
        self.started.push(session.id);
        let (id, started) = (session.id, Some(session.clone()));
        let seeded = Seeded {
            seed: change.session.seed().clone(),
            session,
        };
        let held = Held::new(seeded);
        self.known.held.insert(id, Held { started, ..held });
    }

    fn repeated(&self, idempotency: Option<&Idempotency>) -> Option<Answer> {
        let idempotency = idempotency?;
        let request = (idempotency.caller.0, idempotency.key.clone());
        let (digest, session) = self.requests.get(&request)?;
        Some(if *digest == idempotency.digest {
            Answer::Replayed(*session)
        } else {
            Answer::KeyReused
        })
    }

    fn note_end(&mut self, (session, place): &(Session, Place)) {
        let user = (session.tenant.clone(), session.user.clone());
        if let Some(room) = self.rooms.get_mut(&user) {
            room.leaves(session.id);
        }
        if let Some(held) = self.known.held.get_mut(&session.id) {
            held.seeded.session = session.clone();
            held.ended = Some(*place);
        }
    }
}
