//! What administrators do over HTTP: counts, cleaning up, keys, services, validators.

use std::time::Duration;

use crate::support::api::{answer, problem};
use crate::support::{Instance, SignedIn, login};
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[tokio::test]
async fn the_counts_follow_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let stats = |path: &str| answer(instance.service(Method::GET, path), 200);
    let none = stats("/sessions/stats").await;
    assert_eq!(
        (&none["active"], &none["by_tenant"]),
        (&json!(0), &json!({}))
    );
    let alice = instance.sign_in("alice").await;
    instance.sign_in("alice").await;
    let mut elsewhere = login("carol");
    elsewhere["tenant"] = json!("acme");
    assert_eq!(instance.create(elsewhere).await.status().as_u16(), 201);
    assert_eq!(instance.end(&alice.id).await, 204);
    let some = stats("/sessions/stats").await;
    let expected = json!({
        "active": 2, "created": 3, "ended": 1,
        "ended_by_reason": {"revoked_by_admin": 1},
        "by_country": {"unknown": 2},
        "by_device_kind": {"desktop": 2},
        "by_tenant": {"acme": 1, "default": 1},
    });
    assert_eq!(some, expected);
    let acme = stats("/sessions/stats?tenant=acme").await;
    assert_eq!((&acme["active"], &acme["created"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_cleanup_leaves_nothing_overdue() {
    let dir = tempfile::tempdir().unwrap();
    // The reaper stays out of the way.
    let instance = Instance::start_with(dir.path(), |command| {
        command.env("SESSION_REAPER__TICK", "1m");
    });
    let kept = instance.sign_in("alice").await;
    let mut due = Vec::new();
    for _ in 0..5 {
        let session = instance.sign_in("alice").await;
        let path = format!("/sessions/{}", session.id);
        let shown = answer(instance.service(Method::GET, &path), 200).await;
        let created = OffsetDateTime::parse(shown["created_at"].as_str().unwrap(), &Rfc3339);
        let soon = (created.unwrap() + Duration::from_secs(3))
            .format(&Rfc3339)
            .unwrap();
        let body = json!({"expires_at": soon});
        answer(instance.service(Method::PUT, &path).json(&body), 200).await;
        due.push(session);
    }
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let done = answer(instance.service(Method::POST, "/sessions/cleanup"), 200).await;
    assert_eq!(done["expired"], 5);
    for session in &due {
        assert_eq!(instance.validate_cookie(&session.cookie).await, 401);
    }
    assert_eq!(instance.validate_cookie(&kept.cookie).await, 200);
    let again = answer(instance.service(Method::POST, "/sessions/cleanup"), 200).await;
    assert_eq!(again["expired"], 0);
}

async fn keys(instance: &Instance) -> Vec<(String, String)> {
    let list = answer(instance.service(Method::GET, "/admin/keys"), 200).await;
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let keys = list["keys"].as_array().expect("a list").iter();
    keys.map(|key| (text(&key["kid"]), text(&key["state"])))
        .collect()
}

#[tokio::test]
async fn a_rotated_key_signs_at_once_and_a_retired_one_is_dead_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let old = instance.sign_in("alice").await;
    let first = keys(&instance).await[0].0.clone();
    let made = answer(instance.service(Method::POST, "/admin/keys"), 201).await;
    assert_eq!(made["state"], "active");
    let second = made["kid"].as_str().unwrap().to_owned();
    let states =
        |keys: Vec<(String, String)>| keys.into_iter().map(|(_, state)| state).collect::<Vec<_>>();
    assert_eq!(states(keys(&instance).await), ["previous", "active"]);
    let new = instance.sign_in("alice").await;
    for session in [&old, &new] {
        assert_eq!(instance.validate(&session.access).await, 200);
        assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
    }

    let retire = |kid: &str| instance.service(Method::POST, &format!("/admin/keys/{kid}/retire"));
    let retired = answer(retire(&first), 200).await;
    assert_eq!(instance.validate(&old.access).await, 401);
    assert_eq!(instance.validate_cookie(&old.cookie).await, 401);
    assert_eq!(instance.validate(&new.access).await, 200);
    assert_eq!(retired["successor"], Value::Null);
    assert_eq!(states(keys(&instance).await), ["retired", "active"]);
    // Its session isn't over: a refresh token, which no key signs, brings the holder new ones.
    let refreshed: Value = instance.refresh(&old.refresh).await.json().await.unwrap();
    let refreshed = SignedIn::from(&refreshed);
    assert_eq!(instance.validate(&refreshed.access).await, 200);

    // The one that signs: another is made first.
    let retired = answer(retire(&second), 200).await;
    assert_eq!(instance.validate(&new.access).await, 401);
    assert!(retired["successor"].is_string());
    assert_eq!(
        states(keys(&instance).await),
        ["retired", "retired", "active"]
    );
    assert_eq!(
        instance
            .validate(&instance.sign_in("bob").await.access)
            .await,
        200
    );
    answer(retire(&second), 200).await;
    assert_eq!(problem(retire("nobodys"), 404).await, "not_found");
    let jwks = instance.request(Method::GET, "/.well-known/jwks.json");
    let jwks = answer(jwks, 200).await;
    let third = retired["successor"].as_str().unwrap();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 1);
    assert_eq!(jwks["keys"][0]["kid"], third);
}

#[tokio::test]
async fn a_restart_goes_on_with_the_newest_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = Instance::start(dir.path());
    answer(instance.service(Method::POST, "/admin/keys"), 201).await;
    let before = keys(&instance).await;
    let session = instance.sign_in("alice").await;
    assert!(instance.terminate().success());
    drop(instance);
    let instance = Instance::start(dir.path());
    assert_eq!(keys(&instance).await, before);
    // Another address is another issuer, so only the session lives on, not its tokens.
    assert_eq!(
        instance.refresh(&session.refresh).await.status().as_u16(),
        200
    );
}

