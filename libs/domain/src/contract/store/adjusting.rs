use std::time::Duration;

use futures::future::join_all;

use super::{Pair, changed, end_one, later, sample, started};
use crate::event::Actor;
use crate::ids::{Seq, TenantId, Version};
use crate::port::{Extend, Rotate, Seen, SessionStore, Touch, Update};
use crate::session::{
    EndReason, ExtendRefusal, NewSession, Over, RefreshVerdict, Session, SessionUpdate, Status,
    UpdateRefusal,
};
use crate::time::Timestamp;

fn extend(of: &Session, seconds: u64, at: Timestamp) -> Extend {
    Extend {
        tenant: of.tenant.clone(),
        id: of.id,
        by: Duration::from_secs(seconds),
        at,
        actor: Actor::System,
    }
}

fn update(of: &Session, update: SessionUpdate) -> Update {
    Update {
        tenant: of.tenant.clone(),
        id: of.id,
        update,
        at: later(5),
        actor: Actor::System,
    }
}

async fn kept(store: &std::sync::Arc<dyn SessionStore>, session: &Session) -> Session {
    let found = store.find(&session.tenant, session.id).await.unwrap();
    found.expect("a session that was started")
}

/// Later by as much, then to the absolute end and no further; no log entry, as nobody need know.
pub async fn an_extension_is_kept_and_clamped((store, log): Pair) {
    let session = started(&store, sample::new_session(1, "alice")).await;
    let once = store.apply(extend(&session, 600, later(5))).await.unwrap();
    let once = once.unwrap().unwrap();
    assert_eq!(once.expires_at, later(4_200));
    assert_eq!(kept(&store, &session).await, *once);
    let more = extend(&session, 86_400, later(6));
    let last = store.apply(more.clone()).await.unwrap().unwrap().unwrap();
    assert_eq!(last.expires_at, session.absolute_expires_at);
    assert_eq!(
        store.apply(more).await.unwrap(),
        Some(Err(ExtendRefusal::AtAbsoluteEnd))
    );
    assert_eq!(kept(&store, &session).await, *last);
    assert_eq!(log.head().await.unwrap().seq, Seq(0));
}

/// Neither from another tenant, nor once it is over, be that written or not.
pub async fn what_is_over_or_elsewhere_is_not_changed((store, _): Pair) {
    let overdue = started(&store, sample::new_session(1, "alice")).await;
    let ended = started(&store, sample::new_session(2, "alice")).await;
    let ended = end_one(&store, "default", ended.id).await.ended.remove(0);
    let Status::Ended(ending) = ended.status else {
        panic!("not ended")
    };
    let elsewhere = Extend {
        tenant: sample::tenant("other"),
        ..extend(&overdue, 600, later(5))
    };
    assert_eq!(store.apply(elsewhere).await.unwrap(), None);
    let late = store.apply(extend(&overdue, 600, later(3_600))).await;
    let over = Over::Overdue(EndReason::Expired);
    assert_eq!(late.unwrap(), Some(Err(ExtendRefusal::Over(over))));
    let change = SessionUpdate {
        device_name: Some(None),
        ..SessionUpdate::default()
    };
    assert_eq!(
        store.apply(update(&ended, change)).await.unwrap(),
        Some(Err(UpdateRefusal::Over(Over::Ended(ending))))
    );
    assert_eq!(kept(&store, &overdue).await, overdue);
    assert_eq!(kept(&store, &ended).await, ended);
}

/// Every part comes back as it was given, and only what was named is different.
pub async fn an_update_is_kept_and_leaves_the_rest((store, _): Pair) {
    let session = started(&store, sample::new_session(1, "alice")).await;
    let metadata = serde_json::json!({"b": "\u{0}", "a": [1, null]});
    let change = SessionUpdate {
        version: Some(session.version),
        device_name: Some(Some("Zoë’s 📱".into())),
        metadata: metadata.as_object().cloned(),
        expires_at: Some(later(100)),
    };
    let updated = store.apply(update(&session, change.clone())).await;
    let updated = updated.unwrap().unwrap().unwrap();
    let mut expected = Session {
        expires_at: later(100),
        metadata: change.metadata.clone().unwrap(),
        version: Version(2),
        ..session.clone()
    };
    expected.device.name = Some("Zoë’s 📱".into());
    assert_eq!(*updated, expected);
    assert_eq!(kept(&store, &session).await, expected);
    let stale = store.apply(update(&session, change)).await.unwrap();
    assert_eq!(stale, Some(Err(UpdateRefusal::Version(Version(2)))));
}

