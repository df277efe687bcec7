use std::time::Duration;

use futures::future::join_all;

use super::{Pair, later, sample, started};
use crate::event::Actor;
use crate::ids::{Generation, Seq, TenantId};
use crate::port::{Rotate, RotateOutcome};
use crate::revocation::LogEntry;
use crate::secret::Secret256;
use crate::session::{EndReason, NewSession, RefreshVerdict, Status};
use crate::time::Timestamp;

const GRACE: Duration = Duration::from_secs(10);

fn rotate(of: &NewSession, presented: u32, at: Timestamp) -> Rotate {
    Rotate {
        tenant: of.draft().tenant.clone(),
        id: of.draft().id,
        presented: Generation(presented),
        seed: of.seed().clone(),
        at,
        grace: GRACE,
        actor: Actor::System,
    }
}

/// 100 presentations of one token at once: one rotates, the rest get the same successor, and
/// nobody is taken for a thief.
pub async fn one_of_many_parallel_rotations_rotates((store, log): Pair) {
    let new = sample::new_session(1, "alice");
    started(&store, new.clone()).await;
    let rotations = (0..100).map(|_| store.apply(rotate(&new, 0, later(5))));
    let mut rotated = 0;
    for outcome in join_all(rotations).await {
        let (verdict, session) = outcome.unwrap().judged.unwrap();
        assert_eq!(session.refresh.generation, Generation(1));
        match verdict {
            RefreshVerdict::Rotate => rotated += 1,
            RefreshVerdict::Repeat => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rotated, 1);
    let session = store
        .find(&TenantId::default(), new.draft().id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(session.status, Status::Active);
    assert_eq!(
        (session.refresh.generation, session.refresh.rotated_at),
        (Generation(1), later(5))
    );
    assert_eq!(log.head().await.unwrap().seq, Seq(0));
}

/// A token presented again after its grace ends the session in the same transaction.
pub async fn a_used_token_after_the_grace_ends_the_session((store, log): Pair) {
    let new = sample::new_session(1, "alice");
    let serial = started(&store, new.clone()).await.serial;
    store.apply(rotate(&new, 0, later(5))).await.unwrap();
    let reuse = store.apply(rotate(&new, 0, later(16))).await.unwrap();
    let (verdict, session) = reuse.judged.unwrap();
    assert_eq!(verdict, RefreshVerdict::Reused);
    let Status::Ended(ending) = session.status else {
        panic!("still active")
    };
    assert_eq!(
        (ending.reason, ending.at, ending.seq),
        (EndReason::RefreshReuse, later(16), Seq(1))
    );
    let fresh = reuse.fresh.unwrap();
    assert_eq!(
        (fresh.after, fresh.entries),
        (Seq(0), vec![LogEntry::Ended(vec![serial])])
    );
    assert_eq!(log.head().await.unwrap().seq, Seq(1));
    // The thief's successor, and the victim's: both are told it is over.
    let after = store.apply(rotate(&new, 1, later(17))).await.unwrap();
    assert_eq!(
        after.judged,
        Some((RefreshVerdict::Ended(ending), session.clone()))
    );
    assert_eq!(after.fresh, None);
    let kept = store.find(&session.tenant, session.id).await.unwrap();
    assert_eq!(kept.as_ref(), Some(&*session));
}

/// Another seed, another tenant, an id nobody has: nothing is judged, nothing changes.
pub async fn a_token_of_another_seed_or_tenant_is_nobodys((store, _): Pair) {
    let new = sample::new_session(1, "alice");
    let session = started(&store, new.clone()).await;
    let right = rotate(&new, 0, later(5));
    let wrong = [
        Rotate {
            seed: Secret256([99; 32]),
            ..right.clone()
        },
        Rotate {
            tenant: sample::tenant("other"),
            ..right.clone()
        },
        Rotate {
            id: sample::session_id(2),
            ..right
        },
    ];
    for change in wrong {
        let outcome = store.apply(change).await.unwrap();
        assert_eq!(
            outcome,
            RotateOutcome {
                judged: None,
                fresh: None
            }
        );
    }
    assert_eq!(
        store.find(&session.tenant, session.id).await.unwrap(),
        Some(session)
    );
}

/// A generation from the future is no theft.
pub async fn a_token_not_issued_yet_changes_nothing((store, log): Pair) {
    let new = sample::new_session(1, "alice");
    let session = started(&store, new.clone()).await;
    let outcome = store.apply(rotate(&new, 1, later(5))).await.unwrap();
    assert_eq!(
        outcome.judged,
        Some((RefreshVerdict::NeverIssued, Box::new(session)))
    );
    assert_eq!(log.head().await.unwrap().seq, Seq(0));
}
