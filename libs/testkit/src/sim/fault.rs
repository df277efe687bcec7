//! Misfortunes: what breaks, and the ambushes that wait for the worst moment.

use session_domain::port::{BusReply, BusRequest};
use session_domain::revocation::{GrantReply, Guards, PAUSE_ALLOWANCE};

use super::client::{Op, Wish};
use super::database::Operation;
use super::event::{Event, Fault, Process, ValidatorId};
use super::network::Faults;
use super::world::World;
use super::{MICRO, MILLI, Nanos, SECOND};

impl<G: Guards> World<G> {
    pub fn on_fault(&mut self, fault: Fault) {
        if self.healed {
            return;
        }
        if !matches!(fault, Fault::Onlooker) {
            self.note(|_| format!("fault: {fault:?}"));
        }
        match fault {
            Fault::Cut {
                api,
                validator,
                links,
                until,
            } => self.cut(api, validator, links, until),
            Fault::Mend(cut) => self.network.mend(cut),
            Fault::Weather {
                lost,
                doubled,
                delayed,
            } => self.network.weather(lost, doubled, delayed),
            Fault::KillValidator(number) => {
                if let Some(&victim) = nth(&self.live_validators(), number) {
                    self.validators[victim].alive = false;
                    self.stats.killed += 1;
                }
            }
            Fault::DrainValidator(number) => {
                if let Some(&victim) = nth(&self.live_validators(), number) {
                    self.drain(victim, Event::Fault(Fault::Draining(victim)));
                }
            }
            Fault::Draining(victim) => self.drain(victim, Event::Fault(Fault::Draining(victim))),
            Fault::StartValidator => {
                self.start_validator();
            }
            Fault::KillApi(number) => {
                if let Some(&victim) = nth(&self.live_apis(), number) {
                    self.apis[victim].alive = false;
                    self.stats.killed += 1;
                }
            }
            Fault::StartApi => {
                self.start_api();
            }
            Fault::Pause { of, span, unseen } => self.pause(of, span, unseen),
            Fault::Freeze { validator, span } => self.pause_validator(validator, span, true),
            Fault::Stall { validator, span } => {
                if let Some(&victim) = nth(&self.live_validators(), validator) {
                    self.validators[victim].stalled_until = self.now + span;
                }
            }
            Fault::StepWall { of, by_us } => self.step_wall(of, by_us),
            Fault::Drift { of, error_ppm } => self.drift(of, error_ppm),
            Fault::Rollout(lease) => self.database.lease = lease,
            Fault::Onlooker => self.onlook(),
            Fault::CutOff(holder) => self.cut_off(holder),
            Fault::Standby => self.standby = Some(self.database.copy()),
            Fault::Failover { lossy, outage } => self.fail_over(lossy, outage),
            Fault::Prune => self.prune(),
        }
    }

    fn cut(&mut self, api: Option<usize>, validator: Option<usize>, links: Faults, until: Nanos) {
        let api = api.and_then(|number| nth(&self.live_apis(), number).copied());
        let validator = validator.and_then(|number| nth(&self.live_validators(), number).copied());
        let cut = self.network.cut(api, validator, links);
        self.at(until, Event::Fault(Fault::Mend(cut)));
        // Decisions that begin while nothing is heard, and end when much has been.
        for victim in validator.map_or_else(|| self.live_validators(), |victim| vec![victim]) {
            for _ in 0..3 {
                if !self.tokens.is_empty() {
                    let before = self.rng.below(400 * MILLI);
                    let delay = until.saturating_sub(self.now + before);
                    let held_up = self.rng.between(600 * MILLI, 3 * SECOND);
                    let token = self.rng.index(self.tokens.len());
                    self.present(victim, token, delay, held_up);
                }
            }
        }
    }

    fn pause(&mut self, of: Process, span: Nanos, unseen: bool) {
        let until = self.now + span;
        match of {
            Process::Validator(number) => {
                if let Some(&victim) = nth(&self.live_validators(), number) {
                    self.pause_validator(victim, span, unseen);
                }
            }
            Process::Api(number) => {
                if let Some(&victim) = nth(&self.live_apis(), number) {
                    let process = &mut self.apis[victim];
                    process.paused_until = process.paused_until.max(until);
                }
            }
        }
    }

