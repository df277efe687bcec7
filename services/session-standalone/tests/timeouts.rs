//! When exactly time ends sessions, and what counts as using one.

#![expect(
    clippy::disallowed_methods,
    reason = "a test watches another process, in its time"
)]

mod support;

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use support::api::answer;
use support::{Instance, SignedIn};

/// Two seconds idle, five in all; looked for ten times a second.
const SHORT: [(&str, &str); 4] = [
    ("session__idle_timeout", "2s"),
    ("session__absolute_lifetime", "5s"),
    ("activity__interval", "50ms"),
    ("reaper__tick", "100ms"),
];

/// A tick of the reaper and the way to whoever answers, on a machine that has other things to do.
const SLACK: Duration = Duration::from_millis(2_000);

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.expect("an answer").status().as_u16()
}

/// Whether a session is good, by a question that is no use of it.
async fn is_good(instance: &Instance, session: &SignedIn) -> bool {
    let body = json!({"session_token": session.cookie, "update_activity": false});
    let request = instance.service(Method::POST, "/sessions/validate");
    answer(request.json(&body), 200).await["is_valid"] == true
}

/// How long after `since` a session isn't good any more; everybody says so from then on.
async fn good_for(instance: &Instance, session: &SignedIn, since: Instant) -> Duration {
    while is_good(instance, session).await {
        assert!(since.elapsed() < Duration::from_secs(20), "it ends");
    }
    let good_for = since.elapsed();
    // Tokens say when they end in whole seconds, rounded down; that it is over is written then.
    while instance.shown(&session.id).await["status"] == "active" {
        assert!(since.elapsed() < good_for + SLACK, "its end is written");
    }
    // Which was announced to all at once, and nobody waited for the validator.
    while instance.validate_cookie(&session.cookie).await == 200 {
        assert!(
            since.elapsed() < good_for + 2 * SLACK,
            "the validator hears of it"
        );
    }
    assert_eq!(instance.validate(&session.access).await, 401);
    let current = instance.user(&session.access, Method::GET, "/sessions/current");
    assert_eq!(status(current).await, 401);
    let refreshed = instance.refresh(&session.refresh).await;
    assert_eq!(refreshed.status().as_u16(), 401);
    good_for
}

fn on_time(good_for: Duration, seconds: u64) {
    let due = Duration::from_secs(seconds);
    assert!(
        good_for >= due && good_for < due + SLACK,
        "good for {good_for:?} instead of {due:?}"
    );
}

#[tokio::test]
async fn a_session_left_alone_is_refused_on_time_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_set(dir.path(), &SHORT);
    let begun = Instant::now();
    let session = instance.sign_in("alice").await;
    on_time(good_for(&instance, &session, begun).await, 2);
    let shown = instance.shown(&session.id).await;
    assert_eq!(
        (&shown["status"], &shown["end_reason"]),
        (&json!("expired"), &json!("idle"))
    );
}

#[tokio::test]
async fn use_at_the_validator_alone_keeps_a_session_until_its_absolute_end() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_set(dir.path(), &SHORT);
    let begun = Instant::now();
    let session = instance.sign_in("alice").await;
    while begun.elapsed() < Duration::from_secs(4) {
        assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let good_for = good_for(&instance, &session, begun).await;
    // Its tokens say when in whole seconds.
    on_time(good_for + Duration::from_secs(1), 5);
    let shown = instance.shown(&session.id).await;
    assert_eq!(
        (&shown["status"], &shown["end_reason"]),
        (&json!("expired"), &json!("expired"))
    );
}

/// A user who calls the API uses their session, by whichever credential; one whose program
/// refreshes in the background doesn't, and neither does a service that looks.
#[tokio::test]
async fn a_users_own_calls_are_use_and_refreshing_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_set(dir.path(), &[SHORT[0], SHORT[2], SHORT[3]]);
    let begun = Instant::now();
    let mut by_token = instance.sign_in("alice").await;
    let by_cookie = instance.sign_in("bob").await;
    let mut refreshing = instance.sign_in("carol").await;
    let looked_at = instance.sign_in("dave").await;
    let call = async |n: usize, access: &str| {
        let paths = ["/sessions/current", "/sessions", "/devices"];
        let path = paths[n % paths.len()];
        let token = instance.user(access, Method::GET, path);
        assert_eq!(
            status(token).await,
            200,
            "{path} by the token after {:?}",
            begun.elapsed()
        );
        let cookie = format!("session={}", by_cookie.cookie);
        let request = instance.request(Method::GET, &format!("/api/v1{path}"));
        let request = request.header("Cookie", cookie);
        assert_eq!(status(request).await, 200, "{path} by the cookie");
    };
    let mut refreshed = 0;
    for n in 0.. {
        if begun.elapsed() > Duration::from_secs(4) {
            break;
        }
        // An access token doesn't outlive its session's idle allowance: a new one for each call.
        let response = instance.refresh(&by_token.refresh).await;
        by_token = SignedIn::from(&response.json().await.expect("JSON"));
        call(n, &by_token.access).await;
        let response = instance.refresh(&refreshing.refresh).await;
        if response.status().as_u16() == 200 {
            refreshed += 1;
            refreshing = SignedIn::from(&response.json().await.expect("JSON"));
        }
        instance.shown(&looked_at.id).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(refreshed >= 3, "{refreshed} times");
    for unused in [&refreshing, &looked_at] {
        let shown = instance.shown(&unused.id).await;
        assert_eq!(shown["end_reason"], "idle", "{}", shown["user_id"]);
        assert_eq!(instance.validate_cookie(&unused.cookie).await, 401);
    }
    let last = Instant::now();
    for used in [&by_token, &by_cookie] {
        let shown = instance.shown(&used.id).await;
        assert_eq!(shown["status"], "active", "{}", shown["user_id"]);
    }
    // Left alone they end as well, two seconds after the last call.
    let good_for = good_for(&instance, &by_token, last).await;
    assert!(good_for < Duration::from_secs(2) + SLACK, "{good_for:?}");
    assert_eq!(instance.shown(&by_token.id).await["end_reason"], "idle");
}