#[tokio::test]
async fn a_service_key_does_what_it_may_until_it_is_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let create = |body: Value| {
        instance
            .service(Method::POST, "/admin/service-keys")
            .json(&body)
    };
    let body = json!({"name": "login of acme", "tenant": "acme", "scopes": ["sessions:create", "sessions:create"]});
    let response = create(body).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 201);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let made: Value = response.json().await.unwrap();
    assert_eq!(made["service_key"]["scopes"], json!(["sessions:create"]));
    let (id, key) = (
        made["service_key"]["id"].as_str().unwrap(),
        made["key"].as_str().unwrap(),
    );
    let sign_in = |body: Value| instance.user(key, Method::POST, "/sessions").json(&body);

    let started = answer(sign_in(login("alice")), 201).await;
    assert_eq!(started["session"]["tenant"], "acme");
    let list = instance.user(key, Method::GET, "/sessions/user/alice");
    assert_eq!(problem(list, 403).await, "insufficient_scope");
    let mut elsewhere = login("alice");
    elsewhere["tenant"] = json!("default");
    assert_eq!(problem(sign_in(elsewhere), 404).await, "not_found");
    for wrong in [
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["sessions:everything"]}),
        json!({"name": "", "scopes": ["introspect"]}),
        json!({"name": "x", "scopes": ["introspect"], "tenant": "A"}),
    ] {
        assert_eq!(problem(create(wrong), 400).await, "invalid_request");
    }

    let listed = answer(instance.service(Method::GET, "/admin/service-keys"), 200).await;
    let shown = listed["service_keys"].as_array().unwrap().clone();
    assert_eq!(shown.len(), 2);
    assert!(!listed.to_string().contains("ssk_"));
    let own = shown.iter().find(|key| key["is_current"] == true).unwrap();
    let path = |id: &str| format!("/admin/service-keys/{id}");
    let own = instance.service(Method::DELETE, &path(own["id"].as_str().unwrap()));
    assert_eq!(problem(own, 409).await, "own_key");
    for _ in 0..2 {
        answer(instance.service(Method::DELETE, &path(id)), 204).await;
        assert_eq!(problem(sign_in(login("alice")), 401).await, "invalid_token");
    }
    let unknown = instance.service(
        Method::DELETE,
        &path("00000000-0000-0000-0000-000000000000"),
    );
    assert_eq!(problem(unknown, 404).await, "not_found");
}

#[tokio::test]
async fn validators_are_shown_with_how_far_they_have_come() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let session = instance.sign_in("alice").await;
    assert_eq!(instance.end(&session.id).await, 204);
    let caught_up = async {
        loop {
            let list = answer(instance.service(Method::GET, "/admin/validators"), 200).await;
            let validators = list["validators"].as_array().unwrap();
            assert_eq!(
                validators.len(),
                2,
                "the API's own lease, and the validator's"
            );
            assert!(!list.to_string().contains("secret"));
            if validators
                .iter()
                .all(|one| one["lag"] == 0 && one["applied"] == list["head"])
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), caught_up)
        .await
        .expect("they renew");
}
