//! The machine that keeps a validator's [`RevocationState`] and its lease. Without I/O: it is told
//! what arrived and when, and [`Follower::poll`] says what to do next.

#[cfg(any(test, feature = "contract"))]
mod fork;
mod joining;
mod talk;

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{InstanceId, KeyId, LogEpoch, Seq};
use crate::revocation::{
    Acknowledgement, AllGuards, CLOCK_ERROR_PER_MILLE, Grant, GrantReply, GrantRequest, Guards,
    Head, LogEntry, Publication, RevocationState, SnapshotMark,
};
use crate::secret::Secret256;
use crate::time::BootInstant;

pub use talk::{FollowerAction, FollowerConfig};

/// A grant that doesn't count yet, because not everything before it is applied.
#[derive(Debug, Clone, Copy, Hash)]
struct Candidate {
    head: Head,
    deadline: BootInstant,
}

/// How far a follower has come.
#[derive(Debug, Clone, Hash)]
enum Phase {
    /// It waits for a snapshot, and then for the rest of it and for these lists. What is published
    /// meanwhile is kept.
    Joining {
        snapshot: Option<Head>,
        more: Option<SnapshotMark>,
        lists: Vec<u64>,
        early: Vec<Publication>,
    },
    /// It applies entries as they come.
    Following { epoch: LogEpoch },
}

impl Phase {
    const fn start() -> Self {
        Self::Joining {
            snapshot: None,
            more: None,
            lists: Vec::new(),
            early: Vec::new(),
        }
    }
}

/// Follows the revocation log on behalf of one process.
///
/// Invariants: what it has applied is a gapless prefix; a lease is in force only once everything
/// up to the head of its grant is applied; without one, nobody answers from memory.
#[derive(Debug)]
pub struct Follower<G = AllGuards> {
    instance: InstanceId,
    config: FollowerConfig,
    state: Arc<RevocationState>,
    phase: Phase,
    /// Entries after a gap, by number.
    ahead: BTreeMap<Seq, LogEntry>,
    counter: u64,
    /// When each grant still awaited was asked for.
    asked: BTreeMap<u64, BootInstant>,
    candidates: Vec<Candidate>,
    secret: Option<Secret256>,
    /// The newest entry known to exist.
    known_head: Seq,
    renew_at: BootInstant,
    fetch_at: Option<BootInstant>,
    join_at: BootInstant,
    ack_due: bool,
    /// Keys it has seen retired, in the epoch it followed last.
    retired: (Option<LogEpoch>, BTreeSet<KeyId>),
    /// The newest other epoch that was heard of.
    foreign: Option<LogEpoch>,
    guards: PhantomData<G>,
}

impl Follower {
    /// A follower that has yet to join. `instance` is drawn at random once per process, so that a
    /// replacement is never taken for its predecessor.
    pub fn new(instance: InstanceId, state: Arc<RevocationState>, config: FollowerConfig) -> Self {
        Self::with_guards(instance, state, config)
    }
}

impl<G: Guards> Follower<G> {
    /// [`Follower::new`] for whoever wants to see what the guards are good for.
    pub fn with_guards(
        instance: InstanceId,
        state: Arc<RevocationState>,
        config: FollowerConfig,
    ) -> Self {
        Self {
            instance,
            config,
            state,
            phase: Phase::start(),
            ahead: BTreeMap::new(),
            counter: 0,
            asked: BTreeMap::new(),
            candidates: Vec::new(),
            secret: None,
            known_head: Seq(0),
            renew_at: BootInstant(0),
            fetch_at: None,
            join_at: BootInstant(0),
            ack_due: false,
            retired: (None, BTreeSet::new()),
            foreign: None,
            guards: PhantomData,
        }
    }

    /// Who this follower is.
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    /// The counter of its newest request, with which it gives its lease up.
    pub const fn counter(&self) -> u64 {
        self.counter
    }

    /// What is due at `now`. Called after every input and at [`Self::wake_at`].
    pub fn poll(&mut self, now: BootInstant) -> Vec<FollowerAction> {
        let mut actions = Vec::new();
        if now >= self.renew_at {
            actions.push(self.request_grant(now));
        }
        if now >= self.join_at {
            actions.extend(self.continue_joining(now));
        }
        if self.fetch_at.is_some_and(|at| now >= at) {
            if !G::VISIBLE_BEFORE_ACKNOWLEDGED {
                self.apply_prefix(now);
            }
            actions.extend(self.fetch_gap(now));
        }
        actions.extend(self.take_acknowledgement());
        actions
    }

