//! Two validators, two ends, one join, one crash: the revocation protocol in small.
//!
//! The machines are the domain's own. Time goes by in a few long steps; clocks are right, since
//! what wrong ones do is the simulator's subject. A message is delivered whenever the explorer
//! likes, or never, so that a validator that dies is the same as one nobody hears of any more: who
//! crashes is the API, with all its fences, and the client asks the other one. The first validator
//! has joined and doesn't renew; the second joins whenever it likes and does. Ends are floors of
//! one tenant each: a status list is 128 KiB, and states have their own copies of what changes.

mod actions;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use session_domain::contract::sample;
use session_domain::ids::{LogEpoch, Seq, Serial};
use session_domain::revocation::{
    FenceId, Fences, GrantReply, Guards, Head, Holders, LogEntry, Publication, Snapshot,
};
use session_domain::time::BootInstant;
use session_domain::usecase::validate::{Begun, Judged, Local};

pub use people::Person;
use people::decide;

use super::Model;

/// How long leases are.
pub const LEASE: Duration = Duration::from_secs(4);

/// The epoch there is in the beginning.
const FIRST: LogEpoch = LogEpoch(1);

/// The one after a failover.
const SECOND: LogEpoch = LogEpoch(2);

/// What every clock shows in the beginning.
const START_OF_TIME: BootInstant = BootInstant(1_000_000_000_000);

/// The world.
#[derive(Debug, Clone, Copy)]
pub struct SmallWorld<G> {
    /// How long a step of time is.
    pub step: Duration,
    /// How many of them go by at most.
    pub steps: u32,
    /// How many ends there are, at most two.
    pub ends: usize,
    /// How many processes die, at most one.
    pub crashes: usize,
    /// How many validators join while the others work, at most one.
    pub joins: usize,
    /// How often the database is handed over, at most once. What comes after begins a new epoch.
    pub failovers: usize,
    /// Whether the second validator's renewals are heard. The first one's never are.
    pub renewals: bool,
    /// How many decisions are held up between their steps, at most one. Others are made at once,
    /// in every state, whatever this is.
    pub decisions: usize,
    /// The guards that hold.
    pub guards: PhantomData<G>,
}

/// Something that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time goes by.
    Tick,
    /// The second validator starts.
    Join,
    /// The first API dies.
    Crash,
    /// Another server becomes the database. It has as many entries, and lacks the leases of the
    /// validators from that one on.
    FailOver(usize, usize),
    /// The authority grants what that validator asked for; without the head's lock, it has only
    /// read the head so far.
    Grant(usize),
    /// The lease's row is written: only where the head isn't locked.
    WriteGrant(usize),
    /// The reply to a grant's request arrives.
    Granted(usize),
    /// The authority reads a snapshot for that validator.
    Snapshot(usize),
    /// It arrives.
    Joined(usize),
    /// That validator fetches what it misses.
    Fetch(usize),
    /// It hears of the entry of that number.
    Hear(usize, Head),
    /// Its acknowledgement of everything up to that number is heard.
    Acknowledge(usize, Head),
    /// An end is committed, by the first API or, where that is dead, the second.
    Commit(usize),
    /// The same is asked of the second API again, which waits for it from now on.
    Repeat(usize),
    /// The first API has read the leases for that end: it waits from now on.
    Wait(usize),
    /// A request with a token of what ended first arrives at that validator, and its deadline is
    /// loaded.
    Begin(usize),
    /// The request's token is judged.
    Judge,
    /// The request is answered.
    Answer,
}

/// How far an API has come with an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Progress {
    Unasked,
    /// Committed, or found committed.
    Committed,
    Waiting(FenceId),
    Answered,
    /// What was committed may be lost, so nobody is told anything.
    Unconfirmed,
}

#[derive(Debug, Clone)]
enum Decision<G> {
    None,
    Begun(usize, Begun<G>),
    Judged(usize, Box<Judged<G>>),
    Over(usize, bool),
}

