//! Time ends sessions by itself.

mod support;

use std::time::Duration;

use support::Instance;

/// A session is idle after this; what is done about it, is done soon.
const IDLE: [(&str, &str); 3] = [
    ("session__idle_timeout", "2s"),
    ("activity__interval", "100ms"),
    ("reaper__tick", "100ms"),
];

#[tokio::test]
async fn a_session_ends_at_its_absolute_end_and_shows_as_expired() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("session__absolute_lifetime", "3s"),
        ("reaper__tick", "100ms"),
    ];
    let instance = Instance::start_set(dir.path(), &settings);
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
    let shown = instance.shown(&session.id).await;
    assert_eq!(
        (shown["status"].as_str(), shown["end_reason"].as_str()),
        (Some("expired"), Some("expired"))
    );
}

#[tokio::test]
async fn an_idle_session_ends_although_its_tokens_would_live_on() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_set(dir.path(), &IDLE);
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
    let instance = Instance::start_set(dir.path(), &IDLE);
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
    let mut settings = IDLE.to_vec();
    settings.extend([("reaper__lag_max", "1s"), ("reaper__tick", "1m")]);
    let instance = Instance::start_set(dir.path(), &settings);
    let session = instance.sign_in("alice").await;
    assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
    // Due after two seconds, checked remotely after one more, seen with the next grant.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    assert_eq!(instance.validate_cookie(&session.cookie).await, 401);
    let shown = instance.shown(&session.id).await;
    assert_eq!(shown["status"], "active", "nobody has ended it yet");
}
