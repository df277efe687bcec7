//! What stands behind the middleware hears nothing from whoever isn't let through: the parts that
//! ship, without an authority, so that nobody is known. With one, they are tested where there is
//! one: `services/session-validator/tests/gateways/library.rs`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use poem::test::TestClient;
use poem::web::Data;
use poem::{EndpointExt, handler};
use session_bus::InProcessBus;
use session_client::{
    Claims, Config, Decision, Denial, Policies, Policy, Ports, SessionGuard, SessionLayer,
    Validator,
};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_token::{LifeMax, StrictVerifier};
use tower::{ServiceBuilder, ServiceExt, service_fn};

const ISSUER: &str = "https://s.example";

fn validator() -> Validator {
    let cors = Policy {
        preflight: true,
        ..Policy::new(ISSUER.into())
    };
    let policies = Policies::new(Policy::new(ISSUER.into())).with("cors", cors);
    let life_max = LifeMax {
        access: Duration::from_secs(600),
        session: Duration::from_secs(86_400),
    };
    let ports = Ports {
        bus: Arc::new(InProcessBus::new()),
        verifier: Arc::new(StrictVerifier::new(ISSUER.to_owned(), life_max)),
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer::new(SystemClock)),
        entropy: Arc::new(SystemEntropy),
    };
    let (validator, following) = Validator::new(Config::new(ISSUER), policies, ports);
    drop(following);
    validator
}

/// A JWS in form, of a key that nobody knows yet.
const UNKNOWN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImsiLCJ0eXAiOiJhdCtqd3QifQ.e30.AAAA";

#[tokio::test]
async fn a_validator_that_knows_nothing_says_so_and_never_yes() {
    let validator = validator();
    assert!(!validator.is_ready());
    let mut told = BTreeSet::new();
    for token in [UNKNOWN, "x.y.z", ""] {
        match validator.validate(token).await {
            Decision::Deny(denial) => told.insert(denial.code()),
            other => panic!("{other:?}"),
        };
    }
    assert!(
        told.is_subset(&BTreeSet::from(["invalid_token", "unavailable"])),
        "{told:?}"
    );
}

#[tokio::test]
async fn other_policies_are_in_force_at_once() {
    let validator = validator();
    let headers = http::HeaderMap::new();
    let question = session_client::Question {
        policy: "new",
        method: None,
        headers: &headers,
        within: None,
    };
    assert_eq!(
        validator.judge(&question).await,
        Decision::Deny(Denial::UnknownPolicy)
    );
    let policy = Policy::new(ISSUER.into());
    validator.set_policies(Policies::new(policy.clone()).with("new", policy));
    assert_eq!(
        validator.judge(&question).await,
        Decision::Deny(Denial::NoCredential)
    );
}

#[tokio::test]
async fn a_tower_service_is_reached_by_nobody_but_those_let_through() {
    let reached = Arc::new(AtomicBool::new(false));
    let inner = {
        let reached = Arc::clone(&reached);
        service_fn(move |request: Request<()>| {
            reached.store(true, Ordering::SeqCst);
            let known = request.extensions().get::<Claims>().is_some();
            async move {
                Ok::<Response<Full<Bytes>>, Infallible>(Response::new(known.to_string().into()))
            }
        })
    };
    let service = |policy| {
        let layer = SessionLayer::new(validator()).policy(policy);
        ServiceBuilder::new().layer(layer).service(inner.clone())
    };
    let response = service("default").oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["x-session-error"], "no_credential");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{") && !reached.load(Ordering::SeqCst));

    let preflight = Request::options("/")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT");
    let response = service("cors")
        .oneshot(preflight.body(()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"false", "as nobody");
}

#[handler]
fn greet(Data(claims): Data<&Claims>) -> String {
    claims.subject.as_str().to_owned()
}

#[tokio::test]
async fn a_poem_endpoint_is_reached_by_nobody_but_those_let_through() {
    let client = TestClient::new(greet.with(SessionGuard::new(validator())));
    let answer = client.get("/").send().await;
    answer.assert_status(StatusCode::UNAUTHORIZED);
    answer.assert_header("x-session-error", "no_credential");
    answer.assert_header("www-authenticate", r#"Bearer realm="session""#);
    answer.assert_content_type("application/problem+json");
}
