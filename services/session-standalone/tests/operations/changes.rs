//! Changing sessions over HTTP: extend, update, step up.

use crate::support::api::{answer, problem};
use crate::support::{Instance, SignedIn, login};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

fn time(session: &Value, field: &str) -> time::OffsetDateTime {
    let text = session[field].as_str().expect("a time");
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
        .expect("RFC 3339")
}

#[tokio::test]
async fn a_session_is_extended_up_to_its_absolute_end() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let alice = instance.sign_in("alice").await;
    let path = format!("/sessions/{}/extend", alice.id);
    let extend = |body: Value| {
        instance
            .user(&alice.access, Method::POST, &path)
            .json(&body)
    };

    let before = answer(
        instance.service(Method::GET, &format!("/sessions/{}", alice.id)),
        200,
    )
    .await;
    let once = answer(extend(json!({})), 200).await;
    let by = time(&once, "expires_at") - time(&before, "expires_at");
    assert_eq!(by.whole_seconds(), 3_600);
    assert_eq!(once["version"].as_u64(), Some(2));
    let service = instance.service(Method::POST, &path);
    let twice = answer(service.json(&json!({"additional_seconds": 300})), 200).await;
    assert_eq!(
        (time(&twice, "expires_at") - time(&once, "expires_at")).whole_seconds(),
        300
    );

    for wrong in [
        json!({"additional_seconds": 299}),
        json!({"additional_seconds": 86_401}),
        json!({"additional_seconds": "600"}),
        json!({"seconds": 600}),
    ] {
        assert_eq!(problem(extend(wrong), 400).await, "invalid_request");
    }
    // Not far enough from the absolute end for all of it: as far as it goes, then no further.
    let mut body = login("alice");
    body["expires_in_seconds"] = json!(2_592_000 - 60);
    let long: Value = instance.create(body).await.json().await.unwrap();
    let long_path = format!(
        "/sessions/{}/extend",
        long["session"]["id"].as_str().unwrap()
    );
    let more = || instance.service(Method::POST, &long_path).json(&json!({}));
    let clamped = answer(more(), 200).await;
    assert_eq!(clamped["expires_at"], clamped["absolute_expires_at"]);
    assert_eq!(problem(more(), 409).await, "absolute_end_reached");

    let bob = instance.sign_in("bob").await;
    let theirs = instance
        .user(&bob.access, Method::POST, &path)
        .json(&json!({}));
    assert_eq!(problem(theirs, 404).await, "not_found");
    assert_eq!(instance.end(&alice.id).await, 204);
    let over = instance.service(Method::POST, &path).json(&json!({}));
    assert_eq!(problem(over, 409).await, "session_ended");
}

#[tokio::test]
async fn an_update_is_made_for_a_version_and_one_of_many_wins() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let alice = instance.sign_in("alice").await;
    let path = format!("/sessions/{}", alice.id);
    let put = |body: Value| instance.user(&alice.access, Method::PUT, &path).json(&body);

    let shown = instance
        .user(&alice.access, Method::GET, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(shown.headers()["etag"], "\"1\"");
    let named = put(json!({"device_name": "Work", "metadata": {"a": [1, null]}}));
    let named = named.header("If-Match", "\"1\"").send().await.unwrap();
    assert_eq!(named.headers()["etag"], "\"2\"");
    let named: Value = named.json().await.unwrap();
    assert_eq!(
        (&named["device"]["label"], &named["metadata"]["a"][0]),
        (&json!("Work"), &json!(1))
    );

    let stale = put(json!({"device_name": "Home", "version": 1}));
    assert_eq!(problem(stale, 409).await, "version_conflict");
    let torn = put(json!({"device_name": "Home", "version": 2})).header("If-Match", "\"1\"");
    assert_eq!(problem(torn, 400).await, "invalid_request");
    for wrong in [
        json!({}),
        json!({"user_id": "eve"}),
        json!({"device_name": ""}),
        json!({"metadata": []}),
        json!({"metadata": {"a": "x".repeat(5_000)}}),
        json!({"expires_at": "2001-01-01T00:00:00Z"}),
        json!({"expires_at": "2999-01-01T00:00:00Z"}),
        json!({"expires_at": 1}),
    ] {
        assert_eq!(
            problem(put(wrong.clone()), 400).await,
            "invalid_request",
            "{wrong}"
        );
    }

    let races = (0..30)
        .map(|number| put(json!({"device_name": format!("name {number}"), "version": 2})).send());
    let mut won = Vec::new();
    for response in join_all(races).await {
        let response = response.unwrap();
        match response.status().as_u16() {
            200 => won.push(response.json::<Value>().await.unwrap()),
            status => assert_eq!(status, 409),
        }
    }
    assert_eq!(won.len(), 1);
    let kept = answer(instance.user(&alice.access, Method::GET, &path), 200).await;
    assert_eq!(kept["device"]["name"], won[0]["device"]["name"]);
    assert_eq!(kept["version"], 3);

    let earlier = (time(&kept, "expires_at") - time::Duration::minutes(30))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let moved = answer(
        put(json!({"expires_at": earlier, "device_name": null})),
        200,
    )
    .await;
    assert_eq!(
        time(&kept, "expires_at") - time(&moved, "expires_at"),
        time::Duration::minutes(30)
    );
    assert_eq!(
        (&moved["device"]["name"], &moved["metadata"]),
        (&Value::Null, &kept["metadata"])
    );
    let bob = instance.sign_in("bob").await;
    let theirs = instance
        .user(&bob.access, Method::PUT, &path)
        .json(&json!({"device_name": "x"}));
    assert_eq!(problem(theirs, 404).await, "not_found");
}

