//! Questions as Envoy asks them, and what only gRPC says.

use std::collections::HashMap;

use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse, HttpResponse};
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::google::protobuf::value::Kind;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::world::{World, eventually};

/// A question by a policy, with fields as they came.
pub fn question(policy: Option<&str>, method: &str, fields: &[(&str, &str)]) -> CheckRequest {
    let headers = fields.iter().map(|(name, value)| HeaderValue {
        key: (*name).to_owned(),
        value: String::new(),
        raw_value: value.as_bytes().to_vec(),
    });
    enveloped(
        policy,
        HttpRequest {
            method: method.to_owned(),
            path: "/somewhere?token=x".to_owned(),
            header_map: Some(HeaderMap {
                headers: headers.collect(),
            }),
            ..HttpRequest::default()
        },
    )
}

/// The same of whatever request.
pub fn enveloped(policy: Option<&str>, http: HttpRequest) -> CheckRequest {
    let context = policy.map(|policy| ("policy".to_owned(), policy.to_owned()));
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            context_extensions: context.into_iter().collect(),
            ..AttributeContext::default()
        }),
    }
}

/// The status code, which is always there.
pub fn code(response: &CheckResponse) -> i32 {
    response.status.as_ref().expect("a status").code
}

#[tokio::test]
async fn an_allow_overwrites_identity_and_removes_what_looks_like_it() {
    let world = World::ready().await;
    let (id, issued) = world
        .authority
        .sign_in_as(|session| session.authorization.scope = Some("read".into()))
        .await;
    let bearer = format!("Bearer {}", issued.access_token.expose());
    // As Envoy sends them where raw fields aren't asked for: one text for each name.
    let fields = [
        ("authorization", bearer.as_str()),
        (":path", "/"),
        ("x-session-subject", "mallory"),
        ("x.session.user", "mallory"),
        ("x-session_id", "x"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let response = world
        .check(enveloped(
            None,
            HttpRequest {
                headers: HashMap::from(fields),
                ..HttpRequest::default()
            },
        ))
        .await;
    assert_eq!(code(&response), 0);
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else {
        panic!("{response:?}");
    };
    let mut set = HashMap::new();
    for option in &ok.headers {
        assert_eq!(option.append_action, 2, "OVERWRITE_IF_EXISTS_OR_ADD");
        let header = option.header.as_ref().expect("a header");
        assert!(
            set.insert(header.key.as_str(), header.value.as_str())
                .is_none()
        );
        assert!(
            !ok.headers_to_remove.contains(&header.key),
            "set and removed"
        );
    }
    assert_eq!(set.len(), 7);
    assert_eq!(set["x-session-subject"], "alice");
    assert_eq!(set["x-session-id"], id.to_string());
    assert_eq!(set["x-session-scope"], "read");
    for alias in ["x.session.user", "x-session_id", "x_session_subject"] {
        assert!(
            ok.headers_to_remove.iter().any(|name| name == alias),
            "{alias}"
        );
    }
    let metadata = response.dynamic_metadata.expect("metadata").fields;
    let text = |name: &str| match metadata[name].kind.clone() {
        Some(Kind::StringValue(text)) => text,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!((text("sub"), text("sid")), ("alice".into(), id.to_string()));
    assert_eq!(
        (text("tenant"), text("scope")),
        ("default".into(), "read".into())
    );
    assert!(matches!(metadata["expires"].kind, Some(Kind::NumberValue(at)) if at > 1.6e9));
}

#[tokio::test]
async fn what_is_ended_is_refused_by_the_next_answer() {
    let world = World::ready().await;
    let (id, token) = world.authority.sign_in().await;
    let bearer = format!("Bearer {}", token.expose());
    let asked = || question(None, "GET", &[("authorization", &bearer)]);
    assert_eq!(code(&world.check(asked()).await), 0);
    world.authority.end(id).await;
    assert_eq!(code(&world.check(asked()).await), 16);
}

async fn channel(world: &World) -> Channel {
    let channel = Channel::from_shared(format!("http://{}", world.grpc)).expect("a URL");
    channel.connect().await.expect("a connection")
}

#[tokio::test]
async fn health_follows_readiness() {
    let world = World::blind().await;
    let health = HealthClient::new(channel(&world).await);
    let is = async |service: &str, status: ServingStatus| {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answered = health.clone().check(request).await.expect("an answer");
        answered.into_inner().status() == status
    };
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        eventually(async || is(service, ServingStatus::NotServing).await).await;
    }
    world.valve.open();
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        eventually(async || is(service, ServingStatus::Serving).await).await;
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unimplemented_and_the_shutdown_ends_it_all() {
    let world = World::ready().await;
    let mut other = tonic::client::Grpc::new(channel(&world).await);
    other.ready().await.expect("a connection");
    let path = "/envoy.service.auth.v2.Authorization/Check"
        .parse()
        .expect("a path");
    let codec = tonic_prost::ProstCodec::<CheckRequest, CheckResponse>::default();
    let request = tonic::Request::new(CheckRequest::default());
    let refused = other
        .unary(request, path, codec)
        .await
        .expect_err("no answer");
    assert_eq!(refused.code(), tonic::Code::Unimplemented);

    world.shutdown.drain();
    let ended = tokio::time::timeout(crate::world::PATIENCE, world.running).await;
    ended
        .expect("in time")
        .expect("no panic")
        .expect("no error");
}
