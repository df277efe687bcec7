//! Time ends sessions by itself.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::Instance;

#[tokio::test]
async fn a_session_ends_at_its_absolute_end_and_shows_as_expired() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), |command| {
        command
            .env("SESSION_SESSION__ABSOLUTE_LIFETIME", "3s")
            .env("SESSION_REAPER__TICK", "100ms");
    });
    let session = instance.sign_in("alice").await;
    assert_eq!(instance.validate(&session.access).await, 200);
    assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(instance.validate(&session.access).await, 401);
    assert_eq!(instance.validate_cookie(&session.cookie).await, 401);
    assert_eq!(
        instance.refresh(&session.refresh).await.status().as_u16(),
        401
    );
    let path = format!("/api/v1/sessions/{}", session.id);
    let request = instance
        .request(reqwest::Method::GET, &path)
        .bearer_auth(&instance.service_key);
    let shown: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (shown["status"].as_str(), shown["end_reason"].as_str()),
        (Some("expired"), Some("expired"))
    );
}

#[tokio::test]
async fn an_idle_session_ends_although_its_tokens_would_live_on() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), |command| {
        command
            .env("SESSION_SESSION__IDLE_TIMEOUT", "2s")
            .env("SESSION_ACTIVITY__INTERVAL", "100ms")
            .env("SESSION_REAPER__TICK", "100ms");
    });
    let session = instance.sign_in("alice").await;
    assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
    // Refreshing in the background is not being used by a person.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(
        instance.refresh(&session.refresh).await.status().as_u16(),
        200
    );
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert_eq!(instance.validate_cookie(&session.cookie).await, 401);
    assert_eq!(instance.validate(&session.access).await, 401);
}

#[tokio::test]
async fn a_session_in_use_at_a_gateway_lives_on_and_ends_when_it_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), |command| {
        command
            .env("SESSION_SESSION__IDLE_TIMEOUT", "2s")
            .env("SESSION_ACTIVITY__INTERVAL", "100ms")
            .env("SESSION_REAPER__TICK", "100ms");
    });
    let session = instance.sign_in("alice").await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
    }
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    assert_eq!(instance.validate_cookie(&session.cookie).await, 401);
}

/// A reaper that doesn't come must not mean sessions that live for ever: once its lag shows,
/// session tokens are checked with the authority.
#[tokio::test]
async fn without_a_reaper_session_tokens_are_refused_by_the_remote_check() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), |command| {
        command
            .env("SESSION_SESSION__ABSOLUTE_LIFETIME", "1h")
            .env("SESSION_SESSION__IDLE_TIMEOUT", "2s")
            .env("SESSION_ACTIVITY__INTERVAL", "100ms")
            .env("SESSION_REAPER__LAG_MAX", "1s")
            .env("SESSION_REAPER__TICK", "1m");
    });
    let session = instance.sign_in("alice").await;
    assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
    // Due after two seconds, checked remotely after one more, seen with the next grant.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    assert_eq!(instance.validate_cookie(&session.cookie).await, 401);
    let path = format!("/api/v1/sessions/{}", session.id);
    let request = instance.request(reqwest::Method::GET, &path);
    let request = request.bearer_auth(&instance.service_key);
    let shown: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["status"], "active", "nobody has ended it yet");
}
