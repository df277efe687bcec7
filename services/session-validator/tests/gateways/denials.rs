//! Each denial of the contract, exactly, and the same over HTTP and gRPC.

use std::collections::BTreeMap;

use envoy_types::ext_authz::v3::pb::HttpResponse;
use serde_json::{Value, json};
use session_domain::port::Clock;
use session_runtime::clock::SystemClock;

use crate::authority::LEASE;
use crate::envoy::{code, question};
use crate::world::{World, eventually};

/// A request and what it is told.
struct Case {
    policy: &'static str,
    method: &'static str,
    fields: Vec<(&'static str, String)>,
    /// Status, gRPC's code, the stable code; `None` is an allow.
    denied: Option<(u16, i32, &'static str)>,
    challenge: Option<&'static str>,
}

fn denied(status: u16, grpc: i32, code: &'static str) -> Case {
    Case {
        policy: "default",
        method: "GET",
        fields: Vec::new(),
        denied: Some((status, grpc, code)),
        challenge: None,
    }
}

fn allowed() -> Case {
    Case {
        denied: None,
        ..denied(0, 0, "")
    }
}

impl Case {
    fn by(self, policy: &'static str) -> Self {
        Self { policy, ..self }
    }

    fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    fn challenge(self, challenge: &'static str) -> Self {
        Self {
            challenge: Some(challenge),
            ..self
        }
    }
}

const BARE: &str = r#"Bearer realm="session""#;
const INVALID_REQUEST: &str = r#"Bearer realm="session", error="invalid_request""#;
const INVALID_TOKEN: &str = r#"Bearer realm="session", error="invalid_token""#;

/// What is told: status, fields without the connection's own, body.
type Told = (u16, BTreeMap<String, String>, Value);

async fn over_http(world: &World, case: &Case) -> Told {
    let url = format!("http://{}/v1/authz/forwarded/{}/x", world.http, case.policy);
    let mut request = world.client.get(url);
    if !case.method.is_empty() {
        request = request.header("x-forwarded-method", case.method);
    }
    for (name, value) in &case.fields {
        request = request.header(*name, value);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let mut fields = BTreeMap::new();
    for (name, value) in response.headers() {
        if !["date", "content-length"].contains(&name.as_str()) {
            let text = value.to_str().expect("text").to_owned();
            assert_eq!(fields.insert(name.to_string(), text), None, "{name} twice");
        }
    }
    let body = response.bytes().await.expect("a body");
    let body = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).expect("JSON")
    };
    (status, fields, body)
}

/// The same over gRPC, and gRPC's own code.
async fn over_grpc(world: &World, case: &Case) -> (i32, Told) {
    let fields: Vec<_> = case.fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let asked = question(Some(case.policy), case.method, &fields);
    let response = world.check(asked).await;
    let grpc = code(&response);
    let (status, headers, body) = match response.http_response.expect("a response") {
        HttpResponse::OkResponse(ok) => (200, ok.headers, String::new()),
        HttpResponse::DeniedResponse(denied) => {
            let status = denied.status.expect("its own status").code;
            (status, denied.headers, denied.body)
        }
        HttpResponse::ErrorResponse(error) => panic!("{error:?}"),
    };
    let mut fields = BTreeMap::new();
    for option in headers {
        assert_eq!(option.append_action, 2, "OVERWRITE_IF_EXISTS_OR_ADD");
        let header = option.header.expect("a header");
        assert_eq!(header.key, header.key.to_lowercase());
        assert_eq!(fields.insert(header.key, header.value), None);
    }
    let body = serde_json::from_str(&body).unwrap_or_default();
    let status = u16::try_from(status).expect("a status");
    (grpc, (status, fields, body))
}

async fn told(world: &World, case: &Case) {
    let over = over_http(world, case).await;
    let (grpc, same) = over_grpc(world, case).await;
    let (status, mut fields, body) = over.clone();
    let context = format!("{} {} {:?}", case.policy, case.method, case.fields);
    let Some((expected, grpc_expected, code)) = case.denied else {
        assert_eq!((status, grpc, body), (200, 0, Value::Null), "{context}");
        // What isn't for the upstream is HTTP's alone.
        fields.remove("cache-control").expect("no-store");
        assert_eq!(same, (200, fields, Value::Null), "{context}");
        return;
    };
    assert_eq!((status, grpc), (expected, grpc_expected), "{context}");
    assert_eq!(same, over, "gRPC says what HTTP says: {context}");
    let mut set = BTreeMap::from([
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
        ("x-session-error", code),
    ]);
    set.extend(
        case.challenge
            .map(|challenge| ("www-authenticate", challenge)),
    );
    if ["unavailable", "behind", "overloaded"].contains(&code) {
        set.insert("retry-after", "1");
    }
    let set: BTreeMap<_, _> = set
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    assert_eq!(fields, set, "{context}");
    let title = reqwest::StatusCode::from_u16(expected).expect("a status");
    let title = title.canonical_reason().expect("a name");
    let detail = body["detail"].clone();
    assert!(
        detail.as_str().is_some_and(|text| text.ends_with('.')),
        "{context}"
    );
    let exactly = json!({"type": "about:blank", "title": title, "status": expected,
                         "code": code, "detail": detail});
    assert_eq!(body, exactly, "{context}");
}

#[tokio::test]
async fn credentials() {
    let world = World::ready().await;
    let (_, issued) = world.authority.sign_in_as(|_| {}).await;
    let (access, session) = (issued.access_token.expose(), issued.session_token.expose());
    let (ended, dead) = world.authority.sign_in().await;
    world.authority.end(ended).await;
    let cookie = format!("session={session}");
    let doubled = format!("{cookie}, {cookie}");
    let none = || denied(401, 16, "no_credential").challenge(BARE);
    let several = || denied(401, 16, "invalid_request").challenge(INVALID_REQUEST);
    let bad = || denied(401, 16, "invalid_token").challenge(INVALID_TOKEN);
    for case in [
        allowed().bearer(access),
        allowed().with("cookie", &cookie),
        none(),
        none()
            .with("authorization", "Basic YTpi")
            .with("cookie", &cookie),
        none().by("bearer").with("cookie", &cookie),
        several().bearer(access).bearer(access),
        several().with("authorization", format!("Bearer {access},Bearer {access}")),
        several().with("cookie", &doubled),
        several().with("cookie", &cookie).with("cookie", &cookie),
        bad().bearer("x.y.z"),
        bad().bearer("x.y.z").with("cookie", &cookie),
        bad().bearer(session),
        bad().with("cookie", format!("session={access}")),
        bad().bearer(dead.expose()),
        bad().by("bank").bearer(access),
        denied(403, 7, "unknown_policy").by("other").bearer(access),
    ] {
        told(&world, &case).await;
    }
}

#[tokio::test]
async fn demands_of_policies_and_of_requests() {
    let world = World::ready().await;
    let (_, weak) = world.authority.sign_in().await;
    let earlier = |session: &mut session_domain::session::Session| {
        let auth_time = SystemClock
            .wall()
            .minus(std::time::Duration::from_secs(500));
        session.authentication.auth_time = auth_time;
        session.authentication.acr = Some("high".into());
        session.authorization.scope = Some("write read".into());
    };
    let (_, strong) = world.authority.sign_in_as(earlier).await;
    let (weak, strong) = (weak.expose(), strong.access_token.expose());
    let step_up =
        |challenge| denied(401, 16, "insufficient_user_authentication").challenge(challenge);
    let high =
        r#"Bearer realm="session", error="insufficient_user_authentication", acr_values="high""#;
    let recent =
        r#"Bearer realm="session", error="insufficient_user_authentication", max_age="100""#;
    let both = r#"Bearer realm="session", error="insufficient_user_authentication", acr_values="high", max_age="30""#;
    let scope = |challenge| denied(403, 7, "insufficient_scope").challenge(challenge);
    let two = r#"Bearer realm="session", error="insufficient_scope", scope="read write""#;
    let three = r#"Bearer realm="session", error="insufficient_scope", scope="admin read write""#;
    for case in [
        allowed().by("strong").bearer(strong),
        allowed().by("fresh").bearer(weak),
        allowed().by("scoped").bearer(strong),
        step_up(high).by("strong").bearer(weak),
        step_up(recent).by("fresh").bearer(strong),
        scope(two).by("scoped").bearer(weak),
        // By request, where the policy doesn't ask for it.
        step_up(high).bearer(weak).with("x-auth-min-acr", "high"),
        step_up(both)
            .bearer(strong)
            .with("x-auth-min-acr", "high")
            .with("x-auth-max-age", "30"),
        scope(three)
            .by("scoped")
            .bearer(strong)
            .with("x-auth-scope", "admin"),
        // Requests tighten and never loosen.
        step_up(high)
            .by("strong")
            .bearer(weak)
            .with("x-auth-min-acr", "low"),
        step_up(recent)
            .by("fresh")
            .bearer(strong)
            .with("x-auth-max-age", "9999"),
        scope(two)
            .by("scoped")
            .bearer(weak)
            .with("x-auth-scope", ""),
        allowed().bearer(weak).with("x-auth-min-acr", "low"),
    ] {
        told(&world, &case).await;
    }
}

#[tokio::test]
async fn preflights_and_sockets() {
    let world = World::ready().await;
    let (_, issued) = world.authority.sign_in_as(|_| {}).await;
    let (access, session) = (issued.access_token.expose(), issued.session_token.expose());
    let none = || denied(401, 16, "no_credential").challenge(BARE);
    let preflight = |case: Case| {
        case.method("OPTIONS")
            .with("origin", "https://app.example")
            .with("access-control-request-method", "PUT")
    };
    let socket = |case: Case, origin: &'static str| {
        case.with("cookie", format!("session={session}"))
            .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .with("origin", origin)
    };
    let foreign = || denied(403, 7, "foreign_origin");
    let context_missing = || denied(403, 7, "context_missing");
    let offer = format!("chat, session-token.{access}");
    for case in [
        preflight(allowed().by("cors")),
        preflight(none()),
        none().by("cors").method("OPTIONS"),
        preflight(none().by("cors")).method("PUT"),
        preflight(
            denied(401, 16, "invalid_token")
                .challenge(INVALID_TOKEN)
                .by("cors"),
        )
        .bearer("x.y.z"),
        allowed().by("cors").bearer(access),
        context_missing().by("cors").method("").bearer(access),
        context_missing()
            .by("cors")
            .method("OPTIONS, GET")
            .bearer(access),
        socket(allowed(), "https://app.example"),
        socket(foreign(), "https://chat.example"),
        socket(allowed().by("sockets"), "https://chat.example"),
        socket(foreign().by("sockets"), "null"),
        allowed()
            .by("sockets")
            .with("sec-websocket-key", "k")
            .with("sec-websocket-protocol", &offer),
        none()
            .with("sec-websocket-key", "k")
            .with("sec-websocket-protocol", &offer),
    ] {
        told(&world, &case).await;
    }
}

