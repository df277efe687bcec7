//! Clients: they have sessions started and ended, present tokens, and try again when nobody
//! answers.

use session_domain::ids::{Generation, LogEpoch, Serial, TenantId};
use session_domain::port::BusRequest;
use session_domain::revocation::{CheckVerdict, Guards};
use session_domain::token::{Claims, TokenKind};
use session_domain::usecase::validate::{
    Begun, Judged, Local, Memory, Verdict, conclude_under, query,
};

use super::clock::Moment;
use super::database::{Change, Outcome, key_of};
use super::event::{ApiId, Event, Promise, SessionNumber, ValidatorId};
use super::reader::{Reader, requirements};
use super::validator::CHECK_WITHIN;
use super::world::World;
use super::{MICRO, MILLI, Nanos, SECOND};

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Start,
    End,
    EndUser,
    Refresh,
    StepUp,
    Floor,
    RetireKey,
    Reap,
}

/// A client's request, until it is answered.
#[derive(Debug)]
pub(super) struct Op {
    pub wish: Wish,
    /// Decided when it is first sent.
    pub change: Option<Change>,
    pub answered: bool,
}

impl Op {
    /// A request that has not been sent.
    pub const fn new(wish: Wish) -> Self {
        Self {
            wish,
            change: None,
            answered: false,
        }
    }
}

/// A token somebody holds.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub session: SessionNumber,
    pub serial: Serial,
    pub tenant: TenantId,
    text: String,
}

/// A token's presentation to a validator.
#[derive(Debug)]
pub(super) struct Probe<G> {
    pub validator: ValidatorId,
    pub token: usize,
    /// At which step its first byte arrived.
    pub begun: Option<u64>,
    /// Which epoch its validator followed when it began to decide.
    pub epoch: Option<LogEpoch>,
    /// For how long its thread is held up before it answers, at least.
    pub held_up: Nanos,
    stage: Stage<G>,
}

#[derive(Debug)]
enum Stage<G> {
    Arriving,
    Begun(Begun<G>),
    Judged(Judged<G>),
    Asking(Claims),
    Over,
}

impl<G: Guards> World<G> {
    pub fn on_send(&mut self, op: usize) {
        if self.ops[op].answered {
            return;
        }
        let wish = self.ops[op].wish;
        if self.ops[op].change.is_none() {
            self.ops[op].change = self.choose(wish);
        }
        let apis = self.live_apis();
        let change = self.ops[op].change.clone();
        if let (Some(change), false) = (change, apis.is_empty()) {
            let api = self.rng.pick(&apis);
            self.note(|_| format!("client {op} asks api {api}: {change:?}"));
            if self.apis[api].paused_until <= self.now {
                self.change(api, op, change);
            }
        }
        if !matches!(wish, Wish::Start | Wish::Reap) {
            // The impatient ask again while the first request is on its way.
            let patience = self.rng.between(300 * MILLI, 4 * SECOND);
            self.after(patience, Event::Send(op));
            // Another tab refreshes as well.
            if wish == Wish::Refresh && self.rng.chance(300) {
                let soon = self.rng.below(3 * MILLI);
                self.after(soon, Event::Send(op));
            }
        }
    }

    fn choose(&mut self, wish: Wish) -> Option<Change> {
        match wish {
            Wish::Start => return Some(Change::Start(self.rng.below(6))),
            Wish::EndUser => return Some(Change::EndUser(self.rng.below(6))),
            Wish::Floor => return Some(Change::Floor(self.rng.below(6))),
            Wish::RetireKey => return Some(Change::RetireKey),
            Wish::Reap => return Some(Change::Reap),
            Wish::End | Wish::Refresh | Wish::StepUp => {}
        }
        if self.tokens.is_empty() {
            return None;
        }
        // Mostly one that lives; sometimes one that has ended.
        let mut session = 0;
        for _ in 0..4 {
            let token = self.rng.index(self.tokens.len());
            session = self.tokens[token].session;
            if !self.oracle.is_dead(session) {
                break;
            }
        }
        Some(match wish {
            Wish::End => Change::End(session),
            Wish::StepUp => Change::StepUp(session),
            _ => {
                let current = self.database.session(session).refresh.generation.0;
                // Now and then a used one.
                let back = u32::from(self.rng.chance(150));
                Change::Rotate(session, Generation(current.saturating_sub(back)))
            }
        })
    }

