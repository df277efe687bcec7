//! Every operation of the API document, refused without rights and carried out with them, by the
//! table in `support/operations.rs`.

use std::collections::BTreeMap;

use crate::support::api::answer;
use crate::support::operations::Callers::{Both, Deployment, Service, User};
use crate::support::operations::{
    EXCEPTIONS, Operation, SCOPES, operations, patient, service_key, table,
};
use crate::support::{Instance, SignedIn};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// What callers present, and whose.
struct Credentials {
    alice: SignedIn,
    bob: SignedIn,
    /// A session that is over.
    ended: SignedIn,
    /// A service key with every scope but one and the administrator's, by that scope.
    without: BTreeMap<&'static str, String>,
    /// An administrator of another tenant.
    tied: String,
}

impl Credentials {
    async fn new(instance: &Instance) -> Self {
        let mut without = BTreeMap::new();
        for scope in SCOPES {
            let others = SCOPES
                .iter()
                .filter(|one| **one != scope && **one != "sessions:admin");
            let others: Vec<&str> = others.copied().collect();
            without.insert(scope, service_key(instance, &others, None).await);
        }
        let ended = instance.sign_in("alice").await;
        assert_eq!(instance.end(&ended.id).await, 204);
        Self {
            alice: instance.sign_in("alice").await,
            bob: instance.sign_in("bob").await,
            ended,
            without,
            tied: service_key(instance, &["sessions:admin"], Some("acme")).await,
        }
    }
}

/// A request for the operation about what is Alice's, without a credential.
fn request(
    instance: &Instance,
    operation: &Operation,
    body: Option<&Value>,
    about: &str,
) -> RequestBuilder {
    let request = operation.request(instance, about);
    match body {
        Some(body) => request.json(body),
        None => request,
    }
}

async fn expect(request: RequestBuilder, status: u16, code: &str, what: &str) {
    let response = request.send().await.expect("an answer");
    let (found, kind) = (
        response.status().as_u16(),
        response.headers().get("content-type").cloned(),
    );
    let body = response.text().await.expect("a body");
    assert_eq!(found, status, "{what}: {body}");
    assert_eq!(kind.expect("a type"), "application/problem+json", "{what}");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["code"], code, "{what}");
}

/// One that answers each of many invalid credentials for what it is.
fn start(dir: &std::path::Path) -> Instance {
    Instance::start_with(dir, patient)
}

#[tokio::test]
async fn every_operation_says_who_may_call_it() {
    let dir = tempfile::tempdir().unwrap();
    let instance = start(dir.path());
    let table = table();
    for operation in operations(&instance).await {
        let expected: &[&str] = match table.get(operation.id.as_str()) {
            Some((User, _)) => &["accessToken", "sessionCookie"],
            Some((Service(_) | Deployment, _)) => &["serviceKey"],
            Some((Both(_), _)) => &["accessToken", "serviceKey", "sessionCookie"],
            None => &[],
        };
        assert_eq!(operation.security, expected, "{operation:?}");
    }
    assert!(
        EXCEPTIONS.iter().all(|(id, _)| !table.contains_key(id)),
        "one is an exception or in the table"
    );
}

