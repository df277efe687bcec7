//! Refreshing over HTTP: one successor per generation, no false theft, and theft noticed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Instance, SignedIn};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_parallel_refreshes_give_one_successor_and_an_older_one_ends_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Arc::new(Instance::start(dir.path()));
    let first = instance.sign_in("alice").await;

    let refreshes = (0..100).map(|_| {
        let (instance, token) = (Arc::clone(&instance), first.refresh.clone());
        tokio::spawn(async move {
            let response = instance.refresh(&token).await;
            assert_eq!(response.status().as_u16(), 200);
            assert_eq!(response.headers()["cache-control"], "no-store");
            SignedIn::from(&response.json::<Value>().await.unwrap())
        })
    });
    let mut successors = HashSet::new();
    let mut access = String::new();
    for refresh in refreshes.collect::<Vec<_>>() {
        let signed_in = refresh.await.unwrap();
        successors.insert((signed_in.refresh, signed_in.access.clone()));
        access = signed_in.access;
    }
    assert_eq!(
        successors.len(),
        1,
        "one successor, the same answer every time"
    );
    assert_eq!(instance.validate(&access).await, 200, "no false theft");

    // Two generations on, the first token is neither current nor just rotated.
    let (second, _) = successors.into_iter().next().unwrap();
    let third = SignedIn::from(
        &instance
            .refresh(&second)
            .await
            .json::<Value>()
            .await
            .unwrap(),
    );
    assert_eq!(instance.validate(&third.access).await, 200);
    assert_eq!(
        instance.refresh(&first.refresh).await.status().as_u16(),
        401
    );
    // Nobody was promised this end, so it isn't waited for; it is there all the same.
    let gone = async {
        while instance.validate(&third.access).await != 401 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .expect("the session ends with the theft");
    assert_eq!(
        instance.refresh(&third.refresh).await.status().as_u16(),
        401
    );
    assert_eq!(instance.validate_cookie(&third.cookie).await, 401);
}

#[tokio::test]
async fn a_made_up_token_ends_nobodys_session() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let session = instance.sign_in("alice").await;
    let mut forged = session.refresh.clone().into_bytes();
    let last = forged.len() - 3;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for token in [
        forged.as_str(),
        "",
        "srt_",
        "srt_AAAA",
        &session.access,
        &session.cookie,
    ] {
        let response = instance.refresh(token).await;
        assert_eq!(response.status().as_u16(), 401, "{token}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
    }
    assert_eq!(instance.validate(&session.access).await, 200);
    assert_eq!(
        instance.refresh(&session.refresh).await.status().as_u16(),
        200
    );
}
