use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use uuid::Uuid;

use super::super::log::entries;
use super::{Pair, changed, end_one, later, listed, sample, start, started};
use crate::ids::{Seq, Serial, ServiceKeyId, Version};
use crate::port::{Eviction, Idempotency, SessionLimit, Start, StartOutcome};
use crate::revocation::LogEntry;
use crate::session::{EndReason, Session, ShownStatus, Status};

/// What was started comes back the same, whatever characters it holds.
pub async fn a_started_session_is_found_as_it_was_started((store, log): Pair) {
    let new = changed(1, "Zoë 'x' \"y\" %_😀", |session| {
        session.idle_timeout = Some(Duration::from_micros(1_234_567));
        session.device.name = Some("Günther’s \u{1f4f1}; DROP TABLE sessions".into());
        session.network.ip = Some("2001:db8::1".parse().unwrap());
        session.network.place.latitude = Some(59.33);
        session.authorization.scope = Some("a b".into());
        session.authorization.audience = vec!["https://api.example".into()];
        let value = serde_json::json!({"日本": ["\u{0}", null, 1.5, {"𝄞": true}], "": -1});
        session.metadata.clone_from(value.as_object().unwrap());
    });
    let session = started(&store, new.clone()).await;
    let expected = Session {
        serial: session.serial,
        version: Version(1),
        ..new.draft().clone()
    };
    assert_eq!(session, expected);
    let (tenant, id) = (session.tenant.clone(), session.id);
    assert_eq!(
        store.find(&tenant, id).await.unwrap().as_ref(),
        Some(&session)
    );
    let seeded = store.find_for_refresh(id).await.unwrap().unwrap();
    assert_eq!((&seeded.session, &seeded.seed), (&session, new.seed()));
    assert_eq!(
        store.find(&tenant, sample::session_id(99)).await.unwrap(),
        None
    );
    assert_eq!(
        log.head().await.unwrap().seq,
        Seq(0),
        "a start is no news to anybody"
    );
}

/// Serials begin at 1 and rise by one as long as no start fails.
pub async fn serials_are_drawn_in_order_and_never_twice((store, _): Pair) {
    let starts =
        (1..=50).map(|number| started(&store, sample::new_session(number, &format!("u{number}"))));
    let serials: HashSet<Serial> = join_all(starts)
        .await
        .iter()
        .map(|session| session.serial)
        .collect();
    assert_eq!(serials, (1..=50).map(Serial).collect());
}

/// 100 logins at once with a limit of 5 leave exactly 5, those that started last.
pub async fn parallel_starts_leave_as_many_as_allowed_the_newest(pair: Pair) {
    leaves_five(pair, Eviction::Oldest).await;
}

/// 100 logins at once with a limit of 5 leave exactly 5, those used last.
pub async fn parallel_starts_leave_as_many_as_allowed_the_most_recent(pair: Pair) {
    leaves_five(pair, Eviction::LeastRecent).await;
}

async fn leaves_five((store, log): Pair, eviction: Eviction) {
    let limit = Some(SessionLimit { max: 5, eviction });
    let starts = (1..=100).map(|number| {
        let new = changed(number, "alice", |session| {
            session.last_seen_at = later(1_000 - u64::try_from(number).unwrap());
        });
        store.apply(start(new, limit))
    });
    let mut evictions = HashSet::new();
    for outcome in join_all(starts).await {
        let StartOutcome::Started { evicted, fresh, .. } = outcome.unwrap() else {
            panic!("refused");
        };
        assert_eq!(fresh.is_some(), !evicted.is_empty());
        for session in evicted {
            let Status::Ended(ending) = session.status else {
                panic!("evicted, but active");
            };
            assert_eq!(ending.reason, EndReason::Evicted);
            assert!(evictions.insert(session.id), "evicted twice");
        }
    }
    assert_eq!(listed(&store, "alice", ShownStatus::Active).await.len(), 5);
    assert_eq!(evictions.len(), 95);
    let revoked = listed(&store, "alice", ShownStatus::Revoked).await;
    assert_eq!(
        revoked
            .iter()
            .map(|session| session.id)
            .collect::<HashSet<_>>(),
        evictions
    );
    assert_eq!(
        entries(&*log, Seq(0), 1_000).await.len() as u64,
        log.head().await.unwrap().seq.0
    );

    // One more, after all of those: what gives way is known now.
    let active = listed(&store, "alice", ShownStatus::Active).await;
    let least = match eviction {
        Eviction::LeastRecent => active
            .iter()
            .min_by_key(|session| (session.last_seen_at, session.id)),
        _ => active
            .iter()
            .min_by_key(|session| (session.created_at, session.id)),
    };
    let outcome = store
        .apply(start(sample::new_session(200, "alice"), limit))
        .await
        .unwrap();
    let StartOutcome::Started { evicted, .. } = outcome else {
        panic!("refused")
    };
    assert_eq!(evicted[0].id, least.unwrap().id);
}

