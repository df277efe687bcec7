//! What must hold, and who finds out when it doesn't.

use std::collections::{BTreeMap, BTreeSet};

use session_domain::ids::{Generation, KeyId, LogEpoch, Seq, Serial, TenantId};
use session_domain::port::BusRequest;
use session_domain::revocation::{Guards, Head, LogEntry, Standing};
use session_domain::session::Status;
use session_domain::token::Refusal;
use session_domain::usecase::validate::Local;

use super::client::Wish;
use super::database::{Loss, Operation, key_of, place};
use super::event::{Promise, SessionNumber, ValidatorId};
use super::world::World;

/// Everything that was promised, with the step it was promised at.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    promises: Vec<(u64, Promise)>,
    sessions: BTreeMap<SessionNumber, u64>,
    serials: BTreeMap<Serial, u64>,
    floors: Vec<(TenantId, Serial, u64)>,
    keys: BTreeMap<KeyId, u64>,
    /// Up to which timeline what comes after which entry was lost.
    losses: Vec<(u64, Seq)>,
    /// Every epoch's entries, as they were when it was the longest.
    histories: BTreeMap<LogEpoch, Vec<LogEntry>>,
    /// In which epoch the starts of sessions were lost.
    lost: BTreeMap<SessionNumber, LogEpoch>,
    /// Sessions that go on although somebody may have been told otherwise.
    doubtful: BTreeSet<SessionNumber>,
    successors: BTreeMap<(SessionNumber, Generation), Generation>,
}

impl Oracle {
    /// A client has been told so. Gives whether that is worth anything: what a failover lost was
    /// promised by a database that no longer knows.
    pub fn promise(&mut self, step: u64, promise: &Promise) -> bool {
        if self.is_lost(promise) {
            return false;
        }
        self.promises.push((step, promise.clone()));
        self.count_on(step, promise);
        true
    }

    fn is_lost(&self, promise: &Promise) -> bool {
        let lost = |&(timeline, through)| promise.timeline <= timeline && promise.seq > through;
        self.losses.iter().any(lost)
    }

    /// Another server has become the database. Gives how many promises are lost with that.
    pub fn fail_over(
        &mut self,
        timeline: u64,
        epoch: LogEpoch,
        entries: &[LogEntry],
        loss: &Loss,
    ) -> u64 {
        let known = self.histories.entry(epoch).or_default();
        if known.len() < entries.len() {
            *known = entries.to_vec();
        }
        self.losses.push((timeline, loss.through));
        self.lost
            .extend(loss.sessions.iter().map(|&session| (session, epoch)));
        self.doubtful.extend(&loss.doubtful);
        let all = std::mem::take(&mut self.promises);
        let before = all.len();
        (self.sessions, self.serials) = (BTreeMap::new(), BTreeMap::new());
        (self.floors, self.keys) = (Vec::new(), BTreeMap::new());
        for (step, promise) in all {
            if !self.is_lost(&promise) {
                self.count_on(step, &promise);
                self.promises.push((step, promise));
            }
        }
        (before - self.promises.len()) as u64
    }

    fn count_on(&mut self, step: u64, promise: &Promise) {
        for &session in &promise.sessions {
            self.sessions.entry(session).or_insert(step);
        }
        if let Some(serial) = promise.serial {
            self.serials.entry(serial).or_insert(step);
        }
        if let Some((tenant, through)) = &promise.floor {
            self.floors.push((tenant.clone(), *through, step));
        }
        if let Some(key) = &promise.key {
            self.keys.entry(key.clone()).or_insert(step);
        }
    }

    /// Whether somebody was told that this session is over.
    pub fn is_dead(&self, session: SessionNumber) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Since which step nobody may accept such a token any more.
    fn over_since(&self, session: SessionNumber, serial: Serial, tenant: &TenantId) -> Option<u64> {
        let floors = self
            .floors
            .iter()
            .filter(|(of, through, _)| of == tenant && serial <= *through)
            .map(|&(_, _, step)| step);
        [
            self.sessions.get(&session).copied(),
            self.serials.get(&serial).copied(),
            self.keys.get(&key_of(serial)).copied(),
        ]
        .into_iter()
        .flatten()
        .chain(floors)
        .min()
    }
}

