use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::{join, join_all};

use super::super::log::entries;
use super::{Pair, changed, end_one, later, listed, sample, start, started};
use crate::bulk::{Filter, Revocation};
use crate::device::DeviceKind;
use crate::event::Actor;
use crate::ids::{Generation, RevocationId, Seq, Serial, TenantId};
use crate::port::{
    BeginRevocation, BegunRevocation, ContinueRevocation, End, Eviction, Extend, ListQuery,
    MatchQuery, Rotate, Seen, SessionLimit, SessionStore, StartOutcome, StepUp, Targets, Touch,
    Update, Why,
};
use crate::revocation::LogEntry;
use crate::secret::Secret256;
use crate::session::{
    EndReason, Ending, ExtendRefusal, Over, RefreshVerdict, Session, SessionUpdate, ShownStatus,
    Status, UpdateRefusal,
};

type Store = std::sync::Arc<dyn SessionStore>;

fn of(tenant: &str) -> Filter {
    Filter {
        tenant: Some(sample::tenant(tenant)),
        ..Filter::default()
    }
}

fn id(number: u128) -> RevocationId {
    RevocationId(sample::session_id(number).0)
}

/// Begins revocation `number`, `number` seconds after the samples start.
async fn begun(store: &Store, number: u128, filter: Filter) -> BegunRevocation {
    let change = BeginRevocation {
        id: id(number),
        filter,
        reason: EndReason::RevokedByAdmin,
        note: Some("leak".into()),
        at: later(u64::try_from(number).unwrap()),
        actor: Actor::System,
    };
    store.apply(change).await.unwrap()
}

/// Carries on whatever isn't finished until nothing is left, `batch` at a time.
async fn finished(store: &Store, batch: u32) {
    let change = ContinueRevocation {
        id: None,
        at: later(900),
        batch,
    };
    while store.apply(change.clone()).await.unwrap().is_some() {}
}

async fn found(store: &Store, session: &Session) -> Session {
    let found = store.find(&session.tenant, session.id).await.unwrap();
    found.expect("it was started")
}

fn ending(session: &Session) -> Ending {
    match session.status {
        Status::Ended(ending) => ending,
        Status::Active => panic!("still active: {session:?}"),
    }
}

fn in_tenant(number: u128, user: &str, tenant: &str) -> crate::session::NewSession {
    changed(number, user, |session| {
        session.tenant = sample::tenant(tenant);
    })
}

