//! The validator processes: the driver of a follower, and threads that decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use session_domain::ids::{InstanceId, Serial};
use session_domain::port::{BusReply, BusRequest};
use session_domain::revocation::{
    Follower, FollowerAction, FollowerConfig, Grant, GrantReply, Guards, Head, Publication,
    RevocationState,
};
use session_domain::time::BootInstant;
use uuid::Uuid;

use super::clock::MachineClock;
use super::event::{Event, ValidatorId};
use super::network::Faults;
use super::world::World;
use super::{MILLI, Nanos, SECOND};

/// How long the driver of a follower waits for an answer.
const REQUEST_WITHIN: Nanos = 2 * SECOND;

/// How long a decision waits for one.
pub(super) const CHECK_WITHIN: Nanos = 150 * MILLI;

/// A validator process.
#[derive(Debug)]
pub(super) struct Validator<G> {
    pub alive: bool,
    /// Whether it takes new requests.
    pub serving: bool,
    pub clock: MachineClock,
    /// The machine stands still until then.
    pub paused_until: Nanos,
    /// The follower's driver gets no processor until then.
    pub stalled_until: Nanos,
    /// Whether its clock has stood still before: the allowance is for once in a lease.
    pub paused_unseen: bool,
    pub follower: Follower<G>,
    pub state: Arc<RevocationState>,
    /// Requests without an answer: until when one is taken, and whose decision waits for it.
    pending: BTreeMap<u64, (Nanos, Option<usize>)>,
    last_request: u64,
    /// When, on its own clock, it asked for which grant.
    asked: BTreeMap<u64, BootInstant>,
    /// Every lease it was ever told of: its end on its own clock, and the head of its grant.
    pub leases: Vec<(BootInstant, Head)>,
    /// At which step it first said of a serial that it has ended.
    pub refused: BTreeMap<Serial, u64>,
    /// Up to where what it says it has applied was seen to be there.
    pub checked: Option<Head>,
    /// Decisions that have begun and are not over.
    pub deciding: usize,
    wake: Nanos,
}

impl<G: Guards> World<G> {
    /// A new validator process, on a machine of its own.
    pub fn start_validator(&mut self) -> ValidatorId {
        // A holder whose clock runs slow holds on too long.
        let clock = self.fresh_clock(-1_000);
        let state = Arc::new(RevocationState::new());
        let number = self.validators.len();
        let instance = InstanceId(Uuid::from_u128(1 + number as u128));
        let config = FollowerConfig::default();
        let follower = Follower::with_guards(instance, Arc::clone(&state), config);
        self.validators.push(Validator {
            alive: true,
            serving: true,
            clock,
            paused_until: 0,
            stalled_until: 0,
            paused_unseen: false,
            follower,
            state,
            pending: BTreeMap::new(),
            last_request: 0,
            asked: BTreeMap::new(),
            leases: Vec::new(),
            refused: BTreeMap::new(),
            checked: None,
            deciding: 0,
            wake: 0,
        });
        self.stats.joins += 1;
        let delay = self.rng.between(1, 20 * MILLI);
        self.validators[number].wake = self.now + delay;
        self.after(delay, Event::WakeValidator(number));
        number
    }

    /// Whether the follower's driver can take in something now; if it is merely held up, `event`
    /// comes back.
    fn driver_takes(&mut self, validator: ValidatorId, event: impl FnOnce() -> Event) -> bool {
        let process = &self.validators[validator];
        let until = process.paused_until.max(process.stalled_until);
        if process.alive && until > self.now {
            self.at(until, event());
            return false;
        }
        process.alive
    }

    pub fn on_published(&mut self, validator: ValidatorId, publication: Publication) {
        let again = publication.clone();
        let comes_back = || Event::Published {
            validator,
            publication: again,
        };
        if self.driver_takes(validator, comes_back) {
            self.note(|_| format!("validator {validator} hears {publication:?}"));
            let now = self.validator_time(validator);
            self.validators[validator]
                .follower
                .on_publication(now, publication);
            self.poll_validator(validator);
        }
    }

    pub fn on_reply(&mut self, validator: ValidatorId, id: u64, reply: BusReply) {
        let process = &self.validators[validator];
        // Answers that come too late, or twice, have nobody waiting for them.
        let Some(&(until, waiter)) = process.pending.get(&id) else {
            return;
        };
        if until < self.now {
            self.validators[validator].pending.remove(&id);
            return;
        }
        if let (Some(probe), BusReply::Check(verdict)) = (waiter, &reply) {
            self.validators[validator].pending.remove(&id);
            self.on_verdict(probe, *verdict);
            return;
        }
        let again = reply.clone();
        let comes_back = || Event::Reply {
            validator,
            id,
            reply: again,
        };
        if self.driver_takes(validator, comes_back) {
            self.validators[validator].pending.remove(&id);
            self.note(|_| format!("validator {validator} is answered {reply:?}"));
            self.hand_in(validator, reply);
            self.poll_validator(validator);
        }
    }