impl<G: Guards> World<G> {
    /// I1: what is accepted was not over when its request began.
    pub fn check_accepted(&mut self, probe: usize, how: &str) {
        let begun_of = probe;
        let probe = &self.probes[probe];
        let token = &self.tokens[probe.token];
        let begun = probe.begun.unwrap_or_default();
        let over = self
            .oracle
            .over_since(token.session, token.serial, &token.tenant);
        if over.is_some_and(|over| over < begun) {
            let what = format!(
                "validator {} accepted {how} session {} serial {} in a request of step {begun}, \
                 though its end had been answered at step {}",
                probe.validator,
                token.session,
                token.serial,
                over.unwrap_or_default(),
            );
            self.violate("I1", what);
        }
        self.check_known(begun_of);
        self.check_final(begun_of);
    }

    /// I9: what a validator has refused as ended, it does not accept in a request begun later.
    fn check_final(&mut self, probe: usize) {
        let probe = &self.probes[probe];
        let serial = self.tokens[probe.token].serial;
        let refused = self.validators[probe.validator].refused.get(&serial);
        let begun = probe.begun.unwrap_or_default();
        if let Some(refused) = refused.filter(|refused| **refused < begun) {
            let what = format!(
                "validator {} accepted serial {serial} in a request of step {begun}, which it had \
                 refused as ended at step {refused}",
                probe.validator
            );
            self.violate("I9", what);
        }
    }

    /// Remembers what [`Self::check_final`] looks for.
    pub fn note_refused(&mut self, probe: usize, refusal: Refusal) {
        if refusal == Refusal::Ended {
            let (step, probe) = (self.step, &self.probes[probe]);
            let serial = self.tokens[probe.token].serial;
            let refused = &mut self.validators[probe.validator].refused;
            refused.entry(serial).or_insert(step);
        }
    }

    /// I8: who follows the epoch after a loss accepts nothing of sessions that were lost.
    fn check_known(&mut self, probe: usize) {
        let probe = &self.probes[probe];
        let session = self.tokens[probe.token].session;
        let (lost, epoch) = (self.oracle.lost.get(&session), self.database.epoch);
        let since = self.database.has_begun_epoch();
        if since && lost.is_some_and(|lost| probe.epoch == Some(epoch) && *lost != epoch) {
            let what = format!(
                "validator {} accepted session {session}, which is lost, in epoch {epoch}",
                probe.validator
            );
            self.violate("I8", what);
        }
    }

    /// What was asked for before a lease was given up is not granted after it.
    pub fn check_released(&mut self, operation: &Operation) {
        let Operation::Bus(BusRequest::Grant(request)) = operation else {
            return;
        };
        let given_up = self.database.released.get(&request.instance);
        self.stats.late_grants += u64::from(given_up.is_some_and(|last| request.counter <= *last));
        if self.database.is_resurrected(request.instance) {
            let what = format!("{} holds a lease that it gave up before", request.instance);
            self.violate("L", what);
        }
    }

    /// I7: at the moment of an answer from memory, some lease runs.
    pub fn check_leased(&mut self, probe: usize) {
        let validator = self.probes[probe].validator;
        let now = self.validator_time(validator);
        let leases = &self.validators[validator].leases;
        if !leases.iter().any(|(end, _)| now < *end) {
            let what = format!("validator {validator} accepted from memory without a lease");
            self.violate("I7", what);
        }
    }

    /// I2 and I3, for one validator.
    pub fn check_validator(&mut self, validator: ValidatorId) {
        let process = &self.validators[validator];
        let (applied, deadline) = (process.state.applied(), process.state.deadline());
        if self.validator_time(validator) < deadline {
            let grant = process
                .leases
                .iter()
                .rev()
                .find(|(end, _)| *end == deadline);
            match grant {
                Some((_, head)) if applied < head.seq => {
                    let what = format!(
                        "validator {validator} answers under a grant of head {} with {applied} applied",
                        head.seq
                    );
                    return self.violate("I2", what);
                }
                Some(_) => {}
                None => {
                    let what = format!("validator {validator} has a lease nobody granted");
                    return self.violate("I7", what);
                }
            }
        }
        let Some(applied) = process.follower.applied() else {
            return;
        };
        if process.checked == Some(applied) {
            return;
        }
        self.check_applied(validator, applied);
        self.validators[validator].checked = Some(applied);
    }

    fn check_applied(
        &mut self,
        validator: ValidatorId,
        Head {
            epoch,
            seq: applied,
        }: Head,
    ) {
        let count = place(applied);
        let current = self.database.epoch == epoch && self.database.entries.len() >= count;
        let history = if current {
            &self.database.entries
        } else {
            let known = self.oracle.histories.get(&epoch);
            known.unwrap_or(&self.database.entries)
        };
        if count > history.len() {
            let what = format!("validator {validator} has applied {applied}, which isn't there");
            return self.violate("I3", what);
        }
        let missing = (0..count).find(|&place| {
            let entry = &history[place];
            !self.is_visible(validator, entry)
        });
        if let Some(place) = missing {
            let what = format!(
                "validator {validator} says {applied} is applied, but entry {} isn't visible",
                place + 1
            );
            self.violate("I3", what);
        }
    }

