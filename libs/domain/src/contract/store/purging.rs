use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{Pair, changed, end, sample, start};
use crate::event::Actor;
use crate::ids::{Serial, ServiceKeyId, SessionId, TenantId};
use crate::port::{
    DeviceQuery, End, Idempotency, Purge, PurgeOutcome, Purgeable, RevocationLog, SessionStore,
    Start, StartOutcome, StepUp, Targets,
};
use crate::secret::Secret256;
use crate::session::{Authentication, Session};
use crate::time::Timestamp;

/// Long ago by any store's clock, so that what these cases say of the time is what counts.
fn day(number: u64) -> Timestamp {
    let back = Duration::from_hours(24 * 365 * 12);
    sample::START
        .minus(back)
        .plus(Duration::from_hours(24 * number))
}

const KEEP: Duration = Duration::from_hours(24 * 10);

/// A session of `user` that starts on day 0 and can last until `absolute`.
async fn started_until(store: &Arc<dyn SessionStore>, number: u128, absolute: u64) -> Session {
    let new = changed(number, "alice", |session| {
        session.created_at = day(0);
        session.last_seen_at = day(0);
        session.refresh.rotated_at = day(0);
        session.expires_at = day(absolute);
        session.absolute_expires_at = day(absolute);
    });
    match store.apply(start(new, None)).await.unwrap() {
        StartOutcome::Started { session, .. } => *session,
        other => panic!("not started: {other:?}"),
    }
}

async fn ended_on(store: &Arc<dyn SessionStore>, session: &Session, number: u64) {
    let targets = Targets::One {
        tenant: session.tenant.clone(),
        id: session.id,
    };
    let change = End {
        at: day(number),
        ..end(targets, 1)
    };
    assert_eq!(store.apply(change).await.unwrap().ended.len(), 1);
}

async fn purge(
    store: &Arc<dyn SessionStore>,
    rows: Purgeable,
    today: u64,
    batch: u32,
) -> PurgeOutcome {
    let change = Purge {
        rows,
        keep: KEEP,
        at: day(today),
        batch,
    };
    store.apply(change).await.unwrap()
}

async fn is_there(store: &Arc<dyn SessionStore>, id: SessionId) -> bool {
    let found = store.find(&TenantId::default(), id).await.unwrap();
    found.is_some()
}

async fn dead(log: &Arc<dyn RevocationLog>) -> Vec<Serial> {
    let all = log.ended_serials(Serial(0), Serial(u64::MAX)).await;
    all.unwrap()
}

/// A row refuses its session's tokens until the last moment they could be good in; only then the
/// time begins that it is kept for.
pub async fn a_session_is_purged_after_its_end_and_its_tokens_only((store, log): Pair) {
    let long_lived = started_until(&store, 1, 90).await;
    let over = started_until(&store, 2, 5).await;
    let reaped_late = started_until(&store, 3, 5).await;
    let never_ended = started_until(&store, 4, 5).await;
    ended_on(&store, &long_lived, 1).await;
    ended_on(&store, &over, 1).await;
    ended_on(&store, &reaped_late, 20).await;
    let before = dead(&log).await;
    // Day 15 is 10 days after `over`'s tokens; a moment earlier nothing may go.
    let early = Purge {
        rows: Purgeable::Sessions,
        keep: KEEP,
        at: Timestamp(day(15).0 - 1),
        batch: 100,
    };
    assert_eq!(store.apply(early).await.unwrap().purged, 0);
    assert_eq!(dead(&log).await, before);
    let outcome = purge(&store, Purgeable::Sessions, 15, 100).await;
    assert_eq!((outcome.purged, outcome.next), (1, None));
    assert!(!is_there(&store, over.id).await);
    for kept in [&long_lived, &reaped_late, &never_ended] {
        assert!(is_there(&store, kept.id).await);
    }
    assert_eq!(dead(&log).await, [long_lived.serial, reaped_late.serial]);
    let outcome = purge(&store, Purgeable::Sessions, 100, 100).await;
    assert_eq!(outcome.purged, 2);
    assert!(is_there(&store, never_ended.id).await, "active");
}

/// A batch is bounded, more than it is said to be left, and what was counted stays counted.
pub async fn purging_goes_on_batch_by_batch_and_uncounts_nothing((store, _): Pair) {
    for number in 1..=7 {
        let session = started_until(&store, number, 5).await;
        ended_on(&store, &session, 1).await;
    }
    let before = store.stats(None).await.unwrap();
    let mut purged = Vec::new();
    let mut rows = Some(Purgeable::Sessions);
    while let Some(next) = rows {
        let outcome = purge(&store, next, 50, 3).await;
        purged.push(outcome.purged);
        rows = outcome.next;
    }
    assert_eq!(purged, [3, 3, 1]);
    assert_eq!(store.stats(None).await.unwrap(), before);
}