/// Everything there is at a moment.
#[derive(Debug, Clone)]
pub struct State<G> {
    now: BootInstant,
    epoch: LogEpoch,
    settled: bool,
    entries: Vec<LogEntry>,
    /// Those of the first epoch, when there is a second.
    before: Vec<LogEntry>,
    /// Which ends are lost.
    lost: [bool; 2],
    /// In which epoch each end was committed.
    committed_in: [LogEpoch; 2],
    leases: BTreeMap<usize, people::Row>,
    people: Vec<Kept<Person<G>>>,
    /// What each validator asked for and was not answered yet.
    asked: [people::Asked; 2],
    heard: BTreeSet<(usize, LogEpoch, Seq)>,
    acknowledged: BTreeSet<(usize, LogEpoch, Seq)>,
    apis: [Kept<Fences<G>>; 2],
    /// By end, by API.
    ends: [[Progress; 2]; 2],
    /// Whether the first API has crashed.
    crashed: bool,
    decision: Decision<G>,
}

/// A machine, shared by all the states in which it is the same, with its hash.
#[derive(Debug)]
struct Kept<T> {
    it: Arc<T>,
    hash: u64,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            it: Arc::clone(&self.it),
            hash: self.hash,
        }
    }
}

impl<T: Hash> Kept<T> {
    fn new(it: T) -> Self {
        let hash = super::fingerprint(&it);
        Self {
            it: Arc::new(it),
            hash,
        }
    }
}

impl<T> std::ops::Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.it
    }
}

impl<G: Guards> Hash for State<G> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.now.hash(hasher);
        (
            self.epoch,
            self.settled,
            &self.before,
            self.lost,
            self.committed_in,
        )
            .hash(hasher);
        self.entries.hash(hasher);
        self.leases.hash(hasher);
        for person in &self.people {
            person.hash.hash(hasher);
        }
        self.asked.hash(hasher);
        self.heard.hash(hasher);
        self.acknowledged.hash(hasher);
        for fences in &self.apis {
            fences.hash.hash(hasher);
        }
        self.ends.hash(hasher);
        self.crashed.hash(hasher);
        match &self.decision {
            Decision::None => 0.hash(hasher),
            Decision::Over(of, accepted) => (1, of, accepted).hash(hasher),
            // What a decision holds between its steps is its own business, but can be seen.
            other => format!("{other:?}").hash(hasher),
        }
    }
}

impl<G: Guards> State<G> {
    fn head(&self) -> Head {
        Head {
            epoch: self.epoch,
            seq: Seq(self.entries.len() as u64),
        }
    }

    fn publication(&self, after: Head, limit: usize) -> Publication {
        let Head { epoch, seq } = after;
        let history = if epoch == self.epoch {
            &self.entries
        } else {
            &self.before
        };
        let entries = history.iter().skip(place(seq.0)).take(limit);
        Publication {
            epoch,
            after: seq,
            entries: entries.cloned().collect(),
        }
    }

    fn holders(&self) -> Holders {
        Holders {
            head: self.head(),
            settled: self.settled,
            longest: LEASE,
            leases: self.leases.values().map(|row| row.lease.clone()).collect(),
        }
    }

    fn snapshot(&self) -> Snapshot {
        let floors = self.entries.iter().filter_map(|entry| match entry {
            LogEntry::Floor { tenant, through } => Some((tenant.clone(), *through)),
            _ => None,
        });
        Snapshot {
            head: self.head(),
            keys: vec![people::key()],
            skipped: Vec::new(),
            floors: floors.collect(),
            lists: Vec::new(),
            after: None,
            more: None,
        }
    }

    /// What a validator makes of something.
    fn change_person<T>(&mut self, number: usize, change: impl FnOnce(&mut Person<G>) -> T) -> T {
        let mut person = self.people[number].fork();
        let result = change(&mut person);
        self.people[number] = Kept::new(person);
        result
    }

