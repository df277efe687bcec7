//! What can happen in the small world, and what comes of it.

use session_domain::contract::sample::START;
use session_domain::ids::{LogEpoch, Seq};
use session_domain::revocation::{
    Acknowledgement, FenceId, Fences, FencesAction, FollowerAction, Grant, GrantReply,
    GrantRequest, Guards, Head, Lease, Publication,
};
use session_domain::secret::Secret256;
use session_domain::token::TokenKind;
use session_domain::usecase::validate::{Begun, Local};

use super::people::{Person, Row, Stopped, TENANTS, memory, requirements};
use super::{
    Action, Decision, FIRST, Kept, LEASE, Progress, SECOND, START_OF_TIME, SmallWorld, State,
    granted,
};

impl<G: Guards> SmallWorld<G> {
    pub(super) fn possible(&self, state: &State<G>) -> Vec<Action> {
        let mut all = Vec::new();
        if state.now.since(START_OF_TIME) < self.step * self.steps {
            all.push(Action::Tick);
        }
        if state.people.len() <= self.joins {
            all.push(Action::Join);
        }
        // Where nobody waits, a crash is the same as never having been asked.
        let busy =
            |end: &[Progress; 2]| matches!(end[0], Progress::Committed | Progress::Waiting(_));
        if self.crashes > 0 && !state.crashed && state.ends.iter().any(busy) {
            all.push(Action::Crash);
        }
        if self.failovers > 0 && state.epoch == FIRST {
            for entries in 0..=state.entries.len() {
                // All of the leases are there, or none.
                all.extend([0, state.people.len()].map(|kept| Action::FailOver(entries, kept)));
            }
        }
        for validator in 0..state.people.len() {
            possible_of(state, validator, &mut all);
            let idle = matches!(state.decision, Decision::None);
            if self.decisions > 0 && idle && state.answered(0) {
                all.push(Action::Begin(validator));
            }
        }
        for end in 0..self.ends {
            let [first, second] = state.ends[end];
            // Ends are alike: the first is the one that comes first.
            let next = (0..end).all(|before| state.seq(before).is_some() || state.lost[before]);
            if first == Progress::Unasked && next && !state.crashed {
                all.push(Action::Commit(end));
            }
            let committed = state.seq(end).is_some();
            let again = state.crashed || first == Progress::Unconfirmed;
            if second == Progress::Unasked && committed && again && !state.answered(end) {
                all.push(Action::Repeat(end));
            }
            if first == Progress::Committed && !state.crashed {
                all.push(Action::Wait(end));
            }
        }
        match state.decision {
            Decision::Begun(..) => all.push(Action::Judge),
            Decision::Judged(..) => all.push(Action::Answer),
            _ => {}
        }
        all
    }

    pub(super) fn happen(&self, state: &mut State<G>, action: Action) {
        match action {
            Action::Tick => {
                state.now = state.now.plus(self.step);
                (0..state.people.len()).for_each(|validator| poll(state, validator, self.renewals));
            }
            Action::Join => {
                let number = state.people.len();
                state.people.push(Kept::new(Person::new(number)));
                poll(state, number, self.renewals);
            }
            Action::Crash => {
                state.crashed = true;
                state.apis[0] = Kept::new(Fences::default());
                for end in &mut state.ends {
                    if end[0] != Progress::Answered {
                        end[0] = Progress::Unasked;
                    }
                }
            }
            Action::FailOver(entries, leases) => fail_over(state, entries, leases),
            Action::Grant(validator) => {
                if let Some(request) = state.asked[validator].grant.take() {
                    let head = state.head();
                    state.asked[validator].reading = Some((request, head));
                    if G::HEAD_LOCKED_AT_GRANT {
                        write_grant(state, validator);
                    }
                }
            }
            Action::WriteGrant(validator) => write_grant(state, validator),
            Action::Snapshot(validator) => {
                state.asked[validator].snapshot = false;
                state.asked[validator].joined = Some(state.snapshot());
            }
            Action::Granted(_) | Action::Joined(_) | Action::Fetch(_) | Action::Hear(..) => {
                arrive(state, action, self.renewals);
            }
            Action::Acknowledge(validator, said) => {
                let Head { epoch, seq } = said;
                state.acknowledged.remove(&(validator, epoch, seq));
                let instance = state.people[validator].follower.instance();
                let ack = Acknowledgement::new(instance, said, &secret(validator));
                for api in 0..2 {
                    state.change_fences(api, |fences| fences.on_acknowledgement(&ack));
                }
            }
            Action::Commit(end) => {
                state.entries.push(State::<G>::entry(end));
                state.committed_in[end] = state.epoch;
                state.ends[end][0] = Progress::Committed;
            }
            Action::Repeat(end) => {
                if G::EARLIER_END_AWAITED {
                    wait(state, end, 1);
                } else {
                    state.ends[end][1] = Progress::Answered;
                }
            }
            Action::Wait(end) => wait(state, end, 0),
            Action::Begin(_) | Action::Judge | Action::Answer => decide(state, action),
        }
        poll_fences(state);
        prune(state);
    }
}

