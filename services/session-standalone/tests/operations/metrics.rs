//! What whoever looks at the metrics sees of sessions that start, end and go on.

use std::time::Duration;

use crate::support::Instance;
use reqwest::Method;

/// The lines of the metric `name` that have all of `labels`, as their values.
fn values(metrics: &str, name: &str, labels: &[&str]) -> Vec<f64> {
    let lines = metrics.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse().ok());
    lines.filter_map(value).collect()
}

async fn metrics(instance: &Instance) -> String {
    let request = instance.http.get(format!("{}/metrics", instance.private));
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn requests_are_timed_by_operation_and_ends_by_their_wait() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let session = instance.sign_in("alice").await;
    assert_eq!(instance.validate(&session.access).await, 200);
    let end = instance.service(Method::DELETE, &format!("/sessions/{}", session.id));
    assert_eq!(end.send().await.unwrap().status(), 204);
    let nowhere = instance.request(Method::GET, "/nowhere/alice");
    assert_eq!(nowhere.send().await.unwrap().status(), 404);
    let odd = Method::from_bytes(b"BREW").unwrap();
    instance
        .request(odd, "/api/v1/sessions")
        .send()
        .await
        .unwrap();

    let text = metrics(&instance).await;
    let requests = "http_server_request_duration_seconds_count";
    let started = [
        "_method=\"POST\"",
        "_route=\"/api/v1/sessions\"",
        "=\"201\"",
    ];
    assert_eq!(values(&text, requests, &started), [1.0], "{text}");
    let ended = [
        "_method=\"DELETE\"",
        "_route=\"/api/v1/sessions/:",
        "=\"204\"",
    ];
    assert_eq!(values(&text, requests, &ended), [1.0], "{text}");
    assert_eq!(values(&text, requests, &["=\"_OTHER\""]), [1.0], "{text}");
    for told in ["alice", "nowhere", "BREW", session.id.as_str()] {
        assert!(!text.contains(told), "{told} is in {text}");
    }
    let confirmed = ["outcome=\"confirmed\""];
    let fences = values(&text, "session_fence_duration_seconds_count", &confirmed);
    assert!(matches!(fences[..], [count] if count >= 1.0), "{text}");
}

#[tokio::test]
async fn leases_and_their_lag_are_shown_and_what_the_reaper_has_done() {
    let dir = tempfile::tempdir().unwrap();
    let short = [
        ("session__absolute_lifetime", "1s"),
        ("reaper__tick", "50ms"),
    ];
    let instance = Instance::start_set(dir.path(), &short);
    instance.sign_in("alice").await;
    let mut text = String::new();
    let done = |text: &str| {
        let is = |name: &str, right: fn(f64) -> bool| match values(text, name, &[])[..] {
            [value] => right(value),
            _ => false,
        };
        is("session_reaper_expired_total", |expired| expired > 0.5)
            // The API's own and the validator's.
            && is("session_leases", |leases| leases > 1.5)
            // A key and an end.
            && is("session_log_head", |head| head >= 2.0)
            && is("session_validator_applied", |applied| applied >= 2.0)
            && values(text, "session_lease_lag", &[]).len() == 2
    };
    for _ in 0..200 {
        text = metrics(&instance).await;
        if done(&text) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(done(&text), "{text}");
    let gauge = |name: &str| match values(&text, name, &[])[..] {
        [value] => value,
        _ => panic!("one {name} in {text}"),
    };
    let left = gauge("session_validator_lease_left_seconds");
    assert!(left > 0.0 && left <= 5.0, "{text}");
    let lag = gauge("session_reaper_lag_seconds");
    assert!((0.0..5.0).contains(&lag), "{text}");
}