    /// What an API's fences make of something.
    fn change_fences<T>(&mut self, api: usize, change: impl FnOnce(&mut Fences<G>) -> T) -> T {
        let mut fences = Fences::clone(&self.apis[api]);
        let result = change(&mut fences);
        self.apis[api] = Kept::new(fences);
        result
    }

    fn answered(&self, end: usize) -> bool {
        self.ends[end].contains(&Progress::Answered)
    }

    /// The log entry of an end: the tenant of that number has no sessions left.
    fn entry(end: usize) -> LogEntry {
        LogEntry::Floor {
            tenant: Some(sample::tenant(people::TENANTS[end])),
            through: Serial(9),
        }
    }

    /// The number of an end's entry, once it is committed.
    fn seq(&self, end: usize) -> Option<Seq> {
        let entry = Self::entry(end);
        let place = self.entries.iter().position(|other| *other == entry)?;
        Some(Seq(place as u64 + 1))
    }
}

impl<G: Guards> Model for SmallWorld<G> {
    type State = State<G>;
    type Action = Action;

    /// The first validator has joined an empty log and holds a lease.
    fn initial(&self) -> State<G> {
        let mut state = State {
            now: START_OF_TIME,
            epoch: FIRST,
            settled: true,
            before: Vec::new(),
            lost: [false; 2],
            committed_in: [FIRST; 2],
            entries: Vec::new(),
            leases: BTreeMap::new(),
            people: Vec::new(),
            asked: [people::Asked::default(), people::Asked::default()],
            heard: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            apis: [Kept::new(Fences::default()), Kept::new(Fences::default())],
            ends: [[Progress::Unasked; 2]; 2],
            crashed: false,
            decision: Decision::None,
        };
        for action in [
            Action::Join,
            Action::Grant(0),
            Action::WriteGrant(0),
            Action::Granted(0),
            Action::Snapshot(0),
            Action::Joined(0),
        ] {
            self.happen(&mut state, action);
        }
        state.acknowledged.clear();
        state
    }

    fn actions(&self, state: &State<G>) -> Vec<Action> {
        self.possible(state)
    }

    fn next(&self, state: &State<G>, action: &Action) -> State<G> {
        let mut next = state.clone();
        self.happen(&mut next, *action);
        next
    }

    fn broken(&self, state: &State<G>) -> Option<String> {
        if let Decision::Over(validator, true) = state.decision {
            return Some(format!(
                "I1: validator {validator} accepted what had ended, in a request begun after"
            ));
        }
        for (number, person) in state.people.iter().enumerate() {
            for end in 0..2 {
                let accepts =
                    || matches!(decide::<G>(&person.state, state.now, end), Local::Accept(_));
                if state.answered(end) && !state.lost[end] && accepts() {
                    return Some(format!("I1: validator {number} accepts end {end}"));
                }
                let Some(applied) = person.follower.applied() else {
                    continue;
                };
                let seq = state.seq(end).filter(|_| applied.epoch == state.epoch);
                let included = seq.is_some_and(|seq| seq <= applied.seq);
                let visible = person.knows(end);
                if included && !visible {
                    return Some(format!(
                        "I3: validator {number} has applied {} without end {end}",
                        applied.seq
                    ));
                }
            }
            let deadline = person.state.deadline();
            // The newest: one of another epoch may have been asked for at the same moment.
            let mut grants = person.grants.iter().rev();
            let grant = grants.find(|(end, _)| *end == deadline);
            match grant {
                _ if deadline <= state.now => {}
                Some((_, head)) if person.state.applied() >= *head => {}
                Some((_, head)) => {
                    return Some(format!("I2: validator {number} lacks {head}"));
                }
                None => return Some(format!("I7: validator {number} has no grant")),
            }
        }
        None
    }
}

fn place(after: u64) -> usize {
    usize::try_from(after).expect("a log that fits into memory")
}

fn granted(reply: &GrantReply) -> Option<&session_domain::revocation::Grant> {
    match reply {
        GrantReply::Granted(grant) => Some(grant),
        GrantReply::Lagging { .. } | GrantReply::Rejoin { .. } => None,
    }
}
