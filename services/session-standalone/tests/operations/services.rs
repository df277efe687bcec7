//! What services ask over HTTP: any user's sessions, and whether a token is good.

use std::time::Duration;

use crate::support::Instance;
use crate::support::api::{answer, problem};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_service_pages_through_any_users_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let user = "Zoë / müller+1@x?y#z%41";
    for _ in 0..7 {
        instance.sign_in(user).await;
    }
    let last = instance.sign_in(user).await;
    instance.sign_in("somebody else").await;
    assert_eq!(instance.end(&last.id).await, 204);
    let name = user
        .bytes()
        .fold(String::new(), |name, byte| format!("{name}%{byte:02X}"));

    for (path, count) in [
        (format!("/sessions/user/{name}"), 8),
        (format!("/sessions/user/{name}/active"), 7),
    ] {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = format!("{path}?limit=3{cursor}");
            let page = answer(instance.service(Method::GET, &page), 200).await;
            for session in page["sessions"].as_array().unwrap() {
                assert_eq!(session["user_id"], user);
                ids.push(session["id"].as_str().unwrap().to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(ids.len(), count);
        assert!(
            ids.is_sorted_by(|one, other| one > other),
            "newest first, none twice"
        );
        assert_eq!(ids.contains(&last.id), count == 8);
    }
    let revoked = format!("/sessions/user/{name}?status=revoked");
    let revoked = answer(instance.service(Method::GET, &revoked), 200).await;
    assert_eq!(revoked["sessions"].as_array().unwrap().len(), 1);
    let nobody = answer(instance.service(Method::GET, "/sessions/user/nobody"), 200).await;
    assert_eq!(nobody["sessions"], json!([]));
    let elsewhere = format!("/sessions/user/{name}?tenant=other");
    assert_eq!(
        answer(instance.service(Method::GET, &elsewhere), 200).await["sessions"],
        json!([])
    );
    let bad = instance.service(Method::GET, "/sessions/user/nobody?cursor=00");
    assert_eq!(problem(bad, 400).await, "invalid_request");
}

#[tokio::test]
async fn a_service_learns_whether_a_token_is_good_and_nothing_of_one_that_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let alice = instance.sign_in("alice").await;
    let bad = json!({"is_valid": false, "security_warnings": []});
    for path in ["/sessions/validate", "/sessions/security/validate"] {
        let validate = |token: &str| {
            let body = json!({"session_token": token, "update_activity": false});
            answer(instance.service(Method::POST, path).json(&body), 200)
        };
        for token in [&alice.cookie, &alice.access] {
            let good = validate(token).await;
            assert_eq!(
                (&good["is_valid"], &good["user_id"]),
                (&json!(true), &json!("alice"))
            );
            assert_eq!(good["session_id"], alice.id.as_str());
            let left = good["time_remaining_seconds"].as_u64().unwrap();
            assert!((3_500..=3_600).contains(&left), "{left}");
        }
        for token in [&alice.refresh, &instance.service_key, "", "a.b.c"] {
            assert_eq!(without_nulls(validate(token).await), bad);
        }
    }
    let unknown = instance
        .service(Method::POST, "/sessions/validate")
        .json(&json!({"token": "x"}));
    assert_eq!(problem(unknown, 400).await, "invalid_request");
    assert_eq!(instance.end(&alice.id).await, 204);
    for token in [&alice.cookie, &alice.access] {
        let body = json!({"session_token": token});
        let over = answer(
            instance
                .service(Method::POST, "/sessions/validate")
                .json(&body),
            200,
        )
        .await;
        assert_eq!(without_nulls(over), bad);
    }
}

fn without_nulls(mut body: Value) -> Value {
    body.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    body
}

/// Use is written once it is a tenth of the idle allowance newer than what is written.
const WRITTEN_OFTEN: [(&str, &str); 1] = [("SESSION__IDLE_TIMEOUT", "10s")];

