//! The API processes: they serve validators from the database, carry out clients' changes, and
//! wait at fences before they answer.

use std::collections::BTreeMap;

use session_domain::ids::Seq;
use session_domain::port::{BusReply, BusRequest};
use session_domain::revocation::{
    Acknowledgement, FenceId, Fences, FencesAction, GrantReply, Guards, LogRun, Publication,
};
use session_domain::secret::Secret256;

use super::clock::MachineClock;
use super::database::{Operation, Outcome, Work};
use super::event::{Answer, ApiId, Call, Event, ValidatorId};
use super::network::Faults;
use super::world::World;
use super::{MICRO, MILLI, Nanos};
use session_domain::revocation::Head;

/// An API process.
#[derive(Debug)]
pub(super) struct Api<G> {
    pub alive: bool,
    pub clock: MachineClock,
    pub paused_until: Nanos,
    fences: Fences<G>,
    waiting: BTreeMap<FenceId, (usize, Outcome)>,
    calls: BTreeMap<u64, Then>,
    last_call: u64,
    wake: Nanos,
}

/// What to do with the database's answer.
#[derive(Debug)]
enum Then {
    /// Hand it on to a validator.
    Serve(ValidatorId, u64),
    /// A client's change is through: fence it, or answer.
    Fence(usize),
    /// The leases are read: wait for their holders.
    Wait(usize, Box<Outcome>),
    /// Send it again.
    Publish,
    /// Nothing.
    Forget,
}

/// Why a fence may have opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    Acknowledged,
    Waited,
}

impl<G: Guards> World<G> {
    /// A new API process.
    pub fn start_api(&mut self) -> ApiId {
        // A revoker whose clock runs fast waits too short.
        let clock = self.fresh_clock(1_000);
        self.apis.push(Api {
            alive: true,
            clock,
            paused_until: 0,
            fences: Fences::default(),
            waiting: BTreeMap::new(),
            calls: BTreeMap::new(),
            last_call: 0,
            wake: 0,
        });
        self.apis.len() - 1
    }

    /// Whether that API can take in something now; if it merely stands still, `event` comes back.
    fn api_takes(&mut self, api: ApiId, event: impl FnOnce() -> Event) -> bool {
        let process = &self.apis[api];
        if process.alive && process.paused_until > self.now {
            let until = process.paused_until;
            self.at(until, event());
            return false;
        }
        process.alive
    }

    pub fn on_request(&mut self, api: ApiId, validator: ValidatorId, id: u64, request: BusRequest) {
        let again = request.clone();
        let comes_back = || Event::Request {
            api,
            validator,
            id,
            request: again,
        };
        if self.api_takes(api, comes_back) {
            self.note(|_| format!("api {api} is asked by validator {validator}: {request:?}"));
            self.call(api, Operation::Bus(request), Then::Serve(validator, id));
        }
    }

    /// Carries out a client's change.
    pub fn change(&mut self, api: ApiId, op: usize, change: super::database::Change) {
        self.call(api, Operation::Change(change), Then::Fence(op));
    }

    /// Has old entries deleted, by whoever is there.
    pub fn prune(&mut self) {
        let apis = self.live_apis();
        if !apis.is_empty() {
            let api = self.rng.pick(&apis);
            self.call(api, Operation::Prune, Then::Forget);
        }
    }

    fn call(&mut self, api: ApiId, operation: Operation, then: Then) {
        let process = &mut self.apis[api];
        process.last_call += 1;
        let id = process.last_call;
        process.calls.insert(id, then);
        if self.network.connects(Faults::DATABASE, api, None) {
            let way = self.rng.between(20 * MICRO, 400 * MICRO);
            self.after(way, Event::Start(Call { api, id, operation }));
        }
    }

    pub fn on_start(&mut self, call: Call) {
        if self.database_down_until > self.now {
            self.stats.refused_by_database += 1;
            return;
        }
        self.epoch_ambush(&call.operation);
        let slow = self.join_ambush(&call.operation);
        let epochs = self.database.epochs();
        if let Some(work) = self.database.start::<G>(call) {
            self.hold(work, slow);
        }
        self.stats.epochs += self.database.epochs() - epochs;
    }

