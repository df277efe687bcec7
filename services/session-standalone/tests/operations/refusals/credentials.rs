//! Who is refused for what they present, or for not presenting it. That nobody gets in with a good
//! credential of the wrong kind, scope or tenant is in `authorisation.rs`.

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::refusal::{names, refused};
use super::world::{World, body};
use crate::support::api::{answer, with_query};
use crate::support::operations::{Operation, patient};
use crate::support::{Instance, SignedIn, login};

/// The operations that ask who calls.
fn guarded(world: &World) -> impl Iterator<Item = &Operation> {
    let all = world.operations.iter();
    all.filter(|operation| !operation.security.is_empty())
}

fn takes(operation: &Operation, scheme: &str) -> bool {
    operation.security.iter().any(|one| one == scheme)
}

/// A request without a credential, otherwise fine.
fn bare(world: &World, operation: &Operation) -> RequestBuilder {
    let request = operation.request(&world.instance, world.about(operation));
    match body(operation) {
        Some(body) => request.json(&body),
        None => request,
    }
}

#[tokio::test]
async fn whoever_presents_nothing_readable_is_asked_for_a_credential() {
    let world = World::new().await;
    let before = world.state().await;
    for operation in guarded(&world) {
        let id = &operation.id;
        refused(bare(&world, operation), 401, "no_credential", id).await;
        for other in ["Basic YTpi", "Digest x", "x", "", "Bearerx"] {
            let request = bare(&world, operation).header(AUTHORIZATION, other);
            refused(request, 401, "no_credential", &format!("{id} {other}")).await;
        }
        let access = &world.alice[0].access;
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "Bearer x",
            "Bearer ssk_",
            "Bearer null",
            &format!("Bearer {access}x"),
            &format!("Bearer {} ", &access[..access.len() - 2]),
            &format!("Bearer {access} {access}"),
            &format!("Bearer \"{access}\""),
            &format!("Bearer {}", "a".repeat(20_000)),
        ] {
            let request = bare(&world, operation).header(AUTHORIZATION, bad);
            let what = format!("{id} {}", &bad[..bad.len().min(30)]);
            refused(request, 401, "invalid_token", &what).await;
        }
        let unreadable = HeaderValue::from_bytes(b"Bearer \xff").unwrap();
        let request = bare(&world, operation).header(AUTHORIZATION, unreadable);
        refused(request, 401, "invalid_token", id).await;
    }
    world.is_as(&before).await;
}

#[tokio::test]
async fn one_request_is_made_with_one_credential_and_none_in_its_address() {
    let world = World::new().await;
    let before = world.state().await;
    let alice = &world.alice[0];
    for operation in guarded(&world) {
        let id = &operation.id;
        let token = world.entitled(operation).expect("a credential");
        let twice = bare(&world, operation)
            .bearer_auth(token)
            .bearer_auth(token);
        refused(twice, 400, "invalid_request", id).await;
        let cookie = format!("session={}", alice.cookie);
        let both = bare(&world, operation)
            .bearer_auth(token)
            .header("Cookie", &cookie)
            .header("Origin", &world.instance.api);
        refused(both, 400, "invalid_request", id).await;
        let cookies = bare(&world, operation)
            .header("Cookie", format!("{cookie}; {cookie}"))
            .header("Origin", &world.instance.api);
        refused(cookies, 400, "invalid_request", id).await;
        for name in ["access_token", "token", "session", "key"] {
            let request = with_query(bare(&world, operation), &[(name, token)]);
            names(request, name, &format!("{id} by ?{name}=")).await;
        }
    }
    world.is_as(&before).await;
}