    fn pause_validator(&mut self, victim: ValidatorId, span: Nanos, unseen: bool) {
        let now = self.now;
        let process = &mut self.validators[victim];
        if process.paused_until > now || (unseen && process.paused_unseen) {
            return;
        }
        process.paused_until = now + span;
        if unseen {
            process.paused_unseen = true;
            process.clock.freeze(now, now + span);
            self.stats.unseen_pauses += 1;
        }
    }

    fn step_wall(&mut self, of: Option<Process>, by_us: i64) {
        self.stats.wall_steps += 1;
        match of {
            None => self.database_clock.step_wall(by_us),
            Some(Process::Validator(number)) => {
                if let Some(&victim) = nth(&self.live_validators(), number) {
                    self.validators[victim].clock.step_wall(by_us);
                }
            }
            Some(Process::Api(number)) => {
                if let Some(&victim) = nth(&self.live_apis(), number) {
                    self.apis[victim].clock.step_wall(by_us);
                }
            }
        }
    }

    fn drift(&mut self, of: Process, error_ppm: i64) {
        let now = self.now;
        match of {
            Process::Validator(number) => {
                if let Some(&victim) = nth(&self.live_validators(), number) {
                    let process = &mut self.validators[victim];
                    if process.paused_until <= now {
                        process.clock.drift(now, error_ppm);
                    }
                }
            }
            Process::Api(number) => {
                if let Some(&victim) = nth(&self.live_apis(), number) {
                    self.apis[victim].clock.drift(now, error_ppm);
                }
            }
        }
    }

    /// Everything is mended; whoever is missing is started again.
    pub fn heal(&mut self) {
        self.note(|_| "everything is mended".to_owned());
        self.network.heal();
        self.healed = true;
        while self.live_apis().is_empty() {
            self.start_api();
        }
        while self.live_validators().is_empty() {
            self.start_validator();
        }
    }

    /// While a joiner's grant or snapshot is on its way through the database, something ends, and
    /// the joiner doesn't hear of it. Gives whether that operation shall take its time.
    pub fn join_ambush(&mut self, operation: &Operation) -> bool {
        if self.healed || !self.script.join_ambush {
            return false;
        }
        let BusRequest::Grant(request) = (match operation {
            Operation::Bus(request) => request,
            _ => return false,
        }) else {
            // Snapshots take their time now and then, so that something ends meanwhile.
            let slow = matches!(operation, Operation::Bus(BusRequest::Snapshot));
            if slow && self.rng.chance(300) {
                self.wish_soon();
                return true;
            }
            return false;
        };
        if request.applied.is_some() {
            return false;
        }
        let is =
            |&validator: &usize| self.validators[validator].follower.instance() == request.instance;
        if let Some(joiner) = (0..self.validators.len()).find(is) {
            let cut = self.network.cut(None, Some(joiner), Faults::PUBLICATIONS);
            let span = self.rng.between(20 * MILLI, 2 * SECOND);
            self.after(span, Event::Fault(Fault::Mend(cut)));
        }
        self.wish_soon();
        true
    }

    fn wish_soon(&mut self) {
        let wish = self.rng.pick(&[Wish::End, Wish::End, Wish::Floor]);
        let delay = self.rng.below(15 * MILLI);
        self.wish(wish, delay);
    }

    /// An API dies just when what a client asked of it is committed: nobody is told.
    pub fn crash_ambush(&mut self, api: usize, operation: &Operation) {
        let changes = matches!(operation, Operation::Change(_));
        if self.healed || !self.script.crash_ambush || !changes || !self.rng.chance(250) {
            return;
        }
        if self.apis[api].alive {
            self.apis[api].alive = false;
            self.stats.killed += 1;
            let delay = self.rng.between(MILLI, SECOND);
            self.after(delay, Event::Fault(Fault::StartApi));
        }
    }

    /// A lease has just been granted: its holder hears of it, late perhaps, and then of nothing
    /// more; its machine stands still for as long as may be; and at once something ends. Gives
    /// whether the reply was taken care of.
    pub fn edge_ambush(&mut self, validator: ValidatorId, id: u64, reply: &BusReply) -> bool {
        let due = self.script.edge_ambush.is_some_and(|at| self.now >= at);
        let follows = self.validators[validator].state.deadline().0 > 0;
        if self.healed || !due || !follows || self.validators[validator].paused_unseen {
            return false;
        }
        let BusReply::Grant(GrantReply::Granted(grant)) = reply else {
            return false;
        };
        self.script.edge_ambush = None;
        self.note(|_| format!("ambush on validator {validator}"));
        let slow = self.rng.between(1_100 * MILLI, 1_950 * MILLI);
        let way = self.rng.pick(&[100 * MICRO, slow]);
        let event = Event::Reply {
            validator,
            id,
            reply: reply.clone(),
        };
        self.after(way, event);
        let cut = self.network.cut(None, Some(validator), Faults::BUS);
        let span = nanos(grant.lease + 2 * PAUSE_ALLOWANCE) + SECOND;
        self.after(way + span, Event::Fault(Fault::Mend(cut)));
        let allowance = nanos(PAUSE_ALLOWANCE);
        self.after(
            way + MILLI,
            Event::Fault(Fault::Freeze {
                validator,
                span: allowance,
            }),
        );
        self.wish(Wish::End, 0);
        true
    }