fn possible_of<G: Guards>(state: &State<G>, validator: usize, all: &mut Vec<Action>) {
    let asked = &state.asked[validator];
    let mut when = |condition: bool, action: Action| all.extend(condition.then_some(action));
    when(
        asked.grant.is_some() && asked.reading.is_none(),
        Action::Grant(validator),
    );
    when(asked.reading.is_some(), Action::WriteGrant(validator));
    when(asked.granted.is_some(), Action::Granted(validator));
    when(asked.snapshot, Action::Snapshot(validator));
    when(asked.joined.is_some(), Action::Joined(validator));
    when(asked.fetch.is_some(), Action::Fetch(validator));
    let of = |&&(other, ..): &&(usize, LogEpoch, Seq)| other == validator;
    let heard = state.heard.iter().filter(of);
    all.extend(heard.map(|&(validator, epoch, seq)| Action::Hear(validator, Head { epoch, seq })));
    // Where nobody waits, an acknowledgement changes nothing; it may arrive later.
    let waited = |end: &[Progress; 2]| end.iter().any(|api| matches!(api, Progress::Waiting(_)));
    let waiting = state.ends.iter().any(waited);
    let acknowledged = state.acknowledged.iter().filter(of).filter(|_| waiting);
    all.extend(
        acknowledged
            .map(|&(validator, epoch, seq)| Action::Acknowledge(validator, Head { epoch, seq })),
    );
}

/// Something reaches a validator.
fn arrive<G: Guards>(state: &mut State<G>, action: Action, renewals: bool) {
    let now = state.now;
    let validator = match action {
        Action::Granted(validator) => {
            if let Some(reply) = state.asked[validator].granted.take() {
                state.change_person(validator, |person| {
                    if let Some(grant) = granted(&reply) {
                        remember(person, grant);
                    }
                    person.follower.on_grant_reply(now, reply);
                });
            }
            validator
        }
        Action::Joined(validator) => {
            if let Some(snapshot) = state.asked[validator].joined.take() {
                state.change_person(validator, |person| {
                    person.follower.on_snapshot(now, &snapshot);
                });
            }
            validator
        }
        Action::Fetch(validator) => {
            if let Some(after) = state.asked[validator].fetch.take() {
                let kept = after.epoch == state.epoch;
                let entries = state.publication(after, 9);
                state.change_person(validator, |person| {
                    if kept {
                        person.follower.on_entries(now, entries);
                    } else {
                        person.follower.on_entries_gone(now, after.epoch);
                    }
                });
            }
            validator
        }
        Action::Hear(validator, Head { epoch, seq }) => {
            state.heard.remove(&(validator, epoch, seq));
            let after = Seq(seq.0 - 1);
            let entry: Publication = state.publication(Head { epoch, seq: after }, 1);
            state.change_person(validator, |person| {
                person.follower.on_publication(now, entry);
            });
            validator
        }
        _ => return,
    };
    poll(state, validator, renewals);
}