/// That tenth.
const STEP: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_validation_counts_as_use_unless_it_says_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_set(dir.path(), &WRITTEN_OFTEN);
    let alice = instance.sign_in("alice").await;
    let validate = |body: Value| {
        answer(
            instance
                .service(Method::POST, "/sessions/validate")
                .json(&body),
            200,
        )
    };
    let path = format!("/sessions/user/{}", "alice");
    let last_seen = async || {
        let page = answer(instance.service(Method::GET, &path), 200).await;
        page["sessions"][0]["last_seen_at"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = last_seen().await;
    validate(json!({"session_token": alice.cookie, "update_activity": false})).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(last_seen().await, first);
    validate(json!({"session_token": alice.cookie})).await;
    let moved = async {
        while last_seen().await == first {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), moved)
        .await
        .expect("use is written");
    let shown = answer(
        instance.service(Method::GET, &format!("/sessions/{}", alice.id)),
        200,
    )
    .await;
    assert_eq!(shown["version"], 1, "use is no change");
}

#[tokio::test]
async fn a_use_noted_before_a_stop_is_written_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = Instance::start_set(dir.path(), &WRITTEN_OFTEN);
    let alice = instance.sign_in("alice").await;
    let created = answer(
        instance.service(Method::GET, &format!("/sessions/{}", alice.id)),
        200,
    )
    .await;
    tokio::time::sleep(STEP).await;
    let body = json!({"session_token": alice.cookie});
    answer(
        instance
            .service(Method::POST, "/sessions/validate")
            .json(&body),
        200,
    )
    .await;
    assert!(instance.terminate().success());
    drop(instance);
    let instance = Instance::start(dir.path());
    let after = answer(
        instance.service(Method::GET, &format!("/sessions/{}", alice.id)),
        200,
    )
    .await;
    assert_ne!(after["last_seen_at"], created["last_seen_at"]);
}

#[tokio::test]
async fn whoever_guesses_is_told_to_wait_and_nobody_else_is_held_up() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), |command| {
        command
            .env("SESSION_TRUSTED_PROXIES", "127.0.0.0/8")
            .env("SESSION_LIMIT__INVALID_CREDENTIALS_PER_MINUTE", "5");
    });
    let session = instance.sign_in("alice").await;
    let guess = |from: &str| {
        let current = instance.request(reqwest::Method::GET, "/api/v1/sessions/current");
        let current = current.header("X-Forwarded-For", from.to_owned());
        current
            .bearer_auth(format!("ssk_{}", "0".repeat(64)))
            .send()
    };
    for _ in 0..5 {
        assert_eq!(guess("198.51.100.7").await.unwrap().status().as_u16(), 401);
    }
    let response = guess("198.51.100.7").await.unwrap();
    assert_eq!(response.status().as_u16(), 429);
    let wait: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    let policy = response.headers()["ratelimit-policy"].to_str().unwrap();
    assert_eq!(policy, "\"invalid-credentials\";q=5;w=60");
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["code"], "too_many_requests");

    assert_eq!(
        guess("203.0.113.9").await.unwrap().status().as_u16(),
        401,
        "another address"
    );
    let good = instance.request(reqwest::Method::GET, "/api/v1/sessions/current");
    let good = good
        .header("X-Forwarded-For", "198.51.100.7")
        .bearer_auth(&session.access);
    assert_eq!(
        good.send().await.unwrap().status().as_u16(),
        200,
        "a good credential"
    );
    // What was good once is no guess.
    assert_eq!(instance.end(&session.id).await, 204);
    for _ in 0..10 {
        let ended = instance.request(reqwest::Method::GET, "/api/v1/sessions/current");
        let ended = ended
            .header("X-Forwarded-For", "192.0.2.77")
            .bearer_auth(&session.access);
        assert_eq!(ended.send().await.unwrap().status().as_u16(), 401);
    }
}