#[tokio::test]
async fn what_was_good_once_or_is_good_elsewhere_is_not_good_here() {
    let world = World::new().await;
    let ended = world.instance.sign_in("bob").await;
    assert_eq!(world.instance.end(&ended.id).await, 204);
    let mut elsewhere = login("bob");
    elsewhere["audience"] = json!(["https://elsewhere.example"]);
    let elsewhere = world.instance.create(elsewhere).await;
    let elsewhere = SignedIn::from(&elsewhere.json().await.expect("JSON"));
    let dir = tempfile::tempdir().unwrap();
    let other = Instance::start_with(dir.path(), |_| {});
    let foreign = other.sign_in("alice").await;
    let before = world.state().await;
    for operation in guarded(&world) {
        for (what, token) in [
            ("an ended session's", &ended.access),
            ("another audience's", &elsewhere.access),
            ("another deployment's", &foreign.access),
            ("another deployment's key", &other.service_key),
        ] {
            let request = bare(&world, operation).bearer_auth(token);
            refused(
                request,
                401,
                "invalid_token",
                &format!("{} {what}", operation.id),
            )
            .await;
        }
        for (what, token) in [
            ("an ended session's", &ended.cookie),
            ("another deployment's", &foreign.cookie),
        ] {
            let request = bare(&world, operation)
                .header("Cookie", format!("session={token}"))
                .header("Origin", &world.instance.api);
            let what = format!("{} {what} cookie", operation.id);
            refused(request, 401, "invalid_token", &what).await;
        }
    }
    world.is_as(&before).await;
}

/// Nobody ends the sessions here: the tokens' own `exp` is what they are refused for.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test watches what others do, in their time"
)]
async fn an_expired_token_is_refused_by_every_operation() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start_with(dir.path(), |command| {
        patient(command);
        command
            .env("SESSION_SESSION__ABSOLUTE_LIFETIME", "1s")
            .env("SESSION_REAPER__TICK", "1m");
    });
    let session = instance.sign_in("alice").await;
    let started = Instant::now();
    let current = || instance.user(&session.access, Method::GET, "/sessions/current");
    while current().send().await.unwrap().status() != 401 {
        assert!(started.elapsed() < Duration::from_secs(5), "it expires");
    }
    let world = World::new().await;
    for operation in guarded(&world) {
        let request = || {
            let request = operation.request(&instance, &session.id);
            match body(operation) {
                Some(body) => request.json(&body),
                None => request,
            }
        };
        let bearer = request().bearer_auth(&session.access);
        refused(bearer, 401, "invalid_token", &operation.id).await;
        let cookie = request()
            .header("Cookie", format!("session={}", session.cookie))
            .header("Origin", &instance.api);
        refused(cookie, 401, "invalid_token", &operation.id).await;
    }
    let shown = instance.service(Method::GET, &format!("/sessions/{}", session.id));
    let shown = answer(shown, 200).await;
    assert_eq!(
        (&shown["end_reason"], &shown["version"]),
        (&json!(null), &json!(1))
    );
}

#[tokio::test]
async fn the_cookie_changes_nothing_for_a_page_of_another_origin() {
    let world = World::new().await;
    let before = world.state().await;
    let unsafe_ones = guarded(&world)
        .filter(|operation| operation.method != Method::GET && takes(operation, "sessionCookie"));
    let mut count = 0;
    for operation in unsafe_ones {
        count += 1;
        let id = &operation.id;
        let request = || {
            let cookie = format!("session={}", world.alice[0].cookie);
            bare(&world, operation).header("Cookie", cookie)
        };
        refused(request(), 403, "missing_origin", id).await;
        let own = &world.instance.api;
        for origin in [
            "https://evil.example",
            "null",
            "",
            &format!("{own}/"),
            &format!("{own}.evil.example"),
            &own.replace("http:", "https:"),
            &own.to_uppercase(),
        ] {
            let request = request().header("Origin", origin);
            refused(request, 403, "foreign_origin", &format!("{id} {origin}")).await;
        }
        let two = request().header("Origin", own).header("Origin", own);
        refused(two, 403, "foreign_origin", id).await;
    }
    assert!(count >= 8, "only {count} operations take the cookie");
    world.is_as(&before).await;
}
