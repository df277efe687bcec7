//! Whatever a gateway sends, the answer is a whole one: a status code always, a no with a status of
//! its own always, and a yes only for a session that is good.

use std::collections::HashMap;

use envoy_types::ext_authz::v3::pb::{CheckRequest, HttpResponse};
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use proptest::collection::{hash_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::World;

/// What credentials there are to send.
#[derive(Debug, Clone)]
struct Tokens {
    good: String,
    cookie: String,
    ended: String,
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[aA]uthorization|[cC]ookie|origin|access-control-request-method",
        "sec-websocket-(key|version|protocol)|upgrade|session-min-seq|x-auth-(min-acr|max-age|scope)",
        "x[-_.]session[-_.](subject|id|user)|:path|:method|",
        any::<String>(),
    ]
}

fn value(tokens: &Tokens) -> impl Strategy<Value = String> + use<> {
    let Tokens {
        good,
        cookie,
        ended,
    } = tokens.clone();
    prop_oneof![
        Just(format!("Bearer {good}")),
        Just(format!("Bearer {ended}")),
        Just(format!("session={cookie}")),
        Just(format!("session={cookie}, session={cookie}")),
        Just(format!("session={good}")),
        Just(format!("Bearer {cookie}")),
        "https://app.example|null|PUT|websocket|0|13|high|",
        any::<String>(),
    ]
}

fn http(tokens: &Tokens) -> impl Strategy<Value = HttpRequest> + use<> {
    let raw = (name(), value(tokens), vec(any::<u8>(), 0..8)).prop_map(|(key, value, tail)| {
        let mut raw_value = value.into_bytes();
        raw_value.extend(tail);
        HeaderValue {
            key,
            value: String::new(),
            raw_value,
        }
    });
    let plain = (name(), value(tokens)).prop_map(|(key, value)| HeaderValue {
        key,
        value,
        raw_value: Vec::new(),
    });
    let header_map = vec(prop_oneof![raw, plain], 0..5);
    (
        hash_map(name(), value(tokens), 0..5),
        of(header_map),
        prop_oneof!["GET|POST|OPTIONS|", any::<String>()],
        any::<(String, String)>(),
    )
        .prop_map(|(headers, header_map, method, (path, body))| HttpRequest {
            headers,
            header_map: header_map.map(|headers| HeaderMap { headers }),
            method,
            path,
            body,
            ..HttpRequest::default()
        })
}

fn check(tokens: &Tokens) -> impl Strategy<Value = CheckRequest> + use<> {
    let policy = prop_oneof![
        "default|strong|cors|bearer|closed|sockets|bank",
        any::<String>()
    ];
    let context = of(policy);
    of((of(of(http(tokens))), context)).prop_map(|attributes| CheckRequest {
        attributes: attributes.map(|(request, policy)| AttributeContext {
            request: request.map(|http| Request {
                http,
                ..Request::default()
            }),
            context_extensions: policy
                .map(|policy| HashMap::from([("policy".to_owned(), policy)]))
                .unwrap_or_default(),
            ..AttributeContext::default()
        }),
    })
}

/// Whether anything in the request holds a token that is good where it is.
fn holds_a_good_one(request: &CheckRequest, tokens: &Tokens) -> bool {
    let http = request
        .attributes
        .as_ref()
        .and_then(|all| all.request.as_ref()?.http.as_ref());
    let Some(http) = http else { return false };
    let raw = http
        .header_map
        .iter()
        .flat_map(|map| &map.headers)
        .map(|header| {
            let value = if header.value.is_empty() {
                String::from_utf8_lossy(&header.raw_value).into_owned()
            } else {
                header.value.clone()
            };
            (header.key.clone(), value)
        });
    let plain = http.headers.iter().map(|(n, v)| (n.clone(), v.clone()));
    raw.chain(plain).any(|(name, value)| {
        let bearer = name.eq_ignore_ascii_case("authorization") && value.contains(&tokens.good);
        let cookie = name.eq_ignore_ascii_case("cookie") && value.contains(&tokens.cookie);
        bearer || cookie
    })
}

/// Whether it may be a preflight by the one policy that lets them through.
fn may_be_a_preflight(request: &CheckRequest) -> bool {
    let attributes = request.attributes.as_ref();
    let policy = attributes.and_then(|all| all.context_extensions.get("policy"));
    let http = attributes.and_then(|all| all.request.as_ref()?.http.as_ref());
    policy.is_some_and(|policy| policy == "cors")
        && http.is_some_and(|http| http.method == "OPTIONS")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_whole_and_no_yes_is_for_nothing() {
    let world = World::ready().await;
    let (_, issued) = world.authority.sign_in_as(|_| {}).await;
    let (id, ended) = world.authority.sign_in().await;
    world.authority.end(id).await;
    let tokens = Tokens {
        good: issued.access_token.expose().to_owned(),
        cookie: issued.session_token.expose().to_owned(),
        ended: ended.expose().to_owned(),
    };
    let runtime = tokio::runtime::Handle::current();
    let (mut yes, mut no) = (0, 0);
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config::with_cases(1_500));
        let result = runner.run(&check(&tokens), |request| {
            let response = runtime.block_on(world.check(request.clone()));
            let status = response.status.as_ref();
            prop_assert!(status.is_some(), "status is always set");
            let code = status.map_or(0, |status| status.code);
            match &response.http_response {
                Some(HttpResponse::OkResponse(ok)) => {
                    prop_assert_eq!(code, 0);
                    prop_assert_eq!(ok.headers.len(), 7);
                    prop_assert!(
                        holds_a_good_one(&request, &tokens) || may_be_a_preflight(&request)
                    );
                }
                Some(HttpResponse::DeniedResponse(denied)) => {
                    prop_assert!([7, 8, 14, 16].contains(&code), "{}", code);
                    let status = denied.status.as_ref().map(|status| status.code);
                    prop_assert!(
                        matches!(status, Some(401 | 403 | 429 | 503)),
                        "{:?}",
                        status
                    );
                }
                other => prop_assert!(false, "neither yes nor no: {other:?}"),
            }
            Ok(())
        });
        result.unwrap();
        // The random ones hit good ones now and then; these make sure of it.
        for request in [
            crate::envoy::question(
                None,
                "GET",
                &[("authorization", &format!("Bearer {}", tokens.good))],
            ),
            crate::envoy::question(
                None,
                "GET",
                &[("authorization", &format!("Bearer {}", tokens.ended))],
            ),
        ] {
            match crate::envoy::code(&runtime.block_on(world.check(request))) {
                0 => yes += 1,
                _ => no += 1,
            }
        }
    });
    assert_eq!((yes, no), (1, 1));
}
