//! What a gateway sees: the allow and deny contract, over real HTTP.

use crate::support::{Instance, SignedIn};
use reqwest::{Response, header};

const FIELDS: [&str; 7] = [
    "x-session-subject",
    "x-session-id",
    "x-session-tenant",
    "x-session-acr",
    "x-session-auth-time",
    "x-session-expires",
    "x-session-scope",
];

async fn setup() -> (tempfile::TempDir, Instance, SignedIn) {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let session = instance.sign_in("alice").await;
    (dir, instance, session)
}

fn header_of<'a>(response: &'a Response, name: &str) -> &'a str {
    let mut values = response.headers().get_all(name).iter();
    let value = values.next().unwrap_or_else(|| panic!("{name} is missing"));
    assert!(values.next().is_none(), "{name} is doubled");
    value.to_str().unwrap()
}

#[tokio::test]
async fn an_allow_is_exactly_200_empty_and_carries_every_identity_field() {
    let (_dir, instance, session) = setup().await;
    for convention in ["forwarded", "original", "envoy"] {
        let response = instance
            .authz(convention)
            .bearer_auth(&session.access)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 200);
        for name in FIELDS {
            header_of(&response, name);
        }
        assert_eq!(header_of(&response, "x-session-subject"), "alice");
        assert_eq!(header_of(&response, "x-session-id"), session.id);
        assert_eq!(header_of(&response, "x-session-tenant"), "default");
        assert_eq!(header_of(&response, "x-session-acr"), "-");
        assert_eq!(header_of(&response, "cache-control"), "no-store");
        assert_eq!(header_of(&response, "content-length"), "0");
        assert!(response.headers().get(header::SET_COOKIE).is_none());
        assert_eq!(
            response
                .headers()
                .contains_key("x-envoy-auth-headers-to-remove"),
            convention == "envoy"
        );
    }
}

#[tokio::test]
async fn any_method_and_anything_after_the_policy_is_answered() {
    let (_dir, instance, session) = setup().await;
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND",
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}/v1/authz/envoy/default/a/b?token=x", instance.validator);
        let response = instance
            .http
            .request(method.clone(), url)
            .bearer_auth(&session.access)
            .body("{")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 200, "{method}");
    }
}

#[tokio::test]
async fn a_denial_is_a_problem_with_one_challenge() {
    let (_dir, instance, session) = setup().await;
    let cases = [
        (
            instance.authz("forwarded"),
            401,
            "no_credential",
            Some(r#"Bearer realm="session""#),
        ),
        (
            instance.authz("forwarded").bearer_auth("x.y.z"),
            401,
            "invalid_token",
            Some(r#"Bearer realm="session", error="invalid_token""#),
        ),
        (
            instance
                .authz("forwarded")
                .bearer_auth(&session.access)
                .header("Authorization", "Bearer x"),
            401,
            "invalid_request",
            Some(r#"Bearer realm="session", error="invalid_request""#),
        ),
        (
            instance
                .authz("forwarded")
                .header("Cookie", "session=a; session=b"),
            401,
            "invalid_request",
            Some(r#"Bearer realm="session", error="invalid_request""#),
        ),
        (
            instance
                .http
                .get(format!("{}/v1/authz/forwarded/other", instance.validator))
                .bearer_auth(&session.access),
            403,
            "unknown_policy",
            None,
        ),
        (
            instance
                .http
                .get(format!("{}/", instance.validator))
                .bearer_auth(&session.access),
            404,
            "not_found",
            None,
        ),
    ];
    for (request, status, code, challenge) in cases {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{code}");
        assert_eq!(header_of(&response, "x-session-error"), code);
        assert_eq!(
            header_of(&response, "content-type"),
            "application/problem+json"
        );
        assert_eq!(header_of(&response, "cache-control"), "no-store");
        match challenge {
            Some(challenge) => assert_eq!(header_of(&response, "www-authenticate"), challenge),
            None => assert!(response.headers().get("www-authenticate").is_none()),
        }
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(
            (body["code"].as_str(), body["status"].as_u64()),
            (Some(code), Some(status.into()))
        );
    }
}

#[tokio::test]
async fn each_kind_of_token_is_refused_where_another_is_expected() {
    let (_dir, instance, session) = setup().await;
    assert_eq!(instance.validate(&session.access).await, 200);
    assert_eq!(instance.validate_cookie(&session.cookie).await, 200);
    for wrong in [
        &session.cookie,
        &session.refresh,
        &instance.service_key,
        &session.id,
    ] {
        assert_eq!(instance.validate(wrong).await, 401);
    }
    for wrong in [
        &session.access,
        &session.refresh,
        &instance.service_key,
        &session.id,
    ] {
        assert_eq!(instance.validate_cookie(wrong).await, 401);
    }
    let path = "/api/v1/sessions/current";
    for wrong in [&session.cookie, &session.refresh] {
        let response = instance
            .request(reqwest::Method::GET, path)
            .bearer_auth(wrong)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 401);
    }
}

#[tokio::test]
async fn sixty_kilobytes_of_headers_are_read() {
    let (_dir, instance, session) = setup().await;
    let mut request = instance.authz("forwarded").bearer_auth(&session.access);
    for number in 0..15 {
        request = request.header(format!("x-filler-{number}"), "f".repeat(4_000));
    }
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
}
