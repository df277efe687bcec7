//! Not waiting for validators, and asking one whether it has heard.

use crate::support::{Instance, SignedIn};
use reqwest::{Method, Response};
use serde_json::json;

async fn setup() -> (tempfile::TempDir, Instance, SignedIn) {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let session = instance.sign_in("alice").await;
    (dir, instance, session)
}

fn text<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value
        .unwrap_or_else(|| panic!("{name} is missing"))
        .to_str()
        .unwrap()
}

#[tokio::test]
async fn whoever_prefers_not_to_wait_is_told_which_entry_to_ask_for() {
    let (_dir, instance, alice) = setup().await;
    let (bob, carol) = (instance.sign_in("bob").await, instance.sign_in("bob").await);
    let requests = [
        instance.service(Method::DELETE, &format!("/sessions/{}", alice.id)),
        instance
            .service(Method::POST, &format!("/sessions/{}/revoke", bob.id))
            .json(&json!({"reason": "test"})),
        instance.user(&carol.access, Method::DELETE, "/sessions"),
    ];
    let mut last = 0;
    for request in requests {
        let answer = request
            .header("Prefer", "wait=5, respond-async")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 202);
        assert_eq!(text(&answer, "preference-applied"), "respond-async");
        let seq: u64 = text(&answer, "session-revocation-seq").parse().unwrap();
        assert!(seq > last);
        last = seq;
    }
    for ended in [&alice, &bob, &carol] {
        // The validator may not have heard yet, and then says so rather than yes.
        let status = loop {
            let asked = instance.authz("forwarded").bearer_auth(&ended.access);
            let answer = asked.header("Session-Min-Seq", last).send().await.unwrap();
            match answer.status().as_u16() {
                503 => assert_eq!(text(&answer, "x-session-error"), "behind"),
                status => break status,
            }
        };
        assert_eq!(status, 401);
    }
}

#[tokio::test]
async fn what_nobody_has_heard_of_is_refused_and_not_awaited() {
    let (_dir, instance, alice) = setup().await;
    let bob = instance.sign_in("bob").await;
    let ended = instance
        .service(Method::DELETE, &format!("/sessions/{}", bob.id))
        .send()
        .await
        .unwrap();
    assert_eq!(ended.status().as_u16(), 204);
    let seq: u64 = text(&ended, "session-revocation-seq").parse().unwrap();
    let asked = async |demands: &[&str]| {
        let mut request = instance.authz("forwarded").bearer_auth(&alice.access);
        for demand in demands {
            request = request.header("Session-Min-Seq", *demand);
        }
        request.send().await.unwrap()
    };
    // After the 204 the validator has it: no waiting and no refusal.
    assert_eq!(asked(&[&seq.to_string()]).await.status().as_u16(), 200);
    let unheard = (seq + 1).to_string();
    for demands in [
        &[unheard.as_str()][..],
        &["18446744073709551615"],
        &["18446744073709551616"],
        &["soon"],
        &[""],
        &["1", &unheard],
    ] {
        let answer = asked(demands).await;
        assert_eq!(answer.status().as_u16(), 503, "{demands:?}");
        assert_eq!(text(&answer, "retry-after"), "1");
        assert_eq!(text(&answer, "x-session-error"), "behind");
    }
}
