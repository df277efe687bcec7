use std::sync::Arc;
use std::time::Duration;

use super::{Pair, changed, later, listed, sample, started};
use crate::event::Actor;
use crate::ids::{DeviceId, TenantId};
use crate::known_device::{DeviceUpdate, KnownDevice};
use crate::port::{
    ChangeDevice, DevicePosition, DeviceQuery, ForgetDevice, Seen, SessionStore, Touch,
};
use crate::revocation::LogEntry;
use crate::session::{EndReason, NewSession, Session, ShownStatus, Status};

fn on(number: u128, user: &str, fingerprint: &str) -> NewSession {
    changed(number, user, |session| {
        session.device.fingerprint_hash = Some(fingerprint.to_owned());
        session.created_at = later(u64::try_from(number).unwrap());
    })
}

async fn devices(store: &Arc<dyn SessionStore>, user: &str) -> Vec<KnownDevice> {
    let query = DeviceQuery {
        tenant: TenantId::default(),
        user: sample::user(user),
        after: None,
        limit: 100,
    };
    store.devices(&query).await.unwrap()
}

fn change(of: &Session, update: DeviceUpdate) -> ChangeDevice {
    ChangeDevice {
        tenant: of.tenant.clone(),
        user: of.user.clone(),
        id: of.device_id(),
        update,
        at: later(60),
        actor: Actor::System,
    }
}

fn forget(of: &Session, batch: u32) -> ForgetDevice {
    ForgetDevice {
        tenant: of.tenant.clone(),
        user: of.user.clone(),
        id: of.device_id(),
        at: later(60),
        actor: Actor::System,
        batch,
    }
}

/// Sign-ins on one device make one; it is used when its sessions are.
pub async fn a_device_is_known_by_its_sign_ins((store, _): Pair) {
    let first = started(&store, on(1, "alice", "laptop")).await;
    started(&store, on(2, "alice", "phone")).await;
    let again = started(&store, on(3, "alice", "laptop")).await;
    started(&store, on(4, "bob", "laptop")).await;
    let known = devices(&store, "alice").await;
    assert_eq!(known.len(), 2, "newest first");
    let laptop = &known[1];
    let expected = KnownDevice {
        last_seen_at: later(3),
        ..KnownDevice::first_seen(&first)
    };
    assert_eq!(laptop, &expected);
    let seen = |session: &Session, seconds| Seen {
        tenant: session.tenant.clone(),
        id: session.id,
        first: later(seconds),
        last: later(seconds),
        gap: Duration::ZERO,
    };
    let uses = vec![seen(&again, 90), seen(&first, 80)];
    store
        .apply(Touch {
            seen: uses,
            heard: None,
        })
        .await
        .unwrap();
    let after = devices(&store, "alice").await;
    assert_eq!(after[1].last_seen_at, later(90));
    assert_eq!(after[0], known[0], "the other one wasn't used");
    assert_eq!(devices(&store, "bob").await.len(), 1);
}

/// Its name and whether it is trusted are its user's to say, and stay through sign-ins.
pub async fn a_device_is_changed_by_its_user_only((store, _): Pair) {
    let session = started(&store, on(1, "alice", "laptop")).await;
    let update = DeviceUpdate {
        name: Some(Some("Zoë’s 📱".into())),
        trusted: Some(true),
    };
    let changed = store.apply(change(&session, update.clone())).await.unwrap();
    let changed = *changed.unwrap();
    assert_eq!(
        (changed.name.as_deref(), changed.trusted),
        (Some("Zoë’s 📱"), true)
    );
    assert_eq!(devices(&store, "alice").await, [changed]);
    started(&store, on(2, "alice", "laptop")).await;
    let kept = &devices(&store, "alice").await[0];
    assert_eq!(
        (kept.name.as_deref(), kept.trusted),
        (Some("Zoë’s 📱"), true)
    );
    let strangers = [
        ChangeDevice {
            user: sample::user("bob"),
            ..change(&session, update.clone())
        },
        ChangeDevice {
            tenant: sample::tenant("other"),
            ..change(&session, update.clone())
        },
        ChangeDevice {
            id: DeviceId(uuid::Uuid::from_u128(1)),
            ..change(&session, update)
        },
    ];
    for stranger in strangers {
        assert_eq!(store.apply(stranger).await.unwrap(), None);
    }
    let unnamed = DeviceUpdate {
        name: Some(None),
        trusted: None,
    };
    let unnamed = store
        .apply(change(&session, unnamed))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((unnamed.name, unnamed.trusted), (None, true));
}

/// All sessions on it end, batch by batch, in the log; with the last it is gone. Nobody else's.
pub async fn forgetting_a_device_ends_its_sessions((store, log): Pair) {
    let mut laptop = Vec::new();
    for number in 1..=5 {
        laptop.push(started(&store, on(number, "alice", "laptop")).await);
    }
    let phone = started(&store, on(6, "alice", "phone")).await;
    let bob = started(&store, on(7, "bob", "laptop")).await;
    let stranger = ForgetDevice {
        user: sample::user("bob"),
        ..forget(&laptop[0], 10)
    };
    let nothing = store.apply(stranger).await.unwrap();
    assert!(!nothing.known && nothing.end.ended.is_empty());
    let mut ended = Vec::new();
    for (more, left) in [(true, 2), (true, 2), (false, 1)] {
        let outcome = store.apply(forget(&laptop[0], 2)).await.unwrap();
        assert!(outcome.known);
        assert_eq!(outcome.end.more, more);
        let serials = outcome.end.ended.iter().map(|session| session.serial);
        let entries = outcome.end.fresh.unwrap().entries;
        assert_eq!(entries, [LogEntry::Ended(serials.collect())]);
        assert_eq!(outcome.end.through, log.head().await.unwrap().seq);
        ended.extend(outcome.end.ended);
        assert_eq!(devices(&store, "alice").await.len(), left);
    }
    let ids = |sessions: &[Session]| sessions.iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(&ended), ids(&laptop));
    for session in &ended {
        let Status::Ended(ending) = session.status else {
            panic!("not ended")
        };
        assert_eq!(ending.reason, EndReason::RevokedByUser);
    }
    assert_eq!(listed(&store, "alice", ShownStatus::Active).await, [phone]);
    assert_eq!(listed(&store, "bob", ShownStatus::Active).await, [bob]);
    assert!(!store.apply(forget(&laptop[0], 2)).await.unwrap().known);
    started(&store, on(8, "alice", "laptop")).await;
    assert_eq!(devices(&store, "alice").await.len(), 2, "known again");
}

/// Page by page, every device comes once, the newest first.
pub async fn devices_are_paged_without_gap_or_double((store, _): Pair) {
    for number in 1..=20 {
        let new = changed(number, "alice", |session| {
            session.device.fingerprint_hash = Some(format!("f{number}"));
            session.created_at = later(u64::try_from(number % 4).unwrap());
        });
        started(&store, new).await;
    }
    let all = devices(&store, "alice").await;
    assert_eq!(all.len(), 20);
    assert!(all.is_sorted_by_key(|one| std::cmp::Reverse((one.first_seen_at, one.id))));
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let query = DeviceQuery {
            tenant: TenantId::default(),
            user: sample::user("alice"),
            after,
            limit: 3,
        };
        let page = store.devices(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(DevicePosition {
            first_seen_at: last.first_seen_at,
            id: last.id,
        });
        seen.extend(page);
    }
    assert_eq!(seen, all);
}