/// 50 updates made for one version at once: one is carried out, and the others are told.
pub async fn one_of_many_updates_for_a_version_wins((store, _): Pair) {
    let session = started(&store, sample::new_session(1, "alice")).await;
    let updates = (0..50).map(|number| {
        let change = SessionUpdate {
            version: Some(session.version),
            device_name: Some(Some(format!("name {number}"))),
            ..SessionUpdate::default()
        };
        store.apply(update(&session, change))
    });
    let mut winners = Vec::new();
    for outcome in join_all(updates).await {
        match outcome.unwrap().unwrap() {
            Ok(winner) => winners.push(*winner),
            Err(refusal) => assert_eq!(refusal, UpdateRefusal::Version(Version(2))),
        }
    }
    assert_eq!(winners, [kept(&store, &session).await]);
}

/// Forward only, many at once, whatever order they come in; neither version nor log moves.
pub async fn use_moves_forward_only((store, log): Pair) {
    let idle = |session: &mut Session| session.idle_timeout = Some(Duration::from_secs(60));
    let mut sessions = Vec::new();
    for number in 1..=250 {
        sessions.push(started(&store, changed(number, "alice", idle)).await);
    }
    end_one(&store, "default", sessions[249].id).await;
    let seen = |session: &Session, at: Timestamp| Seen {
        tenant: session.tenant.clone(),
        id: session.id,
        first: at,
        last: at,
        gap: Duration::ZERO,
    };
    let mut uses: Vec<Seen> = sessions
        .iter()
        .zip(1..)
        .map(|(session, seconds)| seen(session, later(seconds % 50 + 6)))
        .collect();
    uses.push(seen(&sessions[0], later(1)));
    uses.push(seen(&sessions[1], later(60)));
    uses.push(Seen {
        last: later(900),
        gap: Duration::from_secs(40),
        ..seen(&sessions[3], later(6))
    });
    uses.push(Seen {
        tenant: sample::tenant("other"),
        ..seen(&sessions[2], later(59))
    });
    uses.push(seen(
        &changed(999, "nobody", |_| ()).draft().clone(),
        later(1),
    ));
    let outcome = store
        .apply(Touch {
            seen: uses.clone(),
            heard: None,
        })
        .await
        .unwrap();
    // Not the ended one.
    assert_eq!(outcome.moved, 249);
    for (session, seconds) in sessions.iter().zip(1..).take(249) {
        let found = kept(&store, session).await;
        let expected = match seconds {
            // Used before it had been idle for too long, and again within its allowance after that.
            2 => later(60),
            // Told late, and never left alone for long.
            4 => later(900),
            _ => later(seconds % 50 + 6),
        };
        assert_eq!(found.last_seen_at, expected);
        assert_eq!(found.version, session.version);
    }
    let again = store
        .apply(Touch {
            seen: uses,
            heard: None,
        })
        .await
        .unwrap();
    assert_eq!(again.moved, 0);
    assert_eq!(log.head().await.unwrap().seq, Seq(1));
    // What the reaper looks for has moved with it.
    let grant = crate::revocation::GrantRequest {
        instance: crate::ids::InstanceId(uuid::Uuid::from_u128(1)),
        counter: 1,
        applied: None,
    };
    let reply = log.grant(&grant, Duration::from_secs(5)).await.unwrap();
    let crate::revocation::GrantReply::Granted(grant) = reply else {
        panic!("not granted")
    };
    // The store's own time may be before any of the samples'.
    let earliest = later(6 + 60 + 6).min(grant.server_time);
    assert_eq!(grant.reaped_through, earliest, "the earliest last use");
}

/// Rotations, extensions and updates of one session at once: all happen, each a version.
pub async fn parallel_moves_each_make_a_version((store, _): Pair) {
    let new: NewSession = sample::new_session(1, "alice");
    let session = started(&store, new.clone()).await;
    let extensions = join_all((0..20).map(|_| store.apply(extend(&session, 300, later(5)))));
    let updates = join_all((0..20).map(|number| {
        let change = SessionUpdate {
            device_name: Some(Some(number.to_string())),
            ..SessionUpdate::default()
        };
        store.apply(update(&session, change))
    }));
    let rotation = store.apply(Rotate {
        tenant: TenantId::default(),
        id: session.id,
        presented: session.refresh.generation,
        seed: new.seed().clone(),
        at: later(5),
        grace: Duration::from_secs(10),
        actor: Actor::System,
    });
    let (extensions, updates, rotation) =
        futures::future::join3(extensions, updates, rotation).await;
    for outcome in extensions {
        outcome.unwrap().unwrap().unwrap();
    }
    for outcome in updates {
        outcome.unwrap().unwrap().unwrap();
    }
    let (verdict, _) = rotation.unwrap().judged.unwrap();
    assert_eq!(verdict, RefreshVerdict::Rotate);
    let found = kept(&store, &session).await;
    assert_eq!(found.version, Version(42));
    assert_eq!(found.expires_at, later(3_600 + 20 * 300));
}
