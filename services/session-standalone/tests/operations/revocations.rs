//! Many sessions at once: what a filter means is dead everywhere when the answer is there, and
//! nothing else is.

use std::process::Command;
use std::time::Duration;

use crate::support::api::{answer, problem};
use crate::support::{Instance, SignedIn, login};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The same whatever the port, so that tokens are good after a restart.
const ISSUER: &str = "http://localhost:8080";

/// The reaper stays out of the way: what floors have ended is not in the rows.
fn unreaped(command: &mut Command) {
    command.env("SESSION_ISSUER", ISSUER);
    command.env("SESSION_REAPER__TICK", "1m");
}

/// It is there at once.
fn reaped(command: &mut Command) {
    command.env("SESSION_ISSUER", ISSUER);
    command.env("SESSION_REAPER__TICK", "10ms");
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers write it where they pass it"
)]
fn revoke(instance: &Instance, body: Value) -> RequestBuilder {
    let request = instance.service(Method::POST, "/admin/revocations");
    request.json(&body)
}

async fn sign_in(instance: &Instance, user: &str, with: Value) -> SignedIn {
    let mut body = login(user);
    for (name, value) in with.as_object().unwrap() {
        body[name] = value.clone();
    }
    let response = instance.create(body).await;
    assert_eq!(response.status().as_u16(), 201);
    SignedIn::from(&response.json::<Value>().await.unwrap())
}

async fn shown(instance: &Instance, tenant: &str, session: &SignedIn) -> Value {
    let path = format!("/sessions/{}?tenant={tenant}", session.id);
    answer(instance.service(Method::GET, &path), 200).await
}