#[tokio::test]
async fn what_cannot_be_known() {
    let world = World::ready().await;
    let (_, token) = world.authority.sign_in().await;
    let token = token.expose();
    for case in [
        denied(503, 14, "behind")
            .bearer(token)
            .with("session-min-seq", "999999"),
        denied(503, 14, "behind")
            .bearer(token)
            .with("session-min-seq", "x"),
        denied(403, 7, "behind")
            .by("closed")
            .bearer(token)
            .with("session-min-seq", "999999"),
        allowed().bearer(token).with("session-min-seq", "0"),
    ] {
        told(&world, &case).await;
    }
    let blind = World::blind().await;
    for case in [
        denied(503, 14, "unavailable").bearer(token),
        denied(403, 7, "unavailable").by("closed").bearer(token),
        denied(401, 16, "no_credential").challenge(BARE),
    ] {
        told(&blind, &case).await;
    }
}

/// Over HTTP the path can be wrong, too; gRPC has none.
#[tokio::test]
async fn a_path_that_is_not_ours() {
    let world = World::ready().await;
    let (_, token) = world.authority.sign_in().await;
    for path in ["/", "/v1/authz/nginx/default", "/v1/authz/forwarded/"] {
        let url = format!("http://{}{path}", world.http);
        let asked = world
            .client
            .get(url)
            .bearer_auth(token.expose())
            .send()
            .await;
        let response = asked.expect("an answer");
        assert_eq!(response.status().as_u16(), 404);
        assert_eq!(response.headers()["x-session-error"], "not_found");
    }
}

/// Without a lease each question goes to the authority, which has the last word.
#[tokio::test]
async fn a_lost_lease_means_asking_and_the_authoritys_time_counts() {
    let world = World::ready().await;
    let earlier = |session: &mut session_domain::session::Session| {
        let auth_time = SystemClock
            .wall()
            .minus(std::time::Duration::from_secs(500));
        session.authentication.auth_time = auth_time;
    };
    let (_, old) = world.authority.sign_in_as(earlier).await;
    let old = old.access_token.expose();
    world.valve.close();
    tokio::time::sleep(LEASE * 2).await;
    let asking = tokio::spawn({
        let url = format!("http://{}/v1/authz/forwarded/fresh", world.http);
        world.client.get(url).bearer_auth(old).send()
    });
    eventually(async || world.valve.waiting() == 1).await;
    world.valve.open();
    let answer = asking.await.expect("no panic").expect("an answer");
    assert_eq!(
        answer.headers()["x-session-error"],
        "insufficient_user_authentication"
    );
}