/// Every session of the tenant is ended by one entry, whatever is asked about it, and stays so as
/// its rows are written; none of another tenant, and none that starts later.
pub async fn a_floor_ends_a_tenants_sessions_at_once((store, log): Pair) {
    let mut doomed = Vec::new();
    for number in 1..=5 {
        doomed.push(started(&store, sample::new_session(number, "alice")).await);
    }
    let elsewhere = started(&store, in_tenant(6, "alice", "acme")).await;
    let over = end_one(&store, "default", doomed[0].id)
        .await
        .ended
        .remove(0);
    let BegunRevocation { revocation, fresh } = begun(&store, 30, of("default")).await;
    let through = revocation.through;
    let floor = LogEntry::Floor {
        tenant: Some(TenantId::default()),
        through,
    };
    assert!(through > elsewhere.serial);
    assert_eq!(fresh.unwrap().entries, std::slice::from_ref(&floor));
    assert_eq!(entries(&*log, Seq(1), 9).await, [floor]);
    assert_eq!((revocation.seq, revocation.expected), (Seq(2), Some(4)));
    let floors = log.snapshot(None).await.unwrap().floors;
    assert_eq!(floors, [(Some(TenantId::default()), through)]);
    let later_one = started(&store, sample::new_session(7, "alice")).await;

    let by_floor = Ending {
        at: later(30),
        reason: EndReason::RevokedByAdmin,
        seq: Seq(2),
    };
    let mut stats = None;
    for batch in [None, Some(2)] {
        if let Some(batch) = batch {
            let change = ContinueRevocation {
                id: None,
                at: later(900),
                batch,
            };
            let half = store.apply(change).await.unwrap().unwrap();
            assert_eq!(half.ended.len(), 2);
            let now = store.stats(None).await.unwrap();
            assert_eq!(Some(&now), stats.as_ref(), "half of it is written down");
            finished(&store, batch).await;
        }
        assert_eq!(found(&store, &doomed[0]).await, over, "it had ended before");
        for session in &doomed[1..] {
            let now = found(&store, session).await;
            let for_refresh = store.find_for_refresh(session.id).await.unwrap().unwrap();
            assert_eq!(for_refresh.session, now);
            let seq = ending(&now).seq;
            assert_eq!(ending(&now), Ending { seq, ..by_floor });
            // Its own entry once its row is written.
            assert_eq!(seq > Seq(2), batch.is_some());
        }
        let active = listed(&store, "alice", ShownStatus::Active).await;
        assert_eq!(active, std::slice::from_ref(&later_one));
        let revoked = listed(&store, "alice", ShownStatus::Revoked).await;
        let ids: Vec<_> = revoked.iter().map(|session| session.id).collect();
        let expected: Vec<_> = doomed.iter().rev().map(|session| session.id).collect();
        assert_eq!(ids, expected);
        assert_eq!(paged(&store, None).await.len(), 6);
        assert_eq!(paged(&store, Some(ShownStatus::Revoked)).await, expected);
        assert_eq!(found(&store, &elsewhere).await, elsewhere);
        // What is counted doesn't change by being written down.
        let now = store.stats(None).await.unwrap();
        assert_eq!((now.active, now.created, now.ended.len()), (2, 7, 2));
        assert_eq!(now.ended[&EndReason::RevokedByAdmin], 4);
        assert_eq!(now.by_country.values().sum::<i64>(), 2);
        assert_eq!(&now, stats.get_or_insert(now.clone()));
    }
    let done = store.revocation(id(30)).await.unwrap().unwrap();
    assert_eq!((done.ended, done.seq), (4, Seq(2)));
    assert_eq!(done.finished_at, Some(later(900)));
    let dead = log.ended_serials(Serial(0), through.next()).await.unwrap();
    let serials: Vec<_> = doomed.iter().map(|session| session.serial).collect();
    assert_eq!(dead, serials);
}

/// A user's sessions page by page, one to a page.
async fn paged(store: &Store, status: Option<ShownStatus>) -> Vec<crate::ids::SessionId> {
    let mut query = ListQuery {
        tenant: TenantId::default(),
        user: sample::user("alice"),
        status,
        after: None,
        limit: 1,
    };
    let mut ids = Vec::new();
    while let [session] = &store.list(&query).await.unwrap()[..] {
        ids.push(session.id);
        query.after = Some(crate::port::PagePosition {
            created_at: session.created_at,
            id: session.id,
        });
    }
    ids
}

fn step_up(session: &Session) -> StepUp {
    StepUp {
        tenant: session.tenant.clone(),
        id: session.id,
        authentication: session.authentication.clone(),
        seed: Secret256([9; 32]),
        at: later(70),
        actor: Actor::System,
    }
}

