use futures::future::join_all;
use uuid::Uuid;

use super::{Pair, sample};
use crate::ids::{Seq, ServiceKeyId};
use crate::port::{AddServiceKey, AddSigningKey, KeyOutcome, ServiceKey, StoredSigningKey};
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
        log.entries(Seq(0), 10).await.unwrap(),
        [entry, LogEntry::KeyAdded(second.public.clone())]
    );
    assert_eq!(store.signing_keys().await.unwrap(), [key, second]);
    let snapshot = log.snapshot().await.unwrap();
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
            .apply(AddServiceKey { key: new.clone() })
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
    let again = store.apply(AddServiceKey { key: renamed }).await.unwrap();
    assert!(!again.added);
    assert_eq!(store.service_key(&key.hash).await.unwrap(), Some(key));
    let unknown = store.service_key(&KeyHash::of("ssk_three")).await.unwrap();
    assert_eq!(unknown, None);
}