#[tokio::test]
async fn a_step_up_leaves_no_earlier_credential_alive() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let first = instance.sign_in("alice").await;
    let path = format!("/sessions/{}/step-up", first.id);
    let step_up = |body: Value| instance.service(Method::POST, &path).json(&body);

    let mut current = first.clone();
    for round in 0..10 {
        let body = json!({"acr": format!("aal{round}"), "amr": ["pwd", "otp"]});
        let response = step_up(body).send().await.unwrap();
        // Asked at once: the answer has waited for every validator.
        assert_eq!(instance.validate(&current.access).await, 401);
        assert_eq!(instance.validate_cookie(&current.cookie).await, 401);
        assert_eq!(response.status().as_u16(), 200);
        assert!(response.headers().contains_key("session-revocation-seq"));
        assert_eq!(response.headers()["cache-control"], "no-store");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["session"]["acr"], format!("aal{round}"));
        assert_eq!(body["session"]["id"], first.id.as_str());
        let earlier = std::mem::replace(&mut current, SignedIn::from(&body));
        // Refused, within the grace of a rotation too; and no theft is seen in it.
        assert_eq!(
            instance.refresh(&earlier.refresh).await.status().as_u16(),
            401
        );
        assert_eq!(instance.validate(&current.access).await, 200);
        assert_eq!(instance.validate_cookie(&current.cookie).await, 200);
        let own = instance.user(&current.access, Method::GET, "/sessions/current");
        assert_eq!(answer(own, 200).await["amr"], json!(["pwd", "otp"]));
        assert_eq!(
            problem(
                instance.user(&earlier.access, Method::GET, "/sessions/current"),
                401
            )
            .await,
            "invalid_token"
        );
    }
    let refreshed: Value = instance
        .refresh(&current.refresh)
        .await
        .json()
        .await
        .unwrap();
    let refreshed = SignedIn::from(&refreshed);
    assert_eq!(instance.validate(&refreshed.access).await, 200);

    for wrong in [
        json!({}),
        json!({"amr": []}),
        json!({"amr": ["é"]}),
        json!({"amr": ["otp"], "auth_time": 99_999_999_999_u64}),
    ] {
        assert_eq!(problem(step_up(wrong), 400).await, "invalid_request");
    }
    let by_user = instance
        .user(&refreshed.access, Method::POST, &path)
        .json(&json!({"amr": ["otp"]}));
    assert_eq!(problem(by_user, 403).await, "wrong_caller");
    assert_eq!(instance.end(&first.id).await, 204);
    assert_eq!(
        problem(step_up(json!({"amr": ["otp"]})), 409).await,
        "session_ended"
    );
    assert_eq!(instance.validate(&refreshed.access).await, 401);
}