    /// When [`Self::poll`] has something to do next, if nothing arrives before.
    pub fn wake_at(&self) -> BootInstant {
        let joining = matches!(self.phase, Phase::Joining { .. }).then_some(self.join_at);
        [joining, self.fetch_at]
            .into_iter()
            .flatten()
            .fold(self.renew_at, BootInstant::min)
    }

    /// Gives the lease up: from now on nobody answers from memory.
    pub fn give_up(&mut self) {
        self.state.set_deadline(BootInstant(0));
        self.candidates.clear();
        self.asked.clear();
    }

    /// A request came to nothing: nobody serves yet, say. It is made again soon, where it is needed
    /// to answer at all.
    pub fn on_request_failed(&mut self, now: BootInstant) {
        let soon = now.plus(self.config.retry_after);
        if now >= self.state.deadline() {
            self.renew_at = self.renew_at.min(soon);
        }
        if matches!(self.phase, Phase::Joining { .. }) {
            self.join_at = self.join_at.min(soon);
        }
    }

    /// A grant, or the reason there is none.
    pub fn on_grant_reply(&mut self, now: BootInstant, reply: GrantReply) {
        match reply {
            GrantReply::Granted(grant) => {
                if let Some(asked) = self.asked.remove(&grant.counter) {
                    self.on_grant(now, asked, &grant);
                }
            }
            GrantReply::Lagging { counter, head } => {
                if self.asked.remove(&counter).is_some() && self.follows(head.epoch) {
                    self.note_head(now, head.seq);
                }
            }
            GrantReply::Rejoin { counter } => {
                if self.asked.remove(&counter).is_some() {
                    self.rejoin(now);
                }
            }
        }
    }

    /// Entries that were fetched. Where they don't fill the gap, the next are due at once.
    pub fn on_entries(&mut self, now: BootInstant, entries: Publication) {
        let before = self.state.applied();
        self.on_publication(now, entries);
        if self.fetch_at.is_some() && self.state.applied() > before {
            self.fetch_at = Some(now);
        }
    }

    /// Entries that were asked for are no longer kept, or not of the epoch in force: what follows
    /// from there can't be had, so it starts from a snapshot.
    pub fn on_entries_gone(&mut self, now: BootInstant, epoch: LogEpoch) {
        if self.follows(epoch) {
            self.rejoin(now);
        }
    }

    /// Entries: broadcast.
    pub fn on_publication(&mut self, now: BootInstant, publication: Publication) {
        match &mut self.phase {
            Phase::Joining { early, .. } => {
                // Beyond this much, what was dropped is fetched as a gap once joined.
                if early.len() < self.config.buffer_max {
                    early.push(publication);
                }
            }
            Phase::Following { epoch } if *epoch == publication.epoch || !G::EPOCH_COMPARED => {
                self.take(now, publication);
            }
            // Another history: a grant tells which one is true. Asked for at once, and once.
            Phase::Following { .. } => {
                if self.foreign.replace(publication.epoch) != Some(publication.epoch)
                    && self.asked.is_empty()
                {
                    self.renew_at = now;
                }
            }
        }
    }

    /// What it has applied, and in which epoch; `None` while it joins.
    pub fn applied(&self) -> Option<Head> {
        match self.phase {
            Phase::Following { epoch } => Some(Head {
                epoch,
                seq: self.state.applied(),
            }),
            Phase::Joining { .. } => None,
        }
    }

    fn follows(&self, epoch: LogEpoch) -> bool {
        matches!(self.phase, Phase::Following { epoch: mine } if mine == epoch)
    }

    fn request_grant(&mut self, now: BootInstant) -> FollowerAction {
        self.counter += 1;
        self.asked.insert(self.counter, now);
        while self.asked.len() > 16 {
            self.asked.pop_first();
        }
        self.renew_at = now.plus(self.config.request_patience);
        FollowerAction::RequestGrant(GrantRequest {
            instance: self.instance,
            counter: self.counter,
            applied: self.applied(),
        })
    }

    fn on_grant(&mut self, now: BootInstant, asked: BootInstant, grant: &Grant) {
        let epoch = match self.phase {
            Phase::Following { epoch } => Some(epoch),
            Phase::Joining { snapshot, .. } => snapshot.map(|head| head.epoch),
        };
        if G::EPOCH_COMPARED && epoch.is_some_and(|epoch| epoch != grant.head.epoch) {
            return self.rejoin(now);
        }
        // Answers that overtook each other must not carry time backwards.
        self.asked.retain(|&counter, _| counter > grant.counter);
        self.secret = Some(grant.secret.clone());
        self.state
            .set_times(asked, grant.server_time, grant.reaped_through);
        self.candidates.push(Candidate {
            head: grant.head,
            deadline: Self::deadline(now, asked, grant.lease),
        });
        self.renew_at = asked.plus(grant.lease / 4).max(now);
        self.ack_due = true;
        if self.applied().is_some() {
            self.note_head(now, grant.head.seq);
            self.enforce_candidates();
        }
    }

