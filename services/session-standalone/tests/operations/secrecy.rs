//! No issued token in logs, in the data folder, or in metrics.

use crate::support::{Instance, SignedIn, files, login};
use serde_json::{Value, json};

/// Every run of 24 bytes that must not turn up: whole tokens, and the secret part of each alone.
fn needles(session: &SignedIn) -> Vec<String> {
    let mut needles = vec![
        session.access.clone(),
        session.refresh.clone(),
        session.cookie.clone(),
    ];
    for token in [&session.access, &session.cookie] {
        needles.push(token.rsplit('.').next().unwrap().to_owned());
    }
    needles.push(session.refresh[session.refresh.len() - 40..].to_owned());
    needles
}

#[tokio::test]
async fn no_issued_token_is_in_logs_files_or_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = Instance::start_with(dir.path(), |command| {
        command.env("SESSION_LOG__LEVEL", "trace");
    });
    let mut issued = Vec::new();
    for user in ["alice", "bob"] {
        let mut body = login(user);
        body["device_fingerprint"] = json!("fingerprint-of-the-device-0123456789");
        let response = instance.create(body).await;
        let first = SignedIn::from(&response.json::<Value>().await.unwrap());
        let second = SignedIn::from(
            &instance
                .refresh(&first.refresh)
                .await
                .json::<Value>()
                .await
                .unwrap(),
        );
        for session in [&first, &second] {
            assert_eq!(instance.validate(&session.access).await, 200);
            assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
        }
        // Mistakes are where secrets get logged.
        for bad in [
            format!("{}x", first.access),
            first.refresh.clone(),
            first.cookie.clone(),
        ] {
            assert_eq!(instance.validate(&bad).await, 401);
            let path = format!("/api/v1/sessions/{}", first.id);
            let wrong = instance
                .request(reqwest::Method::GET, &path)
                .bearer_auth(&bad)
                .send()
                .await
                .unwrap();
            assert_eq!(wrong.status().as_u16(), 401);
        }
        let unknown = json!({ "refresh_token": first.refresh, "extra": first.access });
        let wrong = instance
            .request(reqwest::Method::POST, "/api/v1/sessions/refresh")
            .json(&unknown)
            .send()
            .await
            .unwrap();
        assert_eq!(wrong.status().as_u16(), 400);
        assert_eq!(instance.end(&second.id).await, 204);
        issued.extend([first, second]);
    }
    let metrics = instance
        .http
        .get(format!("{}/metrics", instance.private))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("session_validator_decisions"), "{metrics}");
    assert!(instance.terminate().success());

    let mut places: Vec<(String, Vec<u8>)> = vec![
        ("metrics".into(), metrics.into_bytes()),
        ("log".into(), instance.log().into_bytes()),
    ];
    assert!(places[1].1.len() > 1_000, "the log says something");
    for (path, bytes) in files(dir.path()) {
        if path.file_name().is_some_and(|name| name != "service-key") {
            places.push((path.display().to_string(), bytes));
        }
    }
    let mut needles: Vec<String> = issued.iter().flat_map(needles).collect();
    needles.push(instance.service_key.clone());
    needles.push("fingerprint-of-the-device-0123456789".into());
    for (place, bytes) in &places {
        for needle in &needles {
            let found = bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes());
            assert!(!found, "{place} holds {needle}");
        }
    }
}