async fn listed(instance: &Instance, tenant: &str, user: &str, status: &str) -> Vec<String> {
    let path = format!("/sessions/user/{user}?tenant={tenant}&status={status}");
    let page = answer(instance.service(Method::GET, &path), 200).await;
    let ids = page["sessions"].as_array().unwrap().iter();
    ids.map(|session| session["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn stats(instance: &Instance) -> Value {
    answer(instance.service(Method::GET, "/sessions/stats"), 200).await
}

/// Waits until a revocation is finished, as its caller does.
async fn finished(instance: &Instance, id: &str) -> Value {
    let path = format!("/admin/revocations/{id}");
    for _ in 0..3_000 {
        let now = answer(instance.service(Method::GET, &path), 200).await;
        if now["state"] == "finished" {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come to an end");
}

async fn is_dead(instance: &Instance, session: &SignedIn) -> bool {
    let bearer = instance.validate(&session.access).await;
    let cookie = instance.validate_cookie(&session.cookie).await;
    assert_eq!(bearer, cookie, "both or none");
    bearer != 200
}

#[tokio::test]
async fn a_tenants_sessions_are_dead_at_once_and_the_rows_follow() {
    let dir = tempfile::tempdir().unwrap();
    let acme = json!({"tenant": "acme"});
    let mut instance = Instance::start_with(dir.path(), unreaped);
    let (mut doomed, mut spared) = (Vec::new(), Vec::new());
    for user in ["alice", "alice", "bob"] {
        doomed.push(sign_in(&instance, user, acme.clone()).await);
        spared.push(instance.sign_in(user).await);
    }
    let ended = revoke(&instance, json!({"tenant": "acme", "reason": "leak"}));
    let ended = ended.send().await.unwrap();
    assert!(ended.headers().contains_key("session-revocation-seq"));
    assert_eq!(ended.status().as_u16(), 200);
    let ended: Value = ended.json().await.unwrap();
    assert_eq!(
        (&ended["state"], &ended["matching"], &ended["ended"]),
        (&json!("in_force"), &json!(3), &json!(0))
    );
    for session in &doomed {
        assert!(is_dead(&instance, session).await);
        assert_eq!(
            instance.refresh(&session.refresh).await.status().as_u16(),
            401
        );
    }
    let later = sign_in(&instance, "alice", acme.clone()).await;
    let before = stats(&instance).await;
    assert_eq!(
        (&before["active"], &before["by_tenant"]["acme"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(before["ended_by_reason"], json!({"revoked_by_admin": 3}));

    let id = ended["id"].as_str().unwrap().to_owned();
    for written in [false, true] {
        if written {
            // Whoever began it is no more; another process writes it down.
            instance.kill();
            instance = Instance::start_with(dir.path(), reaped);
            let done = finished(&instance, &id).await;
            assert_eq!(
                (&done["ended"], &done["reason"]),
                (&json!(3), &json!("leak"))
            );
        }
        for session in &doomed {
            assert!(is_dead(&instance, session).await);
            let shown = shown(&instance, "acme", session).await;
            assert_eq!(
                (&shown["status"], &shown["end_reason"], &shown["ended_at"]),
                (
                    &json!("revoked"),
                    &json!("revoked_by_admin"),
                    &ended["created_at"]
                )
            );
        }
        for session in spared.iter().chain([&later]) {
            assert!(!is_dead(&instance, session).await);
        }
        let newest = vec![doomed[1].id.clone(), doomed[0].id.clone()];
        assert_eq!(listed(&instance, "acme", "alice", "revoked").await, newest);
        let active = listed(&instance, "acme", "alice", "active").await;
        assert_eq!(active, [later.id.as_str()]);
        assert_eq!(stats(&instance).await, before, "written: {written}");
    }
    // Each is told of by itself now, and ending it again is no news.
    for session in &doomed {
        let path = format!("/sessions/{}?tenant=acme", session.id);
        answer(instance.service(Method::DELETE, &path), 204).await;
    }
    assert_eq!(stats(&instance).await, before);
}

#[tokio::test]
async fn below_a_floor_nothing_can_be_done() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), |command| {
        unreaped(command);
        command.env("SESSION_SESSION__MAX_PER_USER", "1");
        command.env("SESSION_SESSION__EVICTION", "reject");
    });
    let session = instance.sign_in("alice").await;
    answer(revoke(&instance, json!({"everything": true})), 200).await;
    let path = |operation: &str| format!("/sessions/{}{operation}", session.id);
    for (method, operation, body) in [
        (Method::POST, "/extend", json!({})),
        (Method::POST, "/step-up", json!({"amr": ["otp"]})),
        (Method::PUT, "", json!({"device_name": "x"})),
    ] {
        let request = instance.service(method, &path(operation)).json(&body);
        assert_eq!(problem(request, 409).await, "session_ended", "{operation}");
    }
    answer(instance.service(Method::DELETE, &path("")), 204).await;
    assert!(is_dead(&instance, &session).await);
    // A second one, over what has started since.
    let second = instance.sign_in("alice").await;
    assert!(!is_dead(&instance, &second).await);
    let again = answer(revoke(&instance, json!({"tenant": "default"})), 200).await;
    assert_eq!(again["matching"], 1);
    assert!(is_dead(&instance, &second).await);
    let third = instance.sign_in("alice").await;
    assert!(!is_dead(&instance, &third).await);
    let now = stats(&instance).await;
    assert_eq!(
        (&now["active"], &now["created"], &now["ended"]),
        (&json!(1), &json!(3), &json!(2))
    );
}

#[tokio::test]
async fn each_condition_means_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), unreaped);
    let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
    let kinds = [
        (json!({"user_id": "u0"}), "u0", json!({})),
        (
            json!({"ip_cidr": "198.51.100.0/24"}),
            "u",
            json!({"ip_address": "198.51.100.7"}),
        ),
        (
            json!({"ip_cidr": "::ffff:203.0.113.0/120"}),
            "u",
            json!({"ip_address": "203.0.113.7"}),
        ),
        (
            json!({"ip_cidr": "2001:db8::7"}),
            "u",
            json!({"ip_address": "2001:db8::7"}),
        ),
        (
            json!({"auth_method": "hwk"}),
            "u",
            json!({"amr": ["pwd", "hwk"]}),
        ),
        (
            json!({"device_kind": "mobile"}),
            "u",
            json!({"user_agent": phone}),
        ),
        (
            json!({"tenant": "acme", "user_id": "u"}),
            "u",
            json!({"tenant": "acme"}),
        ),
    ];
    let other = instance.sign_in("other").await;
    let elsewhere = sign_in(&instance, "u0", json!({"tenant": "acme"})).await;
    let mut meant = Vec::new();
    for (_, user, with) in &kinds {
        meant.push(sign_in(&instance, user, with.clone()).await);
    }
    for (nth, (filter, _, _)) in kinds.iter().enumerate() {
        let mut dry = filter.clone();
        dry["dry_run"] = json!(true);
        let preview = answer(revoke(&instance, dry), 200).await;
        assert_eq!(
            (&preview["state"], &preview["matching"]),
            (&json!("dry_run"), &json!(1))
        );
        assert_eq!(preview["sample"][0]["id"], meant[nth].id, "{filter}");
        assert!(
            !is_dead(&instance, &meant[nth]).await,
            "a dry run ends nothing: {filter}"
        );
        let done = answer(revoke(&instance, filter.clone()), 200).await;
        assert_eq!(
            (&done["state"], &done["ended"]),
            (&json!("finished"), &json!(1)),
            "{filter}"
        );
        for (at, session) in meant.iter().enumerate() {
            assert_eq!(is_dead(&instance, session).await, at <= nth, "{filter}");
        }
    }
    for session in [&other, &elsewhere] {
        assert!(!is_dead(&instance, session).await);
    }
    // By country and by time, which are the same for all that are left.
    let none = answer(revoke(&instance, json!({"country": "SE"})), 200).await;
    assert_eq!(
        (&none["state"], &none["ended"]),
        (&json!("finished"), &json!(0))
    );
    let started = shown(&instance, "acme", &elsewhere).await["created_at"].clone();
    let earlier = json!({"created_before": started});
    let done = answer(revoke(&instance, earlier), 200).await;
    assert_eq!(done["ended"], 1);
    assert!(is_dead(&instance, &other).await && !is_dead(&instance, &elsewhere).await);
}

#[tokio::test]
async fn a_dry_run_counts_all_and_shows_a_few() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), unreaped);
    for nth in 0..12 {
        instance.sign_in(&format!("u{nth}")).await;
    }
    for filter in [
        json!({"ip_cidr": "192.0.2.0/24", "dry_run": true}),
        json!({"tenant": "default", "dry_run": true}),
        json!({"everything": true, "dry_run": true}),
    ] {
        let preview = answer(revoke(&instance, filter), 200).await;
        assert_eq!(
            (&preview["matching"], &preview["id"]),
            (&json!(12), &Value::Null)
        );
        assert_eq!(preview["matching_at_least"], false);
        assert_eq!(preview["sample"].as_array().unwrap().len(), 10);
    }
    assert_eq!(stats(&instance).await["active"], 12);
}