/// A serial that was left behind is dead until none of its tokens can be good, also when its
/// session is gone.
pub async fn a_superseded_serial_is_purged_by_its_tokens_end((store, log): Pair) {
    let session = started_until(&store, 1, 30).await;
    let change = StepUp {
        tenant: session.tenant.clone(),
        id: session.id,
        authentication: Authentication {
            auth_time: day(1),
            acr: None,
            amr: vec!["otp".into()],
        },
        seed: Secret256([9; 32]),
        at: day(1),
        actor: Actor::System,
    };
    store.apply(change).await.unwrap().unwrap().unwrap();
    let serials = Purgeable::SupersededSerials;
    assert_eq!(purge(&store, serials, 39, 10).await.purged, 0);
    assert_eq!(dead(&log).await, [session.serial]);
    assert_eq!(purge(&store, serials, 40, 10).await.purged, 1);
    assert_eq!(dead(&log).await, []);
}

fn request(number: u128, at: u64, key: &str) -> Start {
    let new = changed(number, "alice", |session| {
        session.created_at = day(at);
        session.expires_at = day(at + 2);
        session.absolute_expires_at = day(at + 5);
    });
    Start {
        idempotency: Some(Idempotency {
            caller: ServiceKeyId(Uuid::from_u128(1)),
            key: key.to_owned(),
            digest: [7; 32],
        }),
        ..start(new, None)
    }
}

fn is_replayed(outcome: &StartOutcome) -> bool {
    matches!(outcome, StartOutcome::Replayed(_))
}

/// A request can be repeated for as long as it is remembered, and with its session it is forgotten.
pub async fn a_request_is_remembered_for_its_time((store, _): Pair) {
    for (number, (at, key)) in (1..).zip([(0, "old"), (1, "young"), (2, "gone")]) {
        store.apply(request(number, at, key)).await.unwrap();
    }
    let requests = Purgeable::IdempotencyKeys;
    assert_eq!(purge(&store, requests, 10, 10).await.purged, 1);
    let again = store.apply(request(11, 10, "young")).await.unwrap();
    assert!(is_replayed(&again));
    let anew = store.apply(request(12, 10, "old")).await.unwrap();
    assert!(matches!(anew, StartOutcome::Started { .. }));

    let gone = store.apply(request(13, 2, "gone")).await.unwrap();
    let StartOutcome::Replayed(found) = gone else {
        panic!("{gone:?}")
    };
    ended_on(&store, &found.session, 3).await;
    assert_eq!(purge(&store, Purgeable::Sessions, 17, 10).await.purged, 1);
    let anew = store.apply(request(14, 20, "gone")).await.unwrap();
    assert!(matches!(anew, StartOutcome::Started { .. }));
}

async fn devices(store: &Arc<dyn SessionStore>) -> usize {
    let query = DeviceQuery {
        tenant: TenantId::default(),
        user: sample::user("alice"),
        after: None,
        limit: 100,
    };
    store.devices(&query).await.unwrap().len()
}

/// A device goes once nobody is signed in on it and it wasn't used for long. Every device is
/// looked at once, however many are kept.
pub async fn devices_nobody_uses_are_purged((store, _): Pair) {
    let mut sessions = Vec::new();
    for number in 1..=6 {
        let new = changed(number, "alice", |session| {
            session.device.fingerprint_hash = Some(format!("f{number}"));
            session.created_at = day(if number == 6 { 8 } else { 0 });
            session.expires_at = day(50);
            session.absolute_expires_at = day(50);
        });
        match store.apply(start(new, None)).await.unwrap() {
            StartOutcome::Started { session, .. } => sessions.push(*session),
            other => panic!("not started: {other:?}"),
        }
    }
    // All but the first are signed out; the last was used on day 8.
    for session in &sessions[1..] {
        ended_on(&store, session, 9).await;
    }
    let (mut purged, mut looks) = (0, 0);
    let mut rows = Some(Purgeable::Devices { after: None });
    while let Some(next) = rows {
        let outcome = purge(&store, next, 15, 2).await;
        assert!(outcome.purged <= 2);
        purged += outcome.purged;
        looks += 1;
        rows = outcome.next;
    }
    assert_eq!(
        (purged, looks),
        (4, 4),
        "three full looks, and an empty one"
    );
    assert_eq!(devices(&store).await, 2);
    let all = Purgeable::Devices { after: None };
    assert_eq!(purge(&store, all, 17, 10).await.purged, 0);
    assert_eq!(purge(&store, all, 18, 10).await.purged, 1);
    assert_eq!(devices(&store).await, 1, "the one that is signed in on");
}