    /// An operation takes its time between its start and its commit.
    fn hold(&mut self, work: Work, slow: bool) {
        let span = if slow {
            self.rng.between(8 * MILLI, 40 * MILLI)
        } else if self.rng.chance(50) {
            self.rng.between(MILLI, 40 * MILLI)
        } else {
            self.rng.between(30 * MICRO, 400 * MICRO)
        };
        self.after(span, Event::Commit(work));
    }

    pub fn on_commit(&mut self, work: &Work) {
        if self.database.is_over(work) {
            // The server it was on is gone, and nothing was committed.
            self.stats.aborted += 1;
            return;
        }
        let (epochs, pruned) = (self.database.epochs(), self.database.pruned());
        let Call { api, id, operation } = work.call.clone();
        let aborted = !self.apis[api].alive && self.rng.chance(500);
        if !aborted {
            let wall = self.database_clock.wall(self.now);
            let result = self.database.commit::<G>(work, wall);
            self.note(|world| {
                let head = world.database.head().seq;
                format!("database, head {head}: {operation:?} -> {result:?}")
            });
            self.check_database();
            self.check_released(&operation);
            let begun = self.database.epochs() - epochs;
            self.stats.epochs += begun;
            if begun == 0 {
                self.stats.pruned += (self.database.pruned() - pruned) as u64;
            }
            self.crash_ambush(api, &operation);
            if !self.apis[api].alive {
                self.stats.orphaned_commits += 1;
            }
            if self.network.connects(Faults::DATABASE, api, None) {
                let way = self.rng.between(20 * MICRO, 400 * MICRO);
                self.after(way, Event::Answer { api, id, result });
            }
        }
        if let Some(next) = self.database.unlock::<G>(&operation) {
            self.hold(next, false);
        }
    }

    pub fn on_answer(&mut self, api: ApiId, id: u64, result: Answer) {
        let again = result.clone();
        let comes_back = || Event::Answer {
            api,
            id,
            result: again,
        };
        if !self.api_takes(api, comes_back) {
            return;
        }
        match (self.apis[api].calls.remove(&id), result) {
            (Some(Then::Serve(validator, id)), Answer::Bus(reply)) => {
                self.serve(api, validator, id, reply);
            }
            (Some(Then::Fence(op)), Answer::Changed(outcome)) => self.fence(api, op, outcome),
            (Some(Then::Wait(op, outcome)), Answer::Leases(holders)) => {
                let Some(through) = outcome.awaits else {
                    return;
                };
                let now = self.api_time(api);
                self.note(|_| format!("api {api} waits for {through:?}: {holders:?}"));
                self.stats.held += u64::from(!holders.settled);
                let process = &mut self.apis[api];
                let Some(fence) = process.fences.begin(now, through, holders) else {
                    // Nothing is confirmed, and the client asks again.
                    self.stats.unconfirmed += 1;
                    return;
                };
                let open = process.fences.take_if_open(now, fence);
                if let Some(fresh) = outcome.fresh.clone() {
                    self.publish(api, &fresh);
                }
                if open {
                    self.stats.answered_at_once += 1;
                    self.finish(api, op, &outcome);
                } else {
                    self.apis[api].waiting.insert(fence, (op, *outcome));
                    self.forge();
                }
                self.poll_api(api, Because::Waited);
            }
            (Some(Then::Publish), Answer::Entries(head, run)) => self.resend(api, head, run),
            _ => {}
        }
    }

    fn resend(&mut self, api: ApiId, head: Head, run: LogRun) {
        match run {
            LogRun::Entries(entries) if entries.is_empty() => {}
            LogRun::Entries(entries) => {
                self.stats.resent += 1;
                let publication = Publication {
                    epoch: head.epoch,
                    after: Seq(head.seq.0 - 1),
                    entries,
                };
                self.publish(api, &publication);
            }
            LogRun::Pruned => {}
            LogRun::Foreign { current } => {
                for lost in self.apis[api].fences.on_epoch(current) {
                    self.stats.unconfirmed += 1;
                    self.apis[api].waiting.remove(&lost);
                }
            }
        }
    }

    fn serve(&mut self, api: ApiId, validator: ValidatorId, id: u64, reply: BusReply) {
        match &reply {
            BusReply::Grant(GrantReply::Granted(_)) => {
                self.stats.grants += 1;
                if self.edge_ambush(validator, id, &reply) {
                    return;
                }
            }
            BusReply::Grant(GrantReply::Lagging { .. }) => self.stats.laggards += 1,
            BusReply::Grant(GrantReply::Rejoin { .. }) => self.stats.rejoins += 1,
            BusReply::Released => self.stats.released += 1,
            BusReply::EntriesGone { .. } => self.stats.entries_gone += 1,
            BusReply::Snapshot(part) if part.after.is_some() => self.stats.snapshot_parts += 1,
            _ => {}
        }
        let event = Event::Reply {
            validator,
            id,
            reply,
        };
        self.send(Faults::REPLIES, api, validator, &event);
    }