/// Nothing that an ended session refuses is done to one below a floor, before its row is written
/// and after; and who ends it again waits for the floor.
pub async fn what_a_floor_has_ended_is_ended_for_every_change((store, log): Pair) {
    let new = sample::new_session(1, "alice");
    let session = started(&store, new.clone()).await;
    let (tenant, id) = (session.tenant.clone(), session.id);
    begun(&store, 30, Filter::default()).await;
    for batch in [None, Some(1)] {
        if let Some(batch) = batch {
            finished(&store, batch).await;
        }
        let end = ending(&found(&store, &session).await);
        let rotate = Rotate {
            tenant: tenant.clone(),
            id,
            presented: Generation(0),
            seed: new.seed().clone(),
            at: later(60),
            grace: Duration::ZERO,
            actor: Actor::System,
        };
        let (verdict, _) = store.apply(rotate).await.unwrap().judged.unwrap();
        assert_eq!(verdict, RefreshVerdict::Ended(end));
        let extend = Extend {
            tenant: tenant.clone(),
            id,
            by: Duration::from_mins(5),
            at: later(60),
            actor: Actor::System,
        };
        let refused = store.apply(extend).await.unwrap().unwrap();
        assert_eq!(refused, Err(ExtendRefusal::Over(Over::Ended(end))));
        let update = Update {
            tenant: tenant.clone(),
            id,
            update: SessionUpdate {
                device_name: Some(None),
                ..SessionUpdate::default()
            },
            at: later(60),
            actor: Actor::System,
        };
        let refused = store.apply(update).await.unwrap().unwrap();
        assert_eq!(refused, Err(UpdateRefusal::Over(Over::Ended(end))));
        let refused = store.apply(step_up(&session)).await.unwrap().unwrap();
        assert_eq!(refused, Err(Over::Ended(end)));
        let seen = Seen {
            tenant: tenant.clone(),
            id,
            first: later(60),
            last: later(60),
            gap: Duration::ZERO,
        };
        let touch = Touch {
            seen: vec![seen],
            heard: None,
        };
        assert_eq!(store.apply(touch).await.unwrap().moved, 0);
        let again = end_one(&store, "default", id).await;
        assert_eq!((again.through, again.fresh), (end.seq, None));
        assert_eq!(again.already.map(|already| ending(&already)), Some(end));
        let user = Targets::User {
            tenant: tenant.clone(),
            user: session.user.clone(),
            except: None,
        };
        let all = store.apply(super::end(user, 10)).await.unwrap();
        let head = log.head().await.unwrap().seq;
        assert_eq!((all.ended.len(), all.through), (0, head));
        let overdue = End {
            targets: Targets::Overdue,
            why: Why::Overdue,
            at: session.absolute_expires_at,
            ..super::end(Targets::Overdue, 10)
        };
        assert_eq!(store.apply(overdue).await.unwrap().ended, []);
    }
}

/// The places of sessions below a floor are free.
pub async fn what_a_floor_has_ended_takes_nobodys_place((store, _): Pair) {
    for eviction in [Eviction::Reject, Eviction::Oldest] {
        let user = format!("{eviction:?}");
        for number in 1..=2_u128 {
            let number = number + if eviction == Eviction::Reject { 0 } else { 10 };
            started(&store, sample::new_session(number, &user)).await;
        }
    }
    begun(&store, 30, of("default")).await;
    for (number, eviction) in [(21, Eviction::Reject), (22, Eviction::Oldest)] {
        let limit = Some(SessionLimit { max: 1, eviction });
        let new = sample::new_session(number, &format!("{eviction:?}"));
        let StartOutcome::Started { evicted, .. } = store.apply(start(new, limit)).await.unwrap()
        else {
            panic!("refused");
        };
        assert_eq!(evicted, []);
    }
}

/// What one floor ended is that one's, whichever is written first; everybody's floor is a tenant's,
/// too.
pub async fn floors_above_floors_end_what_is_left((store, log): Pair) {
    let first = started(&store, sample::new_session(1, "alice")).await;
    begun(&store, 30, of("default")).await;
    let second = started(&store, sample::new_session(2, "alice")).await;
    let elsewhere = started(&store, in_tenant(3, "alice", "acme")).await;
    let all = begun(&store, 40, Filter::default()).await.revocation;
    assert_eq!(all.expected, Some(2));
    let third = started(&store, sample::new_session(4, "alice")).await;
    let raised = |session: Session| ending(&session).at;
    assert_eq!(raised(found(&store, &first).await), later(30));
    assert_eq!(raised(found(&store, &second).await), later(40));
    let before = store.stats(None).await.unwrap();
    // The later one first: it must leave the earlier one's alone.
    let change = ContinueRevocation {
        id: Some(all.id),
        at: later(90),
        batch: 10,
    };
    let step = store.apply(change).await.unwrap().unwrap();
    let ids: BTreeSet<_> = step.ended.iter().map(|session| session.id).collect();
    assert_eq!(ids, BTreeSet::from([second.id, elsewhere.id]));
    assert_eq!(step.through, log.head().await.unwrap().seq);
    assert_eq!(raised(found(&store, &first).await), later(30));
    finished(&store, 10).await;
    assert_eq!(found(&store, &third).await, third);
    let after = store.stats(None).await.unwrap();
    assert_eq!((after.active, &after), (1, &before));
    for (number, ended) in [(30, 1), (40, 2)] {
        let done = store.revocation(id(number)).await.unwrap().unwrap();
        assert_eq!(done.ended, ended);
    }
}

