//! The simulated world: who there is, what is due, and the loop that lets it happen.

use std::collections::BTreeMap;
use std::time::Duration;

use session_domain::revocation::Guards;
use session_domain::time::BootInstant;

use super::api::Api;
use super::client::{Op, Probe, Token};
use super::clock::MachineClock;
use super::database::Database;
use super::event::{ApiId, Event, Fault, ValidatorId};
use super::network::Network;
use super::oracle::Oracle;
use super::rng::Rng;
use super::script::Script;
use super::validator::Validator;
use super::{Nanos, SECOND, Stats, TRACE_LENGTH, Violation};

/// Everything there is.
pub(super) struct World<G> {
    pub seed: u64,
    pub rng: Rng,
    pub now: Nanos,
    pub step: u64,
    queue: BTreeMap<(Nanos, u64), Event>,
    queued: u64,
    pub script: Script,
    pub database: Database,
    pub database_clock: MachineClock,
    /// A server that may fall behind.
    pub standby: Option<Database>,
    pub database_down_until: Nanos,
    pub network: Network,
    pub apis: Vec<Api<G>>,
    pub validators: Vec<Validator<G>>,
    pub ops: Vec<Op>,
    pub tokens: Vec<Token>,
    pub probes: Vec<Probe<G>>,
    pub oracle: Oracle,
    pub stats: Stats,
    /// Whether everything that was broken has been mended, for good.
    pub healed: bool,
    pub violation: Option<(&'static str, String)>,
    pub traced: bool,
    pub keep_all: bool,
    pub trace: Vec<String>,
}

impl<G: Guards> World<G> {
    /// The world of that seed, in which nothing has happened yet.
    pub fn new(seed: u64, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let script = Script::write(&mut rng);
        let database_clock = MachineClock::new(0, 0, 0);
        let mut world = Self {
            seed,
            now: 0,
            step: 0,
            queue: BTreeMap::new(),
            queued: 0,
            database: Database::new(script.lease),
            database_clock,
            standby: None,
            database_down_until: 0,
            network: Network::default(),
            apis: Vec::new(),
            validators: Vec::new(),
            ops: Vec::new(),
            tokens: Vec::new(),
            probes: Vec::new(),
            oracle: Oracle::default(),
            stats: Stats::default(),
            healed: false,
            violation: None,
            traced,
            keep_all: false,
            trace: Vec::new(),
            rng,
            script,
        };
        for _ in 0..world.script.apis {
            world.start_api();
        }
        for _ in 0..world.script.validators {
            world.start_validator();
        }
        world.schedule_script();
        world
    }

    /// Lets everything happen.
    pub fn run(mut self) -> Result<Stats, Box<Violation>> {
        self.play()
    }

    /// [`Self::run`], for whoever wants the world afterwards.
    pub fn play(&mut self) -> Result<Stats, Box<Violation>> {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at > self.script.over {
                break;
            }
            self.now = at;
            self.step += 1;
            self.stats.events += 1;
            self.handle(event);
            if let Some((invariant, what)) = self.violation.take() {
                return Err(Box::new(self.report(invariant, what)));
            }
        }
        self.check_liveness();
        match self.violation.take() {
            Some((invariant, what)) => Err(Box::new(self.report(invariant, what))),
            None => Ok(self.stats.clone()),
        }
    }

    fn report(&mut self, invariant: &'static str, what: String) -> Violation {
        let keep = self.trace.len().saturating_sub(TRACE_LENGTH);
        Violation {
            invariant,
            what,
            seed: self.seed,
            step: self.step,
            trace: self.trace.split_off(keep),
        }
    }

    /// Makes something happen later.
    pub fn after(&mut self, span: Nanos, event: Event) {
        self.at(self.now.saturating_add(span), event);
    }

    /// Makes something happen then.
    pub fn at(&mut self, moment: Nanos, event: Event) {
        self.queued += 1;
        self.queue
            .insert((moment.max(self.now), self.queued), event);
    }

    /// Writes down what happens, where somebody will read it.
    pub fn note(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.traced {
            let line = format!(
                "{:>6} {:>12.6} s  {}",
                self.step,
                Duration::from_nanos(self.now).as_secs_f64(),
                what(self)
            );
            self.trace.push(line);
            // What nobody will read needn't be kept.
            if !self.keep_all && self.trace.len() > 4 * TRACE_LENGTH {
                self.trace.drain(..2 * TRACE_LENGTH);
            }
        }
    }

    /// An invariant doesn't hold.
    pub fn violate(&mut self, invariant: &'static str, what: String) {
        self.violation.get_or_insert((invariant, what));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Request {
                api,
                validator,
                id,
                request,
            } => self.on_request(api, validator, id, request),
            Event::Reply {
                validator,
                id,
                reply,
            } => self.on_reply(validator, id, reply),
            Event::Published {
                validator,
                publication,
            } => self.on_published(validator, publication),
            Event::Acknowledged { api, ack } => self.on_acknowledged(api, ack),
            Event::WakeValidator(validator) => self.on_wake_validator(validator),
            Event::WakeApi(api) => self.on_wake_api(api),
            Event::Start(call) => self.on_start(call),
            Event::Commit(work) => self.on_commit(&work),
            Event::Answer { api, id, result } => self.on_answer(api, id, result),
            Event::Send(op) => self.on_send(op),
            Event::Probe(probe) => self.on_probe(probe),
            Event::Fault(fault) => self.on_fault(fault),
            Event::Heal => self.heal(),
        }
    }

    /// What that validator's clock shows.
    pub fn validator_time(&self, validator: ValidatorId) -> BootInstant {
        self.validators[validator]
            .clock
            .reading(self.now, G::BOOT_CLOCK)
    }

    /// What that API's clock shows.
    pub fn api_time(&self, api: ApiId) -> BootInstant {
        self.apis[api].clock.reading(self.now, G::BOOT_CLOCK)
    }

    /// The validators that run.
    pub fn live_validators(&self) -> Vec<ValidatorId> {
        (0..self.validators.len())
            .filter(|&validator| self.validators[validator].alive)
            .collect()
    }

    /// The APIs that run.
    pub fn live_apis(&self) -> Vec<ApiId> {
        (0..self.apis.len())
            .filter(|&api| self.apis[api].alive)
            .collect()
    }

    /// A machine's clock, wrong as clocks are.
    pub fn fresh_clock(&mut self, worst: i64) -> MachineClock {
        let boot = self.rng.between(SECOND, 1_000_000 * SECOND);
        let error = self.script.clock_error(&mut self.rng, worst);
        MachineClock::new(self.now, boot, error)
    }

    fn schedule_script(&mut self) {
        for (at, op) in std::mem::take(&mut self.script.ops) {
            self.ops.push(op);
            self.at(at, Event::Send(self.ops.len() - 1));
        }
        for (at, fault) in std::mem::take(&mut self.script.faults) {
            self.at(at, Event::Fault(fault));
        }
        for at in std::mem::take(&mut self.script.probes) {
            self.at(at, Event::Fault(Fault::Onlooker));
        }
        self.at(self.script.heal, Event::Heal);
    }
}