    /// A client is answered.
    pub fn finish(&mut self, api: ApiId, op: usize, outcome: &Outcome) {
        self.note(|_| format!("api {api} answers client {op}: {:?}", outcome.promise));
        self.ops[op].answered = true;
        match self.ops[op].wish {
            Wish::Floor => self.stats.floors += 1,
            Wish::StepUp => self.stats.stepped_up += u64::from(outcome.issued.is_some()),
            _ => {}
        }
        if let Some((session, from, to)) = outcome.rotated {
            let repeated = self.check_successor(session, from, to);
            self.stats.rotated += u64::from(!repeated);
            self.stats.repeated_refreshes += u64::from(repeated);
        }
        if let Some((session, serial)) = outcome.issued {
            let tenant = self.database.session(session).tenant.clone();
            self.check_birth(op, session, serial);
            self.tokens.push(Token {
                session,
                serial,
                text: format!("{tenant} {session} {}", serial.0),
                tenant,
            });
        }
        let counts = self.oracle.promise(self.step, &outcome.promise);
        self.stats.lost_promises += u64::from(!counts);
        self.look_closely(&outcome.promise);
    }

    /// What was just promised to be over is presented everywhere, at once and a little later.
    fn look_closely(&mut self, promise: &Promise) {
        let broken = |token: &Token| {
            promise.sessions.contains(&token.session)
                || promise.serial == Some(token.serial)
                || promise.key.as_ref() == Some(&key_of(token.serial))
        };
        let mut over: Vec<usize> = (0..self.tokens.len())
            .filter(|&token| broken(&self.tokens[token]))
            .collect();
        while over.len() > 2 {
            let surplus = self.rng.index(over.len());
            over.swap_remove(surplus);
        }
        for validator in self.live_validators() {
            for &token in &over {
                for longest in [1, 5 * MILLI, 20 * MILLI, SECOND] {
                    let delay = self.rng.below(longest);
                    self.present(validator, token, delay, 0);
                }
            }
        }
    }

    /// Somebody presents some token to some validator.
    pub fn onlook(&mut self) {
        let validators = self.live_validators();
        if validators.is_empty() || self.tokens.is_empty() {
            return;
        }
        let validator = self.rng.pick(&validators);
        let mut token = self.rng.index(self.tokens.len());
        for _ in 0..2 {
            // Most people's sessions live.
            if self.oracle.is_dead(self.tokens[token].session) {
                token = self.rng.index(self.tokens.len());
            }
        }
        let held_up = if self.rng.chance(60) {
            self.rng.between(100 * MILLI, 8 * SECOND)
        } else {
            0
        };
        self.present(validator, token, 0, held_up);
    }

    pub fn present(&mut self, validator: ValidatorId, token: usize, delay: Nanos, held_up: Nanos) {
        self.probes.push(Probe {
            validator,
            token,
            begun: None,
            epoch: None,
            held_up,
            stage: Stage::Arriving,
        });
        self.after(delay, Event::Probe(self.probes.len() - 1));
    }