    fn hand_in(&mut self, validator: ValidatorId, reply: BusReply) {
        let now = self.validator_time(validator);
        if let BusReply::Grant(GrantReply::Granted(grant)) = &reply {
            self.remember_lease(validator, now, grant);
        }
        let follower = &mut self.validators[validator].follower;
        match reply {
            BusReply::Grant(reply) => follower.on_grant_reply(now, reply),
            BusReply::Entries(entries) => follower.on_entries(now, entries),
            BusReply::EntriesGone { epoch } => follower.on_entries_gone(now, epoch),
            BusReply::Snapshot(snapshot) => follower.on_snapshot(now, &snapshot),
            BusReply::List(bits) => follower.on_list(now, &bits),
            BusReply::Released
            | BusReply::ActivityKept
            | BusReply::Check(_)
            | BusReply::Unavailable => {}
        }
    }

    /// What the machine will make of a grant, to judge it by later.
    fn remember_lease(&mut self, validator: ValidatorId, now: BootInstant, grant: &Grant) {
        let process = &mut self.validators[validator];
        if let Some(asked) = process.asked.remove(&grant.counter) {
            let error = if G::HOLDER_CLOCK_ERROR {
                grant.lease / 1_000
            } else {
                std::time::Duration::ZERO
            };
            let from = if G::RECKONED_FROM_ASKING { asked } else { now };
            let end = from.plus(grant.lease.saturating_sub(error));
            process.leases.push((end, grant.head));
        }
    }

    pub fn on_wake_validator(&mut self, validator: ValidatorId) {
        let process = &mut self.validators[validator];
        if process.wake != self.now {
            return;
        }
        let until = process.paused_until.max(process.stalled_until);
        if until > self.now {
            process.wake = until;
        }
        if self.driver_takes(validator, || Event::WakeValidator(validator)) {
            self.poll_validator(validator);
        }
    }

    /// Has the follower say what is due, and does it.
    pub fn poll_validator(&mut self, validator: ValidatorId) {
        let now = self.validator_time(validator);
        for action in self.validators[validator].follower.poll(now) {
            match action {
                FollowerAction::RequestGrant(request) => {
                    self.validators[validator]
                        .asked
                        .insert(request.counter, now);
                    self.ask(validator, BusRequest::Grant(request), REQUEST_WITHIN, None);
                    self.drain_ambush(validator);
                }
                FollowerAction::FetchSnapshot(mark) => {
                    let request = mark.map_or(BusRequest::Snapshot, BusRequest::SnapshotPart);
                    self.ask(validator, request, REQUEST_WITHIN, None);
                }
                FollowerAction::FetchList(list) => {
                    self.ask(validator, BusRequest::List(list), REQUEST_WITHIN, None);
                }
                FollowerAction::FetchEntries { epoch, after } => {
                    self.stats.gaps_fetched += 1;
                    let request = BusRequest::Entries { epoch, after };
                    self.ask(validator, request, REQUEST_WITHIN, None);
                }
                FollowerAction::Acknowledge(ack) => {
                    self.note(|_| format!("validator {validator} says {:?}", ack.applied));
                    for api in self.live_apis() {
                        let event = Event::Acknowledged { api, ack };
                        self.send(Faults::ACKNOWLEDGEMENTS, api, validator, &event);
                    }
                }
            }
        }
        self.check_validator(validator);
        let process = &mut self.validators[validator];
        let wake = process
            .clock
            .when(self.now, process.follower.wake_at(), G::BOOT_CLOCK)
            .max(self.now + 1);
        if wake != process.wake {
            process.wake = wake;
            self.at(wake, Event::WakeValidator(validator));
        }
    }

    /// Asks any one API.
    pub fn ask(
        &mut self,
        validator: ValidatorId,
        request: BusRequest,
        within: Nanos,
        waiter: Option<usize>,
    ) {
        let process = &mut self.validators[validator];
        process.last_request += 1;
        let id = process.last_request;
        process.pending.insert(id, (self.now + within, waiter));
        let apis = self.live_apis();
        if apis.is_empty() {
            return;
        }
        let api = self.rng.pick(&apis);
        let event = Event::Request {
            api,
            validator,
            id,
            request,
        };
        self.send(Faults::REQUESTS, api, validator, &event);
    }

    /// Stops taking requests; once nobody is being answered any more, gives the lease up.
    pub fn drain(&mut self, validator: ValidatorId, again: Event) {
        let process = &mut self.validators[validator];
        if !process.alive {
            return;
        }
        process.serving = false;
        if process.deciding > 0 || process.paused_until.max(process.stalled_until) > self.now {
            self.after(20 * MILLI, again);
            return;
        }
        process.follower.give_up();
        let (instance, counter) = (process.follower.instance(), process.follower.counter());
        self.note(|_| format!("validator {validator} gives its lease up and stops"));
        let release = BusRequest::Release { instance, counter };
        self.ask(validator, release, REQUEST_WITHIN, None);
        self.validators[validator].alive = false;
    }
}
