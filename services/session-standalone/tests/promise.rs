//! The promise: a revoked session is refused by the validator in the first request sent after the
//! 204.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use support::Instance;

const TRIALS: u64 = 10_000;
const WORKERS: u64 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_revoked_sessions_are_refused_in_the_first_request_after_the_204() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Arc::new(Instance::start(dir.path()));
    let (accepted, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let next = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));

    // Sessions that live all along must be accepted all along, or refusing proves nothing.
    let bystanders = (0..4).map(|number| {
        let (instance, done) = (Arc::clone(&instance), Arc::clone(&done));
        tokio::spawn(async move {
            let session = instance.sign_in(&format!("bystander-{number}")).await;
            let mut asked = 0_u64;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(instance.validate(&session.access).await, 200);
                asked += 1;
            }
            asked
        })
    });
    let bystanders: Vec<_> = bystanders.collect();

    let workers = (0..WORKERS).map(|worker| {
        let (instance, next) = (Arc::clone(&instance), Arc::clone(&next));
        let (accepted, refused) = (Arc::clone(&accepted), Arc::clone(&refused));
        tokio::spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < TRIALS {
                let session = instance.sign_in(&format!("user-{worker}")).await;
                assert_eq!(instance.validate(&session.access).await, 200);
                assert_eq!(instance.end(&session.id).await, 204);
                let after = [
                    instance.validate(&session.access).await,
                    instance.validate_cookie(&session.cookie).await,
                ];
                match after {
                    [401, 401] => refused.fetch_add(1, Ordering::Relaxed),
                    [200, _] | [_, 200] => accepted.fetch_add(1, Ordering::Relaxed),
                    other => panic!("neither accepted nor refused: {other:?}"),
                };
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let mut asked = 0;
    for bystander in bystanders {
        asked += bystander.await.unwrap();
    }
    assert_eq!(
        accepted.load(Ordering::Relaxed),
        0,
        "accepted after the 204"
    );
    assert_eq!(refused.load(Ordering::Relaxed), TRIALS);
    println!(
        "{TRIALS} revoked and refused, 0 accepted; {asked} validations of living sessions accepted meanwhile"
    );
}

/// A second request to end the same session, while the first is under way, is answered no earlier
/// than the first could have been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_of_many_revokes_answers_first_the_session_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Arc::new(Instance::start(dir.path()));
    for _ in 0..100 {
        let session = instance.sign_in("alice").await;
        let ends = (0..8).map(|_| {
            let (instance, session) = (Arc::clone(&instance), session.clone());
            tokio::spawn(async move {
                assert_eq!(instance.end(&session.id).await, 204);
                assert_eq!(instance.validate(&session.access).await, 401);
            })
        });
        for end in ends.collect::<Vec<_>>() {
            end.await.unwrap();
        }
    }
}