    fn is_visible(&self, validator: ValidatorId, entry: &LogEntry) -> bool {
        let state = &self.validators[validator].state;
        match entry {
            LogEntry::Ended(serials) => serials
                .iter()
                .all(|&serial| state.standing(&TenantId::default(), serial) == Standing::Ended),
            LogEntry::Floor { tenant, through } => {
                let tenant = tenant.clone().unwrap_or_default();
                state.standing(&tenant, *through) == Standing::Ended
            }
            LogEntry::KeyAdded(key) => state.knows_key(&key.kid),
            LogEntry::KeyRetired(kid) => !state.knows_key(kid),
        }
    }

    /// I4 and I6: what the database holds.
    pub fn check_database(&mut self) {
        let database = &self.database;
        if database.moves != database.events {
            let what = format!("{} moves, {} events", database.moves, database.events);
            return self.violate("I6", what);
        }
        let active = |number: SessionNumber| {
            let here = !database.lost.contains(&number);
            here && database.sessions[number].status == Status::Active
        };
        let lives_again = (0..database.sessions.len())
            .filter(|&number| active(number))
            .find(|&number| {
                let session = &database.sessions[number];
                database.ended.contains(&session.serial)
                    || (database.floored.contains(&number)
                        && !database.covered(&session.tenant, session.serial))
            });
        if let Some(number) = lives_again {
            let what = format!("session {number} lives, though its end is in the log");
            self.violate("I4", what);
        }
    }

    /// I5. Gives whether that generation had been traded before.
    pub fn check_successor(
        &mut self,
        session: SessionNumber,
        from: Generation,
        to: Generation,
    ) -> bool {
        let known = self.oracle.successors.insert((session, from), to);
        if known.is_some_and(|known| known != to) {
            let what = format!("session {session}, generation {from}: {known:?} and {to}");
            self.violate("I5", what);
        }
        known.is_some()
    }

    /// A session isn't handed out dead, by a floor that came before it.
    pub fn check_birth(&mut self, op: usize, session: SessionNumber, serial: Serial) {
        let tenant = &self.database.session(session).tenant;
        let stillborn = self.ops[op].wish == Wish::Start
            && !self.database.lost.contains(&session)
            && self.database.covered(tenant, serial)
            && !self.database.floored.contains(&session);
        if stillborn {
            let what = format!("session {session} was handed out dead, with serial {serial}");
            self.violate("L", what);
        }
    }

    /// L: in the end, when nothing has been broken for long, all is well.
    pub fn check_liveness(&mut self) {
        for validator in self.live_validators() {
            let process = &self.validators[validator];
            if !process.serving {
                continue;
            }
            if self.validator_time(validator) >= process.state.deadline() {
                let what = format!("validator {validator} has no lease");
                return self.violate("L", what);
            }
            for token in 0..self.tokens.len() {
                self.check_last_word(validator, token);
            }
        }
        let unanswered = self.ops.iter().position(|op| {
            !op.answered && op.change.is_some() && !matches!(op.wish, Wish::Start | Wish::Reap)
        });
        if let Some(op) = unanswered {
            let what = format!("client {op} got no answer: {:?}", self.ops[op].change);
            self.violate("L", what);
        }
    }

    fn check_last_word(&mut self, validator: ValidatorId, token: usize) {
        let local = self.decide_at_once(validator, token);
        let held = &self.tokens[token];
        let session = self.database.session(held.session);
        let lives = session.status == Status::Active
            && !self.database.lost.contains(&held.session)
            && !self.oracle.doubtful.contains(&held.session)
            && session.serial == held.serial
            && !self.database.covered(&held.tenant, held.serial)
            && self.database.has_key(&key_of(held.serial));
        let over = self
            .oracle
            .over_since(held.session, held.serial, &held.tenant);
        let accepted = matches!(local, Local::Accept(_));
        if accepted && over.is_some() {
            let what = format!("validator {validator} accepts token {token} in the end");
            self.violate("I1", what);
        } else if accepted && self.database.lost.contains(&held.session) {
            let what = format!("validator {validator} accepts token {token}, which is lost");
            self.violate("I8", what);
        } else if lives && !accepted {
            let what = format!("validator {validator} says {local:?} of a session that lives");
            self.violate("L", what);
        }
    }
}
