use std::sync::Arc;

use futures::future::join_all;
use uuid::Uuid;

use super::super::log::entries;
use super::{Pair, later, sample};
use crate::event::Actor;
use crate::ids::{Seq, ServiceKeyId};
use crate::port::{
    AddServiceKey, AddSigningKey, KeyOutcome, RetireOutcome, RetireSigningKey, RevokeServiceKey,
    ServiceKey, SessionStore, StoredSigningKey,
};
use crate::revocation::{LogEntry, PublicKey};
use crate::service_key::{KeyHash, Scope, Scopes};

fn signing_key(kid: &str) -> StoredSigningKey {
    let jwk = [("kty", "OKP"), ("crv", "Ed25519"), ("x", kid)];
    let public = PublicKey {
        kid: kid.parse().unwrap(),
        alg: "EdDSA".into(),
        jwk: jwk.map(|(name, value)| (name.into(), value.into())).into(),
    };
    StoredSigningKey {
        public,
        sealed: vec![0, 1, 255],
        created_at: sample::START,
        retired_at: None,
    }
}

/// Many replicas make a key each at the same moment; one is kept, and each learns its number.
pub async fn replicas_that_start_together_agree_on_one_key((store, log): Pair) {
    let adds = (0..20).map(|replica| {
        store.apply(AddSigningKey {
            key: signing_key(&format!("key-{replica}")),
            only_if_none: true,
            actor: Actor::System,
        })
    });
    let outcomes = join_all(adds).await;
    let mut changed = 0;
    for outcome in outcomes {
        let KeyOutcome {
            changed: this,
            through,
            fresh,
        } = outcome.unwrap();
        assert_eq!((through, fresh.is_some()), (Seq(1), this));
        changed += usize::from(this);
    }
    assert_eq!(changed, 1);
    assert_eq!(store.signing_keys().await.unwrap().len(), 1);
    assert_eq!(log.head().await.unwrap().seq, Seq(1));
}

/// It comes back as it was given, is in the log once, and stands in every snapshot.
pub async fn a_signing_key_is_kept_and_announced_once((store, log): Pair) {
    let key = signing_key("one");
    let add = |key: &StoredSigningKey, only_if_none| AddSigningKey {
        key: key.clone(),
        only_if_none,
        actor: Actor::System,
    };
    let first = store.apply(add(&key, false)).await.unwrap();
    let entry = LogEntry::KeyAdded(key.public.clone());
    assert_eq!(first.fresh.unwrap().entries, std::slice::from_ref(&entry));
    let again = store.apply(add(&key, false)).await.unwrap();
    assert!(!again.changed);
    let second = signing_key("two");
    assert!(!store.apply(add(&second, true)).await.unwrap().changed);
    assert!(store.apply(add(&second, false)).await.unwrap().changed);
    assert_eq!(
        entries(&*log, Seq(0), 10).await,
        [entry, LogEntry::KeyAdded(second.public.clone())]
    );
    assert_eq!(store.signing_keys().await.unwrap(), [key, second]);
    let snapshot = log.snapshot(None).await.unwrap();
    assert_eq!((snapshot.head.seq, snapshot.keys.len()), (Seq(2), 2));
}

/// Found by its hash alone; the same hash again changes nothing.
pub async fn a_service_key_is_found_by_its_hash_and_added_once((store, _): Pair) {
    let key = ServiceKey {
        id: ServiceKeyId(Uuid::from_u128(1)),
        hash: KeyHash::of("ssk_one"),
        name: "Anmeldung ü".into(),
        tenant: Some(sample::tenant("acme")),
        scopes: Scopes(vec![Scope::Create, Scope::Read]),
        created_at: sample::START,
    };
    let anywhere = ServiceKey {
        id: ServiceKeyId(Uuid::from_u128(2)),
        hash: KeyHash::of("ssk_two"),
        tenant: None,
        ..key.clone()
    };
    for new in [&key, &anywhere] {
        let outcome = store
            .apply(AddServiceKey {
                key: new.clone(),
                actor: Actor::System,
            })
            .await
            .unwrap();
        assert!(outcome.added);
        let found = store.service_key(&new.hash).await.unwrap();
        assert_eq!(found.as_ref(), Some(new));
    }
    let renamed = ServiceKey {
        id: ServiceKeyId(Uuid::from_u128(3)),
        name: "other".into(),
        ..key.clone()
    };
    let again = store
        .apply(AddServiceKey {
            key: renamed,
            actor: Actor::System,
        })
        .await
        .unwrap();
    assert!(!again.added);
    assert_eq!(store.service_key(&key.hash).await.unwrap(), Some(key));
    let unknown = store.service_key(&KeyHash::of("ssk_three")).await.unwrap();
    assert_eq!(unknown, None);
}

