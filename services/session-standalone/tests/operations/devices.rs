//! A user's own devices over HTTP: seen, renamed, trusted, forgotten.

use crate::support::api::{answer, problem};
use crate::support::{Instance, SignedIn, login};
use reqwest::Method;
use serde_json::{Value, json};

/// Signs in on a device with this fingerprint.
async fn sign_in_on(instance: &Instance, user: &str, fingerprint: &str) -> SignedIn {
    let mut body = login(user);
    body["device_fingerprint"] = json!(fingerprint);
    let created: Value = instance.create(body).await.json().await.unwrap();
    SignedIn::from(&created)
}

#[tokio::test]
async fn devices_are_listed_renamed_and_trusted_by_their_own_user() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let laptop = sign_in_on(&instance, "alice", "laptop").await;
    sign_in_on(&instance, "alice", "laptop").await;
    let phone = sign_in_on(&instance, "alice", "phone").await;
    let bob = sign_in_on(&instance, "bob", "laptop").await;
    let get = |token: &str, path: &str| instance.user(token, Method::GET, path);

    let page = answer(get(&laptop.access, "/devices"), 200).await;
    let devices = page["devices"].as_array().unwrap().clone();
    assert_eq!(devices.len(), 2, "a device is known once: {page}");
    let current: Vec<_> = devices
        .iter()
        .map(|one| one["is_current"].as_bool().unwrap())
        .collect();
    assert_eq!(current, [false, true], "newest first");
    let id = devices[1]["id"].as_str().unwrap().to_owned();
    let session = format!("/sessions/{}", laptop.id);
    assert_eq!(
        answer(get(&laptop.access, &session), 200).await["device"]["id"],
        id.as_str()
    );
    let one = answer(get(&phone.access, "/devices?limit=1"), 200).await;
    let next = format!(
        "/devices?limit=1&cursor={}",
        one["next_cursor"].as_str().unwrap()
    );
    assert_eq!(
        answer(get(&phone.access, &next), 200).await["devices"][0]["id"],
        id.as_str()
    );

    let path = format!("/devices/{id}");
    let put = |token: &str, body: Value| instance.user(token, Method::PUT, &path).json(&body);
    let named = answer(
        put(&phone.access, json!({"name": "Work", "trusted": true})),
        200,
    )
    .await;
    assert_eq!(
        (&named["label"], &named["trusted"]),
        (&json!("Work"), &json!(true))
    );
    let unnamed = answer(put(&laptop.access, json!({"name": null})), 200).await;
    assert_eq!(
        (&unnamed["name"], &unnamed["trusted"]),
        (&Value::Null, &json!(true))
    );
    for wrong in [
        json!({}),
        json!({"name": ""}),
        json!({"trusted": "yes"}),
        json!({"id": "x"}),
    ] {
        assert_eq!(
            problem(put(&laptop.access, wrong), 400).await,
            "invalid_request"
        );
    }
    assert_eq!(
        problem(put(&bob.access, json!({"trusted": true})), 404).await,
        "not_found"
    );
    let forget = instance.user(&bob.access, Method::DELETE, &path);
    assert_eq!(problem(forget, 404).await, "not_found");
    assert_eq!(instance.validate(&laptop.access).await, 200);
}

#[tokio::test]
async fn forgetting_a_device_ends_the_sessions_on_it_before_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let phone = sign_in_on(&instance, "alice", "phone").await;
    for _ in 0..10 {
        let laptops = [
            sign_in_on(&instance, "alice", "laptop").await,
            sign_in_on(&instance, "alice", "laptop").await,
        ];
        let page = answer(
            instance.user(&laptops[0].access, Method::GET, "/devices"),
            200,
        )
        .await;
        let mut known = page["devices"].as_array().unwrap().iter();
        let current = known.rfind(|one| one["is_current"] == true).unwrap();
        let path = format!("/devices/{}", current["id"].as_str().unwrap());
        let forgotten = instance
            .user(&phone.access, Method::DELETE, &path)
            .send()
            .await
            .unwrap();
        for laptop in &laptops {
            assert_eq!(instance.validate(&laptop.access).await, 401);
            assert_eq!(instance.validate_cookie(&laptop.cookie).await, 401);
        }
        assert_eq!(forgotten.status().as_u16(), 204);
        assert!(forgotten.headers().contains_key("session-revocation-seq"));
        assert_eq!(instance.validate(&phone.access).await, 200);
        let left = answer(instance.user(&phone.access, Method::GET, "/devices"), 200).await;
        assert_eq!(left["devices"].as_array().unwrap().len(), 1);
        let again = instance.user(&phone.access, Method::DELETE, &path);
        assert_eq!(problem(again, 404).await, "not_found");
    }
}