/// A revocation in steps: how far it is can be seen, each step goes on where the last one stopped,
/// what starts meanwhile is spared, and in the end there is nothing to carry on.
pub async fn a_revocation_goes_on_where_it_stopped((store, log): Pair) {
    for number in 1..=7 {
        started(&store, sample::new_session(number, "alice")).await;
    }
    let bob = started(&store, sample::new_session(8, "bob")).await;
    let of_alice = Filter {
        user: Some(sample::user("alice")),
        ..of("default")
    };
    let BegunRevocation { revocation, fresh } = begun(&store, 30, of_alice).await;
    assert_eq!((fresh, revocation.expected), (None, None));
    let shown = store.revocation(id(30)).await.unwrap();
    assert_eq!(shown.as_ref(), Some(&revocation));
    assert_eq!(listed(&store, "alice", ShownStatus::Active).await.len(), 7);
    let late = started(&store, sample::new_session(9, "alice")).await;
    let mut sizes = Vec::new();
    let mut ended = 0;
    for nth in 0..5 {
        // As the process that began it does, or any other.
        let change = ContinueRevocation {
            id: (nth % 2 == 0).then_some(id(30)),
            at: later(90),
            batch: 2,
        };
        let step = store.apply(change).await.unwrap().unwrap();
        sizes.push(step.ended.len());
        ended += step.ended.len() as u64;
        assert_eq!(step.revocation.ended, ended);
        assert_eq!(step.revocation.finished_at.is_some(), nth == 4);
        assert_eq!(step.fresh.is_some(), nth != 4);
        assert_eq!(step.through, log.head().await.unwrap().seq);
        let shown = store.revocation(id(30)).await.unwrap();
        assert_eq!(shown, Some(step.revocation));
    }
    assert_eq!(sizes, [2, 2, 2, 1, 0]);
    for left in [&late, &bob] {
        assert_eq!(found(&store, left).await, *left);
    }
    for id in [None, Some(id(30))] {
        let (at, batch) = (later(90), 2);
        let change = ContinueRevocation { id, at, batch };
        assert_eq!(store.apply(change).await.unwrap(), None);
    }
    let elsewhere = store.revocation(id(31)).await.unwrap();
    assert_eq!(elsewhere, None);
}