    /// Another server becomes the database.
    fn fail_over(&mut self, lossy: bool, outage: Nanos) {
        let standby = self.standby.take().filter(|_| lossy);
        let database = &self.database;
        let (timeline, epoch, entries) =
            (database.timeline, database.epoch, database.entries.clone());
        let loss = self.database.fail_over(standby);
        self.stats.failovers += 1;
        self.stats.lossy_failovers += u64::from(loss.entries > 0 || loss.leases > 0);
        self.stats.lost_entries += loss.entries;
        self.stats.lost_leases += loss.leases;
        self.stats.lost_sessions += loss.sessions.len() as u64;
        self.stats.lost_promises += self.oracle.fail_over(timeline, epoch, &entries, &loss);
        self.database_down_until = self.now + outage;
        self.note(|_| format!("another server is the database: {loss:?}"));
        for session in loss.sessions {
            self.look_for(session);
        }
    }

    /// Tokens of a session that is lost are presented everywhere, for a while.
    fn look_for(&mut self, session: usize) {
        let held = self
            .tokens
            .iter()
            .position(|token| token.session == session);
        if let Some(token) = held {
            for validator in self.live_validators() {
                for _ in 0..4 {
                    let delay = self.rng.below(6 * SECOND);
                    self.present(validator, token, delay, 0);
                }
            }
        }
    }

    /// The database hands over to a server that lacks a lease granted just now; its holder hears
    /// of nothing more; and something ends.
    pub fn epoch_ambush(&mut self, operation: &Operation) {
        let due = self.script.epoch_ambush.is_some_and(|at| self.now >= at);
        let Operation::Bus(BusRequest::Grant(request)) = operation else {
            return;
        };
        if self.healed || !due || self.database.leases.contains_key(&request.instance) {
            return;
        }
        let is =
            |&validator: &usize| self.validators[validator].follower.instance() == request.instance;
        let Some(holder) = (0..self.validators.len()).find(is) else {
            return;
        };
        self.script.epoch_ambush = None;
        self.standby = Some(self.database.copy());
        let span = self.rng.between(30 * MILLI, 300 * MILLI);
        self.after(span, Event::Fault(Fault::CutOff(holder)));
        let outage = self.rng.below(20 * MILLI);
        let failover = Fault::Failover {
            lossy: true,
            outage,
        };
        self.after(span + MILLI, Event::Fault(failover));
        for _ in 0..2 {
            let delay = span + outage + self.rng.between(5 * MILLI, 500 * MILLI);
            self.wish(Wish::End, delay);
        }
    }

    fn cut_off(&mut self, holder: ValidatorId) {
        let cut = self.network.cut(None, Some(holder), Faults::BUS);
        let span = nanos(self.database.lease + 2 * PAUSE_ALLOWANCE) + SECOND;
        self.after(span, Event::Fault(Fault::Mend(cut)));
    }

    /// A validator is asked to stop just after it has asked for its lease to be renewed.
    pub fn drain_ambush(&mut self, validator: ValidatorId) {
        let due = self.script.drain_ambush.is_some_and(|at| self.now >= at);
        if self.healed || !due {
            return;
        }
        self.script.drain_ambush = None;
        self.stats.drained_asking += 1;
        self.after(MICRO, Event::Fault(Fault::Draining(validator)));
        self.after(MILLI, Event::Fault(Fault::StartValidator));
    }

    fn wish(&mut self, wish: Wish, delay: Nanos) {
        self.ops.push(Op::new(wish));
        self.after(delay, Event::Send(self.ops.len() - 1));
    }
}

fn nth<T>(of: &[T], number: usize) -> Option<&T> {
    of.get(number % of.len().max(1))
}

pub(super) fn nanos(span: std::time::Duration) -> Nanos {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