    fn fence(&mut self, api: ApiId, op: usize, outcome: Outcome) {
        if outcome.repeated && outcome.awaits.is_some() {
            self.stats.repeated_ends += 1;
        }
        if outcome.awaits.is_some() {
            // The leases are read after the commit.
            self.call(api, Operation::Leases, Then::Wait(op, Box::new(outcome)));
        } else {
            if let Some(fresh) = outcome.fresh.clone() {
                self.publish(api, &fresh);
            }
            self.finish(api, op, &outcome);
        }
    }

    fn publish(&mut self, api: ApiId, publication: &Publication) {
        for validator in self.live_validators() {
            let event = Event::Published {
                validator,
                publication: publication.clone(),
            };
            self.send(Faults::PUBLICATIONS, api, validator, &event);
        }
    }

    /// Sends something over the bus: it arrives never, once or twice, now or later.
    pub fn send(&mut self, link: Faults, api: ApiId, validator: ValidatorId, event: &Event) {
        if !self.network.connects(link, api, Some(validator)) {
            self.stats.lost += 1;
            return;
        }
        let deliveries = self.network.deliveries(&mut self.rng);
        self.stats.lost += u64::from(deliveries[0].is_none());
        for delay in deliveries.into_iter().flatten() {
            self.after(delay, event.clone());
        }
    }

    pub fn on_acknowledged(&mut self, api: ApiId, ack: Acknowledgement) {
        if self.api_takes(api, || Event::Acknowledged { api, ack }) {
            self.apis[api].fences.on_acknowledgement(&ack);
            self.poll_api(api, Because::Acknowledged);
        }
    }

    pub fn on_wake_api(&mut self, api: ApiId) {
        if self.apis[api].wake != self.now {
            return;
        }
        let until = self.apis[api].paused_until;
        if until > self.now {
            self.apis[api].wake = until;
        }
        if self.api_takes(api, || Event::WakeApi(api)) {
            self.poll_api(api, Because::Waited);
        }
    }

    fn poll_api(&mut self, api: ApiId, because: Because) {
        let now = self.api_time(api);
        for action in self.apis[api].fences.poll(now) {
            match action {
                FencesAction::Open(fence) => {
                    if let Some((op, outcome)) = self.apis[api].waiting.remove(&fence) {
                        match because {
                            Because::Acknowledged => self.stats.answered_by_acknowledgement += 1,
                            Because::Waited => self.stats.answered_by_waiting += 1,
                        }
                        self.finish(api, op, &outcome);
                    }
                }
                FencesAction::Resend(head) => {
                    self.call(api, Operation::Entry(head), Then::Publish);
                }
                FencesAction::Forget { instance, counter } => {
                    self.stats.forgotten += 1;
                    self.call(api, Operation::Forget(instance, counter), Then::Forget);
                }
                FencesAction::Settle(epoch) => {
                    self.stats.settled += 1;
                    self.call(api, Operation::Settle(epoch), Then::Forget);
                }
            }
        }
        if let Some(at) = self.apis[api].fences.wake_at() {
            let process = &mut self.apis[api];
            // A machine that would be due in its own past is due at once.
            let wake = process
                .clock
                .when(self.now, at, G::BOOT_CLOCK)
                .max(self.now + 1);
            if wake != process.wake {
                process.wake = wake;
                self.at(wake, Event::WakeApi(api));
            }
        }
    }

    /// Somebody who can reach the bus, but knows no secret, acknowledges for everybody.
    pub fn forge(&mut self) {
        if !self.script.forger {
            return;
        }
        let mut applied = self.database.head();
        applied.seq = Seq(applied.seq.0 + 3);
        for validator in self.live_validators() {
            let instance = self.validators[validator].follower.instance();
            let ack = Acknowledgement::new(instance, applied, &Secret256([0xEE; 32]));
            for api in self.live_apis() {
                self.stats.forged += 1;
                self.after(MILLI, Event::Acknowledged { api, ack });
            }
        }
    }
}