/// Whatever is meant: ending it by the filter leaves the same as ending each by itself.
pub async fn ending_by_filter_equals_ending_one_by_one((store, log): Pair) {
    const EACH: u128 = 24;
    let twins = ["bulk", "single"];
    for (offset, tenant) in [(0, twins[0]), (1_000, twins[1])] {
        for number in 1..=EACH {
            let new = changed(offset + number, &format!("u{}", number % 3), |session| {
                session.tenant = sample::tenant(tenant);
                vary(session, number);
            });
            started(&store, new).await;
        }
    }
    for (nth, meant) in filters().into_iter().enumerate() {
        let by_filter = Filter {
            tenant: Some(sample::tenant(twins[0])),
            ..meant.clone()
        };
        let number = 30 + nth as u128;
        let revocation = begun(&store, number, by_filter).await.revocation;
        finished(&store, 5).await;
        let mut count = 0;
        for number in 1..=EACH {
            let tenant = sample::tenant(twins[1]);
            let id = sample::session_id(1_000 + number);
            let twin = store.find(&tenant, id).await.unwrap().unwrap();
            if twin.status == Status::Active && meant.matches(&twin) {
                let targets = Targets::One { tenant, id };
                let why = Why::Because {
                    reason: revocation.reason,
                    note: revocation.note.clone(),
                };
                let at = later(900);
                let end = End {
                    why,
                    at,
                    ..super::end(targets, 1)
                };
                count += store.apply(end).await.unwrap().ended.len() as u64;
            }
        }
        let done = store.revocation(revocation.id).await.unwrap().unwrap();
        assert_eq!(done.ended, count, "{meant:?}");
    }
    let mut left = 0_u128;
    for number in 1..=EACH {
        let bulk = sample::tenant(twins[0]);
        let bulk = store.find(&bulk, sample::session_id(number)).await.unwrap();
        let single = sample::tenant(twins[1]);
        let id = sample::session_id(1_000 + number);
        let single = store.find(&single, id).await.unwrap();
        let (bulk, single) = (bulk.unwrap(), single.unwrap());
        left += u128::from(bulk.status == Status::Active);
        assert_eq!(same(bulk.clone()), same(single), "session {number}");
        if let Status::Ended(Ending { seq, .. }) = bulk.status {
            let entry = entries(&*log, Seq(seq.0 - 1), 1).await.remove(0);
            let told = matches!(entry, LogEntry::Ended(serials) if serials.contains(&bulk.serial));
            assert!(told, "its entry tells of another");
        }
    }
    assert!((1..EACH).contains(&left), "nothing was told apart");
    let of = async |tenant| {
        let mut stats = store.stats(Some(&sample::tenant(tenant))).await.unwrap();
        stats.by_tenant = BTreeMap::from_iter(
            stats
                .by_tenant
                .into_values()
                .next()
                .map(|count| (TenantId::default(), count)),
        );
        stats
    };
    assert_eq!(of(twins[0]).await, of(twins[1]).await);
}