#[tokio::test]
async fn a_long_one_goes_on_when_its_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut instance = Instance::start_with(dir.path(), unreaped);
    let mut doomed = Vec::new();
    for nth in 0..40 {
        doomed.push(instance.sign_in(&format!("u{nth}")).await);
    }
    let body = json!({"ip_cidr": "192.0.2.0/24"});
    let request = revoke(&instance, body).header("Prefer", "respond-async");
    let begun = request.send().await.unwrap();
    assert_eq!(begun.status().as_u16(), 202);
    let header = |name: &str| begun.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("preference-applied"), "respond-async");
    let place = header("location");
    let now: Value = answer(
        instance
            .request(Method::GET, &place)
            .bearer_auth(&instance.service_key),
        200,
    )
    .await;
    assert_eq!(
        (&now["state"], &now["ended"]),
        (&json!("running"), &json!(0))
    );
    instance.kill();
    instance = Instance::start_with(dir.path(), reaped);
    let id = place.rsplit('/').next().unwrap();
    let done = finished(&instance, id).await;
    assert_eq!(done["ended"], 40);
    for session in &doomed {
        assert!(is_dead(&instance, session).await);
    }
    let late = instance.sign_in("u1").await;
    assert!(!is_dead(&instance, &late).await);
}

#[tokio::test]
async fn what_is_not_meant_clearly_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), unreaped);
    let session = instance.sign_in("alice").await;
    for (body, field) in [
        (json!({}), "."),
        (json!({"everything": false}), "."),
        (json!({"reason": "x"}), "."),
        (json!({"dry_run": true}), "."),
        (json!({"everything": true, "country": "SE"}), "everything"),
        (json!({"ip_cidr": "192.0.2.0/33"}), "ip_cidr"),
        (json!({"ip_cidr": "192.0.2.1/24"}), "ip_cidr"),
        (json!({"ip_cidr": "everywhere"}), "ip_cidr"),
        (json!({"tenant": "No Tenant"}), "tenant"),
        (json!({"device_kind": "toaster"}), "device_kind"),
        (json!({"created_before": "yesterday"}), "created_before"),
        (json!({"country": "Sweden"}), "country"),
        (json!({"everything": "yes"}), "everything"),
        (json!({"users": ["alice"]}), "users"),
    ] {
        let refused = answer(revoke(&instance, body.clone()), 400).await;
        assert_eq!(refused["errors"][0]["field"], field, "{body}: {refused}");
    }
    let unknown = "/admin/revocations/0191d3c4-5b6e-7f80-8123-456789abcdef";
    assert_eq!(
        problem(instance.service(Method::GET, unknown), 404).await,
        "not_found"
    );
    assert!(!is_dead(&instance, &session).await);
}

#[tokio::test]
async fn a_key_tied_to_a_tenant_ends_nothing_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), unreaped);
    let key = json!({"name": "acme", "tenant": "acme", "scopes": ["sessions:admin"]});
    let made = instance
        .service(Method::POST, "/admin/service-keys")
        .json(&key);
    let made = answer(made, 201).await;
    let tied = |method, path: &str| {
        let request = instance.request(method, &format!("/api/v1/admin/revocations{path}"));
        request.bearer_auth(made["key"].as_str().unwrap())
    };
    let own = sign_in(&instance, "alice", json!({"tenant": "acme"})).await;
    let other = instance.sign_in("alice").await;
    for body in [json!({"everything": true}), json!({"tenant": "default"})] {
        let request = tied(Method::POST, "").json(&body);
        assert_eq!(problem(request, 403).await, "tenant_bound", "{body}");
    }
    // Nothing said is nothing meant, not the tenant.
    answer(tied(Method::POST, "").json(&json!({})), 400).await;
    assert!(!is_dead(&instance, &own).await);
    let body = json!({"ip_cidr": "192.0.2.0/24"});
    let done = answer(tied(Method::POST, "").json(&body), 200).await;
    assert_eq!(
        (&done["ended"], &done["tenant"]),
        (&json!(1), &json!("acme"))
    );
    assert!(is_dead(&instance, &own).await && !is_dead(&instance, &other).await);
    // It sees its own, and no other.
    let mine = format!("/{}", done["id"].as_str().unwrap());
    answer(tied(Method::GET, &mine), 200).await;
    let all = answer(revoke(&instance, json!({"country": "SE"})), 200).await;
    let others = format!("/{}", all["id"].as_str().unwrap());
    assert_eq!(problem(tied(Method::GET, &others), 404).await, "not_found");
}
