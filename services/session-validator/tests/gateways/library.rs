//! The same decision inside another service, as a function and as middleware.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use poem::http::{Request, Response};
use poem::test::TestClient;
use poem::web::Data;
use poem::{EndpointExt, handler};
use session_client::{
    Claims, Config, Decision, Denial, Policies, Policy, Ports, Refusal, SessionGuard, SessionLayer,
    Validator,
};
use session_runtime::clock::{SystemClock, SystemEntropy, TokioTimer};
use session_token::{LifeMax, StrictVerifier};
use tower::{Layer, ServiceExt, service_fn};

use crate::authority::{ISSUER, LEASE};
use crate::world::{World, eventually};

/// A validator within this process that follows the world's authority, too.
pub async fn following(world: &World) -> Validator {
    let life_max = LifeMax {
        access: Duration::from_secs(600),
        session: Duration::from_secs(30 * 86_400),
    };
    let ports = Ports {
        bus: Arc::clone(&world.valve) as _,
        verifier: Arc::new(StrictVerifier::new(ISSUER.to_owned(), life_max)),
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer::new(SystemClock)),
        entropy: Arc::new(SystemEntropy),
    };
    let policies = Policies::new(Policy::new(ISSUER.to_owned()));
    let (validator, following) = Validator::new(Config::new(ISSUER), policies, ports);
    tokio::spawn(following.run(std::future::pending()));
    eventually(async || validator.is_ready()).await;
    validator
}

#[tokio::test]
async fn what_is_ended_is_refused_here_too_once_the_end_is_answered() {
    let world = World::ready().await;
    let validator = following(&world).await;
    for _ in 0..20 {
        let (id, token) = world.authority.sign_in().await;
        match validator.validate(token.expose()).await {
            Decision::Allow(claims) => assert_eq!(claims.session, id),
            other => panic!("{other:?}"),
        }
        let ended = tokio::time::timeout(LEASE, world.authority.end(id)).await;
        ended.expect("it acknowledges, and isn't outlived");
        let refused = Decision::Deny(Denial::Refused(Refusal::Ended));
        assert_eq!(validator.validate(token.expose()).await, refused);
    }
}

#[handler]
fn greet(Data(claims): Data<&Claims>) -> String {
    claims.subject.as_str().to_owned()
}

#[tokio::test]
async fn behind_the_middleware_it_is_known_who_asks() {
    let world = World::ready().await;
    let validator = following(&world).await;
    let (id, token) = world.authority.sign_in().await;
    let bearer = format!("Bearer {}", token.expose());

    let client = TestClient::new(greet.with(SessionGuard::new(validator.clone())));
    let ask = || client.get("/").header("authorization", &bearer).send();
    let answer = ask().await;
    answer.assert_status_is_ok();
    answer.assert_text("alice").await;

    let named = service_fn(async |request: Request<()>| {
        let claims = request.extensions().get::<Claims>().expect("claims");
        let name = claims.subject.as_str().to_owned();
        Ok::<Response<Full<Bytes>>, Infallible>(Response::new(name.into()))
    });
    let service = SessionLayer::new(validator).layer(named);
    let request = || {
        let request = Request::get("/").header("authorization", &bearer);
        request.body(()).expect("a request")
    };
    let answer = service.clone().oneshot(request()).await.expect("an answer");
    let body = answer
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    assert_eq!(&body[..], b"alice");

    world.authority.end(id).await;
    ask()
        .await
        .assert_status(poem::http::StatusCode::UNAUTHORIZED);
    let answer = service.oneshot(request()).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 401);
}