fn remember<G: Guards>(person: &mut Person<G>, grant: &Grant) {
    let asked = person.times.iter().find(|(of, _)| *of == grant.counter);
    if let Some((_, asked)) = asked {
        let end = asked.plus(grant.lease / 1_000 * 999);
        person.grants.push((end, grant.head.seq));
    }
}

/// The secret of a validator's lease.
const fn secret(validator: usize) -> Secret256 {
    Secret256([if validator == 0 { 1 } else { 2 }; 32])
}

/// Has a follower say what is due, and does it.
fn poll<G: Guards>(state: &mut State<G>, validator: usize, renewals: bool) {
    let now = state.now;
    let actions = state.change_person(validator, |person| {
        let actions = person.follower.poll(now);
        for action in &actions {
            if let FollowerAction::RequestGrant(request) = action {
                person.times.push((request.counter, now));
            }
        }
        actions
    });
    for action in actions {
        let asked = &mut state.asked[validator];
        match action {
            FollowerAction::RequestGrant(request) => {
                let first = !state.leases.contains_key(&validator);
                if first || (renewals && validator > 0) {
                    asked.grant = Some(request);
                }
            }
            FollowerAction::FetchSnapshot(_) => asked.snapshot = true,
            FollowerAction::FetchList(_) => {}
            FollowerAction::FetchEntries { epoch, after } => {
                asked.fetch = Some(Head { epoch, seq: after });
            }
            FollowerAction::Acknowledge(ack) => {
                let key = (validator, ack.applied.epoch, ack.applied.seq);
                // Of nothing, nobody need be told.
                if ack.applied.seq > Seq(0) {
                    // It stands for all before it.
                    state.acknowledged.retain(|(of, ..)| *of != validator);
                    state.acknowledged.insert(key);
                }
            }
        }
    }
}

/// The grant's row is there for everybody from now on, and the reply on its way.
fn write_grant<G: Guards>(state: &mut State<G>, validator: usize) {
    let Some((request, head)) = state.asked[validator].reading.take() else {
        return;
    };
    let GrantRequest {
        instance,
        counter,
        applied,
    } = request;
    let foreign = applied.is_some_and(|applied| applied.epoch != state.epoch);
    if foreign && G::EPOCH_COMPARED {
        state.asked[validator].granted = Some(GrantReply::Rejoin { counter });
        return;
    }
    let known = state.leases.get(&validator);
    let applied = applied.map(|head| head.seq);
    let lags = known.is_some_and(|row| applied.is_some_and(|seq| seq < row.granted_head));
    if known.is_some_and(|row| counter <= row.lease.counter) {
        return;
    }
    state.asked[validator].granted = Some(if lags && G::LAGGARDS_REFUSED {
        GrantReply::Lagging { counter, head }
    } else {
        let secret = secret(validator);
        let lease = Lease {
            instance,
            counter,
            applied: applied.unwrap_or_default(),
            duration: LEASE,
            secret: secret.clone(),
        };
        let row = Row {
            lease,
            granted_head: head.seq,
        };
        state.leases.insert(validator, row);
        GrantReply::Granted(Grant {
            counter,
            head,
            lease: LEASE,
            server_time: START,
            reaped_through: START,
            secret,
        })
    });
}

/// The leases are read, the fence begins, and only then is the entry published.
fn wait<G: Guards>(state: &mut State<G>, end: usize, api: usize) {
    let Some(seq) = state.seq(end) else {
        return;
    };
    let holders = state.holders();
    // What the first API commits in the first epoch, it waits for in that one; who finds something
    // ended waits in the one in force.
    let epoch = if api == 0 {
        state.committed_in[end]
    } else {
        state.epoch
    };
    let through = Head { epoch, seq };
    let now = state.now;
    state.ends[end][api] =
        state.change_fences(api, |fences| match fences.begin(now, through, holders) {
            None => Progress::Unconfirmed,
            Some(fence) if fences.take_if_open(now, fence) => Progress::Answered,
            Some(fence) => Progress::Waiting(fence),
        });
    publish(state, through);
}

