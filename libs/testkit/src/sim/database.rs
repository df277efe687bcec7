//! The simulated authority: the log with its head lock, the leases, the sessions.
//!
//! It obeys the obligations of [`session_domain::port::SessionStore`] and
//! [`session_domain::port::RevocationLog`] as the real one does, and like it takes its time: what
//! an operation changes is there for everybody at its commit, and those that take the head's lock
//! hold it from their start until then. Rules about sessions are the domain's own.

mod changes;
mod history;
mod leases;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use session_domain::contract::sample;
use session_domain::ids::{Generation, InstanceId, KeyId, LogEpoch, Seq, Serial, TenantId};
use session_domain::port::{BusReply, BusRequest};
use session_domain::revocation::{
    Guards, Head, ListBits, LogEntry, LogRun, PublicKey, Publication, SerialRange, Snapshot,
    SnapshotMark,
};
use session_domain::session::Session;
use session_domain::time::Timestamp;
use session_domain::usecase::serve;

pub use changes::Outcome;
pub use history::Loss;
pub use leases::Row;

use super::event::{Answer, Call, SessionNumber};

/// What the database may be asked to do.
#[derive(Debug, Clone)]
pub enum Operation {
    /// What validators ask over the bus.
    Bus(BusRequest),
    /// Read every lease.
    Leases,
    /// Read one entry, to send it again.
    Entry(Head),
    /// Note that every lease has run out that earlier epochs may have granted.
    Settle(LogEpoch),
    /// Delete entries nobody needs any more.
    Prune,
    /// Delete a lease that was outlived.
    Forget(InstanceId, u64),
    /// Change something, on behalf of a client.
    Change(Change),
}

/// What clients may want changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Start a session of that user.
    Start(u64),
    /// End a session.
    End(SessionNumber),
    /// End every session of that user.
    EndUser(u64),
    /// Trade a refresh token of that generation.
    Rotate(SessionNumber, Generation),
    /// Give a session new credentials.
    StepUp(SessionNumber),
    /// End everything of that user's tenant.
    Floor(u64),
    /// Withdraw the second signing key.
    RetireKey,
    /// The reaper writes down what floors ended.
    Reap,
}

/// An operation on its way from its start to its commit.
#[derive(Debug, Clone)]
pub struct Work {
    /// Who wants what.
    pub call: Call,
    /// The serial drawn, where it draws one: sequences don't wait for locks.
    serial: Serial,
    /// The head as it was at the start.
    head: Head,
    /// What else was read at the start.
    snapshot: Option<Snapshot>,
    /// On which timeline.
    timeline: u64,
}

/// The authority.
#[derive(Debug, Clone)]
pub struct Database {
    /// Which history this is.
    pub epoch: LogEpoch,
    /// Every entry there ever was in this history; the first has the number 1.
    pub entries: Vec<LogEntry>,
    /// How many of them are no longer kept.
    pruned: usize,
    /// Where the log stood when it was pruned last.
    prune_mark: usize,
    /// Which server's history this is: counted up by every failover.
    pub timeline: u64,
    /// The one the epoch was begun on.
    epoch_timeline: u64,
    /// How many epochs there have been in all histories.
    epochs: u64,
    /// Whether every lease of earlier epochs is known to have run out.
    pub settled: bool,
    /// The longest lease ever granted.
    longest: Duration,
    /// Serials that were skipped when epochs began.
    pub skipped: Vec<SerialRange>,
    /// Every session there ever was.
    pub sessions: Vec<Session>,
    /// Those of them whose start is lost.
    pub lost: BTreeSet<SessionNumber>,
    /// Leases that were given up, with the counter of the holder's last request.
    pub released: BTreeMap<InstanceId, u64>,
    /// The leases.
    pub leases: BTreeMap<InstanceId, Row>,
    /// The floors in force.
    pub floors: BTreeMap<Option<TenantId>, Serial>,
    /// The length of leases to grant.
    pub lease: Duration,
    /// Serials that have ended by an entry of their own.
    pub ended: BTreeSet<Serial>,
    /// Sessions that were there when a floor ended everything of their tenant.
    pub floored: BTreeSet<SessionNumber>,
    /// How many events were written.
    pub events: u64,
    /// How many changes of state there were.
    pub moves: u64,
    keys: Vec<PublicKey>,
    last_serial: u64,
    secrets: u64,
    locked: bool,
    queue: VecDeque<Work>,
}

/// At most this many entries are handed out at once: few, so that gaps take several.
const ENTRIES_MAX: usize = 3;

/// How many entries there are up to that number.
pub(super) fn place(seq: Seq) -> usize {
    usize::try_from(seq.0).expect("a log that fits into memory")
}