#[tokio::test]
async fn every_operation_is_refused_without_rights() {
    let dir = tempfile::tempdir().unwrap();
    let instance = start(dir.path());
    let credentials = Credentials::new(&instance).await;
    let table = table();
    for operation in operations(&instance).await {
        let Some((callers, body)) = table.get(operation.id.as_str()) else {
            continue;
        };
        // Of nobody by this id, so that a mistake here changes nothing the next one relies on.
        let ask = || request(&instance, &operation, body.as_ref(), &credentials.bob.id);
        let what = |how: &str| format!("{} {}", operation.id, how);
        refuses_bad_credentials(&ask, &credentials, &what).await;
        let missing = |scope: &str| ask().bearer_auth(&credentials.without[scope]);
        match callers {
            User => {
                let service = ask().bearer_auth(&instance.service_key);
                expect(service, 403, "wrong_caller", &what("by a service")).await;
            }
            Service(scope) => {
                expect(
                    missing(scope),
                    403,
                    "insufficient_scope",
                    &what("without scope"),
                )
                .await;
                let user = ask().bearer_auth(&credentials.alice.access);
                expect(user, 403, "wrong_caller", &what("by a user")).await;
            }
            Both(scope) => {
                expect(
                    missing(scope),
                    403,
                    "insufficient_scope",
                    &what("without scope"),
                )
                .await;
                let stranger = ask().bearer_auth(&credentials.alice.access);
                expect(stranger, 404, "not_found", &what("about another's")).await;
                let tied = ask().bearer_auth(&credentials.tied);
                expect(tied, 404, "not_found", &what("from another tenant")).await;
            }
            Deployment => {
                let admin = "sessions:admin";
                expect(
                    missing(admin),
                    403,
                    "insufficient_scope",
                    &what("without scope"),
                )
                .await;
                let user = ask().bearer_auth(&credentials.alice.access);
                expect(user, 403, "wrong_caller", &what("by a user")).await;
                let tied = ask().bearer_auth(&credentials.tied);
                expect(tied, 403, "tenant_bound", &what("by a tenant's own")).await;
            }
        }
    }
    // None of all that changed anything.
    for session in [&credentials.alice, &credentials.bob] {
        assert_eq!(instance.validate(&session.access).await, 200);
    }
    let bob = instance.service(Method::GET, &format!("/sessions/{}", credentials.bob.id));
    assert_eq!(answer(bob, 200).await["version"], 1);
}

/// No credential, none that is one, none that is still one, and none of a kind for other places.
async fn refuses_bad_credentials(
    ask: &impl Fn() -> RequestBuilder,
    credentials: &Credentials,
    what: &impl Fn(&str) -> String,
) {
    expect(ask(), 401, "no_credential", &what("with nothing")).await;
    let basic = ask().basic_auth("admin", Some("admin"));
    expect(basic, 401, "no_credential", &what("with a password")).await;
    let unknown = format!("ssk_{}", "0".repeat(64));
    let alice = &credentials.alice;
    let refused = [
        ("nonsense", "x.y.z"),
        ("an unknown service key", &unknown),
        ("a cookie's token as a bearer", &alice.cookie),
        ("a refresh token", &alice.refresh),
        ("a session's id", &alice.id),
        ("an ended session's token", &credentials.ended.access),
    ];
    for (name, token) in refused {
        expect(ask().bearer_auth(token), 401, "invalid_token", &what(name)).await;
    }
    for token in [&alice.access, &alice.refresh, &credentials.ended.cookie] {
        let cookie = ask()
            .header("Cookie", format!("session={token}"))
            .header("Origin", "https://elsewhere.example");
        let response = cookie.send().await.expect("an answer");
        let status = response.status().as_u16();
        assert!(
            [401, 403].contains(&status),
            "{}: {status}",
            what("by a wrong cookie")
        );
    }
    let both = ask()
        .bearer_auth(&alice.access)
        .header("Cookie", format!("session={}", alice.cookie));
    expect(both, 400, "invalid_request", &what("with two credentials")).await;
}

#[tokio::test]
async fn every_operation_is_carried_out_with_rights() {
    let dir = tempfile::tempdir().unwrap();
    let instance = start(dir.path());
    let table = table();
    for operation in operations(&instance).await {
        let Some((callers, body)) = table.get(operation.id.as_str()) else {
            continue;
        };
        let alice = instance.sign_in("alice").await;
        let mut tokens = Vec::new();
        match callers {
            User => tokens.push(alice.access.clone()),
            Service(scope) => tokens.push(service_key(&instance, &[scope], None).await),
            Both(scope) => {
                tokens.push(service_key(&instance, &[scope], None).await);
                tokens.push(alice.access.clone());
            }
            Deployment => tokens.push(instance.service_key.clone()),
        }
        for token in tokens {
            let response = request(&instance, &operation, body.as_ref(), &alice.id)
                .bearer_auth(token)
                .send()
                .await
                .expect("an answer");
            let status = response.status().as_u16();
            let body = response.text().await.expect("a body");
            // Not refused; that there is no such device or key is another matter. A user who has
            // ended their session can't see it by it, which is the second of the two.
            let ended = operation.id == "endSession" || operation.id == "revokeSession";
            let fine = (200..300).contains(&status) || status == 404 || (ended && status == 401);
            assert!(fine, "{}: {status} {body}", operation.id);
        }
    }
}