fn publish<G: Guards>(state: &mut State<G>, Head { epoch, seq }: Head) {
    for validator in 0..state.people.len() {
        state.heard.insert((validator, epoch, seq));
    }
}

/// Another server is the database: what it lacks is lost, and a new epoch begins.
fn fail_over<G: Guards>(state: &mut State<G>, entries: usize, leases: usize) {
    state.before = state.entries.clone();
    for end in 0..2 {
        let seq = state.seq(end);
        state.lost[end] = seq.is_some_and(|Seq(seq)| seq > entries as u64);
    }
    state.entries.truncate(entries);
    state.leases.retain(|&validator, _| validator < leases);
    state.epoch = SECOND;
    state.settled = false;
}

/// Forgets messages nobody learns anything from: entries that are applied. They would only be
/// acknowledged again, and no acknowledgement gets lost here: it may be as late as it likes.
fn prune<G: Guards>(state: &mut State<G>) {
    let people = &state.people;
    state.heard.retain(|&(validator, epoch, seq)| {
        let applied = people[validator].follower.applied();
        applied.is_none_or(|applied| applied.epoch != epoch || applied.seq < seq)
    });
}

fn poll_fences<G: Guards>(state: &mut State<G>) {
    for api in 0..2 {
        if (api == 0 && state.crashed) || state.apis[api].wake_at().is_none() {
            continue;
        }
        let now = state.now;
        for action in state.change_fences(api, |fences| fences.poll(now)) {
            match action {
                FencesAction::Open(fence) => open(state, api, fence),
                FencesAction::Resend(head) if head.epoch == state.epoch => publish(state, head),
                FencesAction::Resend(_) => unconfirm(state, api),
                FencesAction::Settle(epoch) => state.settled |= state.epoch == epoch,
                FencesAction::Forget { instance, counter } => state.leases.retain(|_, row| {
                    let same = row.lease.instance == instance;
                    !(same && (row.lease.counter == counter || !G::RELEASED_BY_COUNTER))
                }),
            }
        }
    }
}

fn open<G: Guards>(state: &mut State<G>, api: usize, fence: FenceId) {
    for end in &mut state.ends {
        if end[api] == Progress::Waiting(fence) {
            end[api] = Progress::Answered;
        }
    }
}

/// An API that sends something again finds that it may be lost.
fn unconfirm<G: Guards>(state: &mut State<G>, api: usize) {
    let current = state.epoch;
    for lost in state.change_fences(api, |fences| fences.on_epoch(current)) {
        for end in &mut state.ends {
            if end[api] == Progress::Waiting(lost) {
                end[api] = Progress::Unconfirmed;
            }
        }
    }
}

/// A decision's next step.
fn decide<G: Guards>(state: &mut State<G>, action: Action) {
    let decision = std::mem::replace(&mut state.decision, Decision::None);
    let clock = Stopped(state.now);
    let of = match (&decision, action) {
        (_, Action::Begin(of)) => of,
        (Decision::Begun(of, _) | Decision::Judged(of, _) | Decision::Over(of, _), _) => *of,
        (Decision::None, _) => return,
    };
    let memory = memory(&state.people[of].state, &clock);
    state.decision = match decision {
        Decision::None => Decision::Begun(of, Begun::begin(&memory)),
        Decision::Begun(_, begun) => {
            let judged = begun.judge(&memory, TENANTS[0], TokenKind::Session, &requirements());
            Decision::Judged(of, Box::new(judged))
        }
        Decision::Judged(_, judged) => {
            Decision::Over(of, matches!(judged.answer(&memory), Local::Accept(_)))
        }
        over @ Decision::Over(..) => over,
    };
}