/// The tenant of a user.
pub fn tenant_of(user: u64) -> TenantId {
    sample::tenant(if user.is_multiple_of(3) {
        "acme"
    } else {
        "umbrella"
    })
}

/// The key that signs the tokens of a serial.
pub fn key_of(serial: Serial) -> KeyId {
    let name = if serial.0.is_multiple_of(7) {
        "k2"
    } else {
        "k1"
    };
    name.parse().expect("a key id")
}

/// The key that may be withdrawn.
pub fn second_key() -> KeyId {
    "k2".parse().expect("a key id")
}

fn public_key(name: &str) -> PublicKey {
    PublicKey {
        kid: name.parse().expect("a key id"),
        alg: "EdDSA".into(),
        jwk: BTreeMap::new(),
    }
}

impl Database {
    /// An authority that grants leases of that length.
    pub fn new(lease: Duration) -> Self {
        Self {
            epoch: LogEpoch(1),
            entries: Vec::new(),
            pruned: 0,
            prune_mark: 0,
            timeline: 1,
            epoch_timeline: 1,
            epochs: 1,
            settled: true,
            longest: lease,
            skipped: Vec::new(),
            sessions: Vec::new(),
            lost: BTreeSet::new(),
            released: BTreeMap::new(),
            leases: BTreeMap::new(),
            floors: BTreeMap::new(),
            lease,
            ended: BTreeSet::new(),
            floored: BTreeSet::new(),
            events: 0,
            moves: 0,
            keys: vec![public_key("k1"), public_key("k2")],
            last_serial: 0,
            secrets: 0,
            locked: false,
            queue: VecDeque::new(),
        }
    }

    /// The newest entry.
    pub fn head(&self) -> Head {
        Head {
            epoch: self.epoch,
            seq: Seq(self.entries.len() as u64),
        }
    }

    /// The entries after `after`.
    pub fn publication(&self, after: Seq, limit: usize) -> Publication {
        let entries = self.entries.iter().skip(place(after)).take(limit);
        Publication {
            epoch: self.epoch,
            after,
            entries: entries.cloned().collect(),
        }
    }

    /// Whether a floor covers that serial of that tenant.
    pub fn covered(&self, tenant: &TenantId, serial: Serial) -> bool {
        self.floors
            .iter()
            .any(|(of, through)| of.as_ref().is_none_or(|of| of == tenant) && serial <= *through)
    }

    /// Whether a key is in service.
    pub fn has_key(&self, kid: &KeyId) -> bool {
        self.keys.iter().any(|key| key.kid == *kid)
    }

    /// The session of a token that names it so.
    pub fn session(&self, number: SessionNumber) -> &Session {
        &self.sessions[number]
    }

    /// Starts on an operation. Gives back the work if it may go on to its commit; otherwise it
    /// waits for the head's lock.
    pub fn start<G: Guards>(&mut self, call: Call) -> Option<Work> {
        // Whoever connects looks first whose history this is.
        self.compare_history::<G>();
        let draws = matches!(
            call.operation,
            Operation::Change(Change::Start(_) | Change::StepUp(_))
        );
        let mark = match &call.operation {
            Operation::Bus(BusRequest::Snapshot) => Some(None),
            Operation::Bus(BusRequest::SnapshotPart(mark)) => Some(Some(mark.clone())),
            _ => None,
        };
        let locks = Self::locks::<G>(&call.operation);
        let work = Work {
            serial: if draws { self.draw() } else { Serial(0) },
            head: self.head(),
            snapshot: mark.map(|mark| self.snapshot(mark.as_ref())),
            timeline: self.timeline,
            call,
        };
        if locks && self.locked {
            self.queue.push_back(work);
            return None;
        }
        self.locked |= locks;
        Some(work)
    }

    /// Finishes an operation: what it changes is there for all from now on.
    pub fn commit<G: Guards>(&mut self, work: &Work, wall: Timestamp) -> Answer {
        match work.call.operation {
            Operation::Bus(ref request) => {
                Answer::Bus(self.serve::<G>(work, request.clone(), wall))
            }
            Operation::Leases => Answer::Leases(self.holders()),
            Operation::Entry(head) => {
                let after = Seq(head.seq.0.saturating_sub(1));
                Answer::Entries(head, self.run::<G>(Head { seq: after, ..head }, 1))
            }
            Operation::Forget(instance, counter) => {
                self.forget::<G>(instance, counter);
                Answer::Done
            }
            Operation::Settle(epoch) => {
                self.settled |= self.epoch == epoch;
                Answer::Done
            }
            Operation::Prune => {
                self.prune();
                Answer::Done
            }
            Operation::Change(ref change) => {
                Answer::Changed(self.change::<G>(change, work.serial, wall))
            }
        }
    }