    /// A decision's next step.
    pub fn on_probe(&mut self, probe: usize) {
        let validator = self.probes[probe].validator;
        let process = &self.validators[validator];
        if !process.alive {
            return;
        }
        // It has arrived, even if nobody can look at it yet.
        self.probes[probe].begun.get_or_insert(self.step);
        if process.paused_until > self.now {
            let until = process.paused_until;
            return self.at(until, Event::Probe(probe));
        }
        let stage = std::mem::replace(&mut self.probes[probe].stage, Stage::Over);
        if matches!(stage, Stage::Arriving) && !process.serving {
            return;
        }
        let moment = Moment {
            boot: self.validator_time(validator),
            wall: process.clock.wall(self.now),
        };
        let known = std::sync::Arc::clone(&process.state);
        let memory = Memory {
            state: &known,
            verifier: &Reader,
            clock: &moment,
        };
        let next = match stage {
            Stage::Arriving => {
                let process = &mut self.validators[validator];
                process.deciding += 1;
                self.probes[probe].epoch = process.follower.applied().map(|head| head.epoch);
                Stage::Begun(Begun::begin(&memory))
            }
            Stage::Begun(begun) => {
                let text = &self.tokens[self.probes[probe].token].text;
                Stage::Judged(begun.judge(&memory, text, TokenKind::Session, &requirements()))
            }
            Stage::Judged(judged) => {
                let local = judged.answer(&memory);
                return self.on_local(probe, local);
            }
            Stage::Asking(_) => {
                self.stats.unavailable += 1;
                return self.end_probe(probe);
            }
            Stage::Over => return,
        };
        let late = matches!(next, Stage::Judged(_));
        self.probes[probe].stage = next;
        let hold = self.hold_up(if late { self.probes[probe].held_up } else { 0 });
        self.after(hold, Event::Probe(probe));
    }

    /// How long a thread takes to get to the next step of its decision.
    fn hold_up(&mut self, at_least: Nanos) -> Nanos {
        let usual = if self.rng.chance(10) {
            self.rng.between(MILLI, 3 * SECOND)
        } else {
            self.rng.between(MICRO, 30 * MICRO)
        };
        let hold = usual.max(at_least);
        self.stats.held_up += u64::from(hold > 100 * MILLI);
        hold
    }

    fn on_local(&mut self, probe: usize, local: Local) {
        match local {
            Local::Accept(_) => {
                self.stats.accepted_locally += 1;
                self.check_leased(probe);
                self.check_accepted(probe, "from memory");
                self.end_probe(probe);
            }
            Local::Deny(refusal) => {
                self.stats.denied_locally += 1;
                self.note_refused(probe, refusal);
                let session = self.tokens[self.probes[probe].token].session;
                self.stats.lost_refused += u64::from(self.database.lost.contains(&session));
                self.end_probe(probe);
            }
            Local::Blind => {
                self.stats.unavailable += 1;
                self.end_probe(probe);
            }
            Local::Ask(claims) => {
                let request = BusRequest::Check(query(&claims));
                let validator = self.probes[probe].validator;
                self.ask(validator, request, CHECK_WITHIN, Some(probe));
                self.probes[probe].stage = Stage::Asking(claims);
                self.after(CHECK_WITHIN + 1, Event::Probe(probe));
            }
        }
    }

    /// The authority's word on a token.
    pub fn on_verdict(&mut self, probe: usize, verdict: CheckVerdict) {
        let validator = self.probes[probe].validator;
        let stage = std::mem::replace(&mut self.probes[probe].stage, Stage::Over);
        let Stage::Asking(claims) = stage else {
            return;
        };
        if !self.validators[validator].alive {
            return;
        }
        let memory = &self.validators[validator].state;
        match conclude_under::<G, _>(memory, claims, verdict) {
            Verdict::Accept(_) => {
                self.stats.accepted_remotely += 1;
                self.check_accepted(probe, "by the authority's word");
            }
            Verdict::Deny(refusal) => {
                self.stats.denied_remotely += 1;
                self.note_refused(probe, refusal);
            }
            Verdict::Unavailable => self.stats.denied_remotely += 1,
        }
        self.end_probe(probe);
    }

    fn end_probe(&mut self, probe: usize) {
        self.probes[probe].stage = Stage::Over;
        self.validators[self.probes[probe].validator].deciding -= 1;
    }

    /// What a validator says of a token when nothing holds it up.
    pub fn decide_at_once(&self, validator: ValidatorId, token: usize) -> Local {
        let process = &self.validators[validator];
        let moment = Moment {
            boot: self.validator_time(validator),
            wall: process.clock.wall(self.now),
        };
        let memory = Memory {
            state: &process.state,
            verifier: &Reader,
            clock: &moment,
        };
        let text = &self.tokens[token].text;
        Begun::<G>::begin(&memory)
            .judge(&memory, text, TokenKind::Session, &requirements())
            .answer(&memory)
    }
}