    /// Until when a lease asked for at `asked` may be used, by our own clock.
    fn deadline(now: BootInstant, asked: BootInstant, lease: Duration) -> BootInstant {
        // The clock may run slow by ε: what it calls L may truly be longer.
        let error = if G::HOLDER_CLOCK_ERROR {
            lease / 1_000 * CLOCK_ERROR_PER_MILLE
        } else {
            Duration::ZERO
        };
        let from = if G::RECKONED_FROM_ASKING { asked } else { now };
        from.plus(lease.saturating_sub(error))
    }

    /// Lets every candidate count whose head is applied.
    fn enforce_candidates(&mut self) {
        let Phase::Following { epoch } = self.phase else {
            return;
        };
        let applied = self.state.applied();
        self.candidates
            .retain(|candidate| candidate.head.epoch == epoch || !G::EPOCH_COMPARED);
        let counts = |candidate: &Candidate| !G::HEAD_APPLIED || candidate.head.seq <= applied;
        let newest = self
            .candidates
            .iter()
            .filter(|c| counts(c))
            .map(|c| c.deadline)
            .max();
        if let Some(deadline) = newest {
            self.state.set_deadline(deadline.max(self.state.deadline()));
        }
        self.candidates.retain(|candidate| !counts(candidate));
    }

    fn take(&mut self, now: BootInstant, publication: Publication) {
        let applied = self.state.applied();
        self.note_head(now, publication.last());
        if publication.last() <= applied {
            // Sent again because somebody waits for an acknowledgement that got lost.
            self.ack_due = true;
            return;
        }
        let first = publication.after;
        for (offset, entry) in (1..).zip(publication.entries) {
            let seq = Seq(first.0 + offset);
            if seq > applied {
                self.ahead.insert(seq, entry);
            }
        }
        if G::VISIBLE_BEFORE_ACKNOWLEDGED {
            self.apply_prefix(now);
        } else {
            self.ack_due = true;
        }
        // The furthest can be fetched again; the nearest are needed first.
        while self.ahead.len() > self.config.buffer_max {
            self.ahead.pop_last();
        }
    }

    fn apply_prefix(&mut self, now: BootInstant) {
        let mut applied = self.state.applied();
        while let Some((seq, entry)) = self.next_entry(applied) {
            self.state.apply(&entry);
            match entry {
                LogEntry::KeyRetired(kid) => _ = self.retired.1.insert(kid),
                LogEntry::KeyAdded(key) => _ = self.retired.1.remove(&key.kid),
                LogEntry::Ended(_) | LogEntry::Floor { .. } => {}
            }
            applied = seq;
        }
        if applied > self.state.applied() {
            // Only now, when every thread can see the entries, may anybody be told they are applied.
            self.state.set_applied(applied);
            self.ack_due = true;
            self.enforce_candidates();
        }
        self.schedule_gap_fetch(now);
    }

    /// Takes out the entry to apply after `applied`.
    fn next_entry(&mut self, applied: Seq) -> Option<(Seq, LogEntry)> {
        if G::GAPLESS_PREFIX {
            self.ahead.remove_entry(&applied.next())
        } else {
            self.ahead.pop_first()
        }
    }

    fn note_head(&mut self, now: BootInstant, head: Seq) {
        self.known_head = self.known_head.max(head);
        self.schedule_gap_fetch(now);
    }

    fn schedule_gap_fetch(&mut self, now: BootInstant) {
        if self.state.applied() >= self.known_head {
            self.fetch_at = None;
        } else if self.fetch_at.is_none() {
            self.fetch_at = Some(now.plus(self.config.gap_patience));
        }
    }

    fn fetch_gap(&mut self, now: BootInstant) -> Option<FollowerAction> {
        let Head { epoch, seq } = self.applied()?;
        self.fetch_at = Some(now.plus(self.config.request_patience));
        Some(FollowerAction::FetchEntries { epoch, after: seq })
    }

    fn take_acknowledgement(&mut self) -> Option<FollowerAction> {
        let (mut applied, secret) = (self.applied()?, self.secret.as_ref()?);
        if !G::VISIBLE_BEFORE_ACKNOWLEDGED {
            while self.ahead.contains_key(&applied.seq.next()) {
                applied.seq = applied.seq.next();
            }
        }
        std::mem::take(&mut self.ack_due).then(|| {
            FollowerAction::Acknowledge(Acknowledgement::new(self.instance, applied, secret))
        })
    }
}

#[cfg(test)]
mod tests;