/// 100 logins at once where nothing gives way: 5 start, 95 are refused.
pub async fn parallel_starts_beyond_the_limit_are_refused((store, log): Pair) {
    let limit = Some(SessionLimit {
        max: 5,
        eviction: Eviction::Reject,
    });
    let starts =
        (1..=100).map(|number| store.apply(start(sample::new_session(number, "alice"), limit)));
    let outcomes = join_all(starts).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(StartOutcome::LimitReached)));
    assert_eq!(refused.count(), 95);
    assert_eq!(listed(&store, "alice", ShownStatus::Active).await.len(), 5);
    assert_eq!(log.head().await.unwrap().seq, Seq(0));
}

/// Where there are more than the limit allows by now, the next login evicts them all in one entry.
pub async fn a_lowered_limit_evicts_all_that_is_too_much((store, log): Pair) {
    for number in 1..=8 {
        started(&store, sample::new_session(number, "alice")).await;
    }
    let limit = Some(SessionLimit {
        max: 3,
        eviction: Eviction::Oldest,
    });
    let outcome = store
        .apply(start(sample::new_session(9, "alice"), limit))
        .await
        .unwrap();
    let StartOutcome::Started { evicted, fresh, .. } = outcome else {
        panic!("refused")
    };
    let serials: Vec<Serial> = evicted.iter().map(|session| session.serial).collect();
    assert_eq!(serials, (1..=6).map(Serial).collect::<Vec<_>>());
    assert_eq!(fresh.unwrap().entries, [LogEntry::Ended(serials)]);
    assert_eq!(log.head().await.unwrap().seq, Seq(1));
}

/// Neither another user's sessions nor a namesake's in another tenant count.
pub async fn the_limit_is_per_user_and_tenant((store, _): Pair) {
    let limit = Some(SessionLimit {
        max: 1,
        eviction: Eviction::Reject,
    });
    let elsewhere = changed(2, "alice", |session| {
        session.tenant = sample::tenant("other");
    });
    for new in [
        sample::new_session(1, "alice"),
        elsewhere,
        sample::new_session(3, "bob"),
    ] {
        let outcome = store.apply(start(new, limit)).await.unwrap();
        assert!(matches!(outcome, StartOutcome::Started { .. }));
    }
}

fn keyed(number: u128, caller: u128, digest: u8) -> Start {
    let idempotency = Idempotency {
        caller: ServiceKeyId(Uuid::from_u128(caller)),
        key: "κλειδί".into(),
        digest: [digest; 32],
    };
    Start {
        idempotency: Some(idempotency),
        ..start(sample::new_session(number, "alice"), None)
    }
}

/// The same request is answered with the session it started, as it is now; another request with
/// its key is refused; another caller's key is another key.
pub async fn a_repeated_request_is_answered_again((store, _): Pair) {
    let first = store.apply(keyed(1, 7, 1)).await.unwrap();
    let StartOutcome::Started { session, .. } = first else {
        panic!("not started")
    };
    let ended = end_one(&store, "default", session.id).await.ended.remove(0);
    let StartOutcome::Replayed(again) = store.apply(keyed(2, 7, 1)).await.unwrap() else {
        panic!("not recognised");
    };
    assert_eq!(again.session, ended);
    assert_eq!(&again.seed, sample::new_session(1, "alice").seed());
    assert_eq!(
        store.apply(keyed(3, 7, 2)).await.unwrap(),
        StartOutcome::KeyReused
    );
    let other = store.apply(keyed(4, 8, 2)).await.unwrap();
    assert!(matches!(other, StartOutcome::Started { .. }));
    assert_eq!(listed(&store, "alice", ShownStatus::Active).await.len(), 1);
}

/// 100 times the same request at once: one session, and everybody is told of it.
pub async fn parallel_repeats_start_one_session((store, _): Pair) {
    let outcomes = join_all((1..=100).map(|number| store.apply(keyed(number, 7, 1)))).await;
    let mut told = HashSet::new();
    let mut fresh = 0;
    for outcome in outcomes {
        match outcome.unwrap() {
            StartOutcome::Started { session, .. } => {
                fresh += 1;
                told.insert(session.id);
            }
            StartOutcome::Replayed(seeded) => {
                told.insert(seeded.session.id);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((fresh, told.len()), (1, 1));
    assert_eq!(listed(&store, "alice", ShownStatus::Active).await.len(), 1);
}

/// A start that fails after it made room has evicted nobody and written no entry, whatever shares
/// its transaction.
pub async fn a_failed_start_leaves_nothing((store, log): Pair) {
    let taken = started(&store, sample::new_session(1, "bob")).await;
    let kept = started(&store, sample::new_session(2, "alice")).await;
    let limit = Some(SessionLimit {
        max: 1,
        eviction: Eviction::Oldest,
    });
    // An id that exists.
    let doomed = changed(1, "alice", |_| ());
    let (failed, fine) = futures::future::join(
        store.apply(start(doomed, limit)),
        store.apply(start(sample::new_session(3, "carol"), None)),
    )
    .await;
    assert!(!failed.unwrap_err().is_retry());
    assert!(matches!(fine.unwrap(), StartOutcome::Started { .. }));
    assert_eq!(listed(&store, "alice", ShownStatus::Active).await, [kept]);
    assert_eq!(
        store.find(&taken.tenant, taken.id).await.unwrap(),
        Some(taken)
    );
    assert_eq!(log.head().await.unwrap().seq, Seq(0));
    assert_eq!(entries(&*log, Seq(0), 10).await, []);
}