fn retire(kid: &str) -> RetireSigningKey {
    RetireSigningKey {
        kid: kid.parse().unwrap(),
        at: later(60),
        actor: Actor::System,
    }
}

async fn add_keys(store: &Arc<dyn SessionStore>, kids: &[&str]) {
    for kid in kids {
        let change = AddSigningKey {
            key: signing_key(kid),
            only_if_none: false,
            actor: Actor::System,
        };
        assert!(store.apply(change).await.unwrap().changed);
    }
}

/// In the log once, gone from snapshots, kept as retired; again it is told with the head.
pub async fn a_retired_key_is_announced_once_and_gone_from_snapshots((store, log): Pair) {
    add_keys(&store, &["one", "two"]).await;
    let RetireOutcome::Retired { through, fresh } = store.apply(retire("one")).await.unwrap()
    else {
        panic!("not retired")
    };
    let entry = LogEntry::KeyRetired("one".parse().unwrap());
    assert_eq!((through, fresh.unwrap().entries), (Seq(3), vec![entry]));
    let again = store.apply(retire("one")).await.unwrap();
    let expected = RetireOutcome::Retired {
        through: Seq(3),
        fresh: None,
    };
    assert_eq!(again, expected);
    assert_eq!(
        store.apply(retire("none")).await.unwrap(),
        RetireOutcome::Unknown
    );
    assert_eq!(
        store.apply(retire("two")).await.unwrap(),
        RetireOutcome::LastOne
    );
    let keys = store.signing_keys().await.unwrap();
    assert_eq!(keys[0].retired_at, Some(later(60)));
    assert_eq!(keys[1].retired_at, None);
    let snapshot = log.snapshot(None).await.unwrap();
    let kids: Vec<_> = snapshot.keys.iter().map(|key| key.kid.as_str()).collect();
    assert_eq!((kids, snapshot.head.seq), (vec!["two"], Seq(3)));
}

/// Never none: there would be nothing to sign with.
pub async fn one_of_two_keys_retired_at_once_stays((store, _): Pair) {
    add_keys(&store, &["one", "two"]).await;
    let outcomes = join_all(["one", "two"].map(|kid| store.apply(retire(kid)))).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(RetireOutcome::LastOne)));
    assert_eq!(refused.count(), 1);
    let keys = store.signing_keys().await.unwrap();
    let in_service = keys.iter().filter(|key| key.retired_at.is_none());
    assert_eq!(in_service.count(), 1);
}

/// Neither found by its hash, nor listed, nor brought back by whoever still holds it.
pub async fn a_revoked_service_key_is_not_found_and_not_added_again((store, _): Pair) {
    let key = |number| ServiceKey {
        id: ServiceKeyId(Uuid::from_u128(number)),
        hash: KeyHash::of(&format!("ssk_{number}")),
        name: "login".into(),
        tenant: None,
        scopes: Scopes(vec![Scope::Create]),
        created_at: later(u64::try_from(number).unwrap()),
    };
    let add = |key| AddServiceKey {
        key,
        actor: Actor::System,
    };
    for number in [2, 1, 3] {
        store.apply(add(key(number))).await.unwrap();
    }
    assert_eq!(
        store.service_keys().await.unwrap(),
        [key(1), key(2), key(3)]
    );
    let revoke = |number| RevokeServiceKey {
        id: key(number).id,
        at: later(60),
        actor: Actor::System,
    };
    for _ in 0..2 {
        assert!(store.apply(revoke(2)).await.unwrap().known);
    }
    assert!(!store.apply(revoke(9)).await.unwrap().known);
    assert_eq!(store.service_key(&key(2).hash).await.unwrap(), None);
    assert_eq!(store.service_keys().await.unwrap(), [key(1), key(3)]);
    let again = ServiceKey {
        id: ServiceKeyId(Uuid::from_u128(20)),
        ..key(2)
    };
    assert!(!store.apply(add(again)).await.unwrap().added);
    assert_eq!(store.service_key(&key(2).hash).await.unwrap(), None);
}