/// Gives session `number` properties of its own.
fn vary(session: &mut Session, number: u128) {
    let pick = |of: &[&'static str], by: u128| of[usize::try_from(number / by).unwrap() % of.len()];
    session.created_at = later(u64::try_from(number).unwrap());
    session.network.ip = Some(
        pick(&["192.0.2.9", "198.51.100.9", "2001:db8::9"], 2)
            .parse()
            .unwrap(),
    );
    session.network.place.country = Some(pick(&["SE", "DE"], 3).to_owned());
    session.device.agent.kind =
        [DeviceKind::Mobile, DeviceKind::Bot][usize::from(number.is_multiple_of(4))];
    session.authentication.amr = vec![pick(&["pwd", "otp", "hwk"], 5).to_owned()];
}

fn filters() -> Vec<Filter> {
    vec![
        Filter {
            created_before: Some(later(3)),
            ..Filter::default()
        },
        Filter {
            network: Some("::ffff:198.51.100.0/120".parse().unwrap()),
            country: Some("SE".into()),
            ..Filter::default()
        },
        Filter {
            kind: Some(DeviceKind::Bot),
            ..Filter::default()
        },
        Filter {
            method: Some("otp".into()),
            user: Some(sample::user("u1")),
            ..Filter::default()
        },
        Filter {
            network: Some("2001:db8::/32".parse().unwrap()),
            ..Filter::default()
        },
        // Nobody is left whom this means.
        Filter {
            kind: Some(DeviceKind::Bot),
            ..Filter::default()
        },
    ]
}

/// A session without what twins differ in.
fn same(session: Session) -> Session {
    let status = match session.status {
        Status::Active => Status::Active,
        Status::Ended(ending) => Status::Ended(Ending {
            seq: Seq(0),
            ..ending
        }),
    };
    Session {
        id: sample::session_id(0),
        serial: Serial(0),
        tenant: TenantId::default(),
        status,
        ..session
    }
}

/// What a filter means is seen before it is ended, page by page.
pub async fn what_a_filter_means_can_be_looked_at((store, _): Pair) {
    for number in 1..=6_u128 {
        let user = ["alice", "bob"][usize::from(number.is_multiple_of(2))];
        started(&store, sample::new_session(number, user)).await;
    }
    started(&store, in_tenant(7, "alice", "acme")).await;
    end_one(&store, "default", sample::session_id(1)).await;
    let mut query = MatchQuery {
        filter: Filter {
            country: None,
            network: Some("192.0.2.0/24".parse().unwrap()),
            user: Some(sample::user("alice")),
            ..of("default")
        },
        after: None,
        limit: 1,
    };
    let mut seen = Vec::new();
    loop {
        let page = store.matching(&query).await.unwrap();
        seen.extend(page.sessions.into_iter().map(|session| session.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, [sample::session_id(3), sample::session_id(5)]);
    begun(&store, 30, of("default")).await;
    query.after = None;
    assert_eq!(store.matching(&query).await.unwrap().sessions, []);
}

/// However starts and step-ups fall beside a floor: what there was is dead, for good, and what was
/// drawn below it is written down as dead in the end.
pub async fn nothing_slips_past_a_floor(pair: Pair) {
    slips_past(pair, &|_| Filter::default()).await;
}

/// The same of a revocation that takes steps: no step-up takes a session out of its reach.
pub async fn nothing_slips_past_a_revocation_in_steps(pair: Pair) {
    let of_day = |_| Filter {
        created_before: Some(later(3_000)),
        ..Filter::default()
    };
    slips_past(pair, &of_day).await;
}

async fn slips_past((store, log): Pair, filter: &(dyn Fn(u128) -> Filter + Sync)) {
    const EACH: u128 = 12;
    for round in 0..8_u128 {
        let first = 1 + round * 4 * EACH;
        let mut there = Vec::new();
        for number in first..first + EACH {
            there.push(started(&store, sample::new_session(number, "alice")).await);
        }
        let starts = (first + EACH..first + 3 * EACH)
            .map(|number| started(&store, sample::new_session(number, "bob")));
        let step_ups = there.iter().map(|session| store.apply(step_up(session)));
        let ending = async {
            let revocation = begun(&store, round + 30, filter(round)).await.revocation;
            let change = ContinueRevocation {
                id: Some(revocation.id),
                at: later(900),
                batch: 5,
            };
            while store.apply(change.clone()).await.unwrap().is_some() {}
            revocation
        };
        let beside = join(join_all(step_ups), join_all(starts));
        let (revocation, (stepped_up, begun)) = join(ending, beside).await;
        for outcome in stepped_up {
            if let Ok(done) = outcome.unwrap().unwrap() {
                assert!(done.session.serial <= revocation.through, "it slipped away");
            }
        }
        for session in &there {
            assert_ne!(found(&store, session).await.status, Status::Active);
        }
        check_starts(&store, &log, &revocation, &begun).await;
    }
    // Nothing is counted twice, or not at all.
    let stats = store.stats(None).await.unwrap();
    let mut active = 0;
    for number in 1..=8 * 4 * EACH {
        let id = sample::session_id(number);
        let found = store.find(&TenantId::default(), id).await.unwrap();
        active += i64::from(found.is_some_and(|found| found.status == Status::Active));
    }
    assert_eq!(stats.active, active);
    assert_eq!(stats.ended.values().sum::<i64>(), stats.created - active);
}

async fn check_starts(
    store: &Store,
    log: &std::sync::Arc<dyn crate::port::RevocationLog>,
    revocation: &Revocation,
    begun: &[Session],
) {
    let through = revocation.through;
    let dead = log.ended_serials(Serial(0), through.next()).await.unwrap();
    for session in begun {
        let is_meant = revocation.dooms(session);
        let now = found(store, session).await;
        assert_eq!(now.status != Status::Active, is_meant);
        assert_eq!(dead.binary_search(&session.serial).is_ok(), is_meant);
    }
}