    /// Lets go of the head's lock, where the operation that is over held it; gives the one that
    /// has it now.
    pub fn unlock<G: Guards>(&mut self, operation: &Operation) -> Option<Work> {
        if !Self::locks::<G>(operation) {
            return None;
        }
        let next = self.queue.pop_front();
        self.locked = next.is_some();
        next
    }

    fn serve<G: Guards>(&mut self, work: &Work, request: BusRequest, wall: Timestamp) -> BusReply {
        match request {
            BusRequest::Grant(request) => self
                .grant::<G>(&request, work.head, wall)
                .map_or(BusReply::Unavailable, BusReply::Grant),
            BusRequest::Release { instance, counter } => {
                self.release(instance, counter);
                BusReply::Released
            }
            BusRequest::Entries { epoch, after } => {
                match self.run::<G>(Head { epoch, seq: after }, ENTRIES_MAX) {
                    LogRun::Entries(entries) => BusReply::Entries(Publication {
                        epoch,
                        after,
                        entries,
                    }),
                    LogRun::Pruned | LogRun::Foreign { .. } => BusReply::EntriesGone { epoch },
                }
            }
            BusRequest::Snapshot => BusReply::Snapshot(self.finished_snapshot::<G>(work, None)),
            BusRequest::SnapshotPart(mark) => {
                BusReply::Snapshot(self.finished_snapshot::<G>(work, Some(&mark)))
            }
            BusRequest::List(list) => BusReply::List(self.list_bits(list)),
            // Nobody here is idle.
            BusRequest::Activity(_) => BusReply::ActivityKept,
            BusRequest::Check(query) => {
                let number = self
                    .sessions
                    .iter()
                    .position(|session| session.id == query.session);
                let session = number
                    .filter(|number| !self.lost.contains(number))
                    .map(|number| &self.sessions[number])
                    .filter(|session| !self.covered(&session.tenant, session.serial));
                let known = self.has_key(&query.key);
                BusReply::Check(serve::judge(&query, known, session, wall, wall))
            }
        }
    }

    /// The head is read when the operation starts and the rest when it ends.
    fn finished_snapshot<G: Guards>(&self, work: &Work, mark: Option<&SnapshotMark>) -> Snapshot {
        let late = self.snapshot(mark);
        match &work.snapshot {
            Some(early) if G::STAMP_BEFORE_DATA => Snapshot {
                head: early.head,
                ..late
            },
            Some(early) => Snapshot {
                head: late.head,
                ..early.clone()
            },
            None => late,
        }
    }

    /// Whether that operation holds the head's lock until its commit.
    pub fn locks<G: Guards>(operation: &Operation) -> bool {
        match operation {
            Operation::Bus(BusRequest::Grant(_)) => G::HEAD_LOCKED_AT_GRANT,
            Operation::Change(change) => !matches!(change, Change::Start(_)),
            Operation::Bus(_)
            | Operation::Leases
            | Operation::Entry(_)
            | Operation::Forget(..)
            | Operation::Settle(_)
            | Operation::Prune => false,
        }
    }

    fn draw(&mut self) -> Serial {
        self.last_serial += 1;
        Serial(self.last_serial)
    }

    /// In parts so small that there is more than one.
    fn snapshot(&self, mark: Option<&SnapshotMark>) -> Snapshot {
        let mut reached = mark.cloned().unwrap_or(SnapshotMark {
            floor: None,
            list: None,
        });
        let after = |tenant: &&Option<TenantId>| reached.floor.as_ref() < Some(*tenant);
        let tenant = self.floors.keys().find(after).cloned();
        let floors: Vec<_> = tenant
            .into_iter()
            .map(|of| (of.clone(), self.floors[&of]))
            .collect();
        let mut lists: Vec<u64> = self.ended.iter().map(|serial| serial.place().0).collect();
        lists.dedup();
        lists.retain(|&list| reached.list < Some(list));
        if let Some((tenant, _)) = floors.last() {
            reached.floor = Some(tenant.clone());
        }
        reached.list = lists.last().copied().or(reached.list);
        let first = mark.is_none();
        Snapshot {
            head: self.head(),
            keys: if first { self.keys.clone() } else { Vec::new() },
            skipped: if first {
                self.skipped.clone()
            } else {
                Vec::new()
            },
            after: mark.cloned(),
            more: (!floors.is_empty()).then_some(reached),
            floors,
            lists,
        }
    }

    fn list_bits(&self, list: u64) -> ListBits {
        let mut bits = Vec::new();
        for serial in &self.ended {
            let (of, index) = serial.place();
            if of == list {
                let byte = index as usize / 8;
                bits.resize(bits.len().max(byte + 1), 0);
                bits[byte] |= 1 << (index % 8);
            }
        }
        ListBits {
            head: self.head(),
            list,
            bits,
        }
    }
}
