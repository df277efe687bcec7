//! What users and services do with sessions, over real HTTP.

use crate::support::{Instance, SignedIn, login};
use reqwest::Method;
use serde_json::{Value, json};

async fn json(request: reqwest::RequestBuilder, expected: u16) -> Value {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    assert_eq!(status, expected, "{body}");
    if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn a_user_sees_and_ends_their_own_sessions_and_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let (one, two, three) = (
        instance.sign_in("alice").await,
        instance.sign_in("alice").await,
        instance.sign_in("alice").await,
    );
    let bob = instance.sign_in("bob").await;
    let get = |path: &str, token: &str| instance.request(Method::GET, path).bearer_auth(token);

    let page = json(get("/api/v1/sessions", &one.access), 200).await;
    let ids: Vec<&str> = page["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [three.id.as_str(), &two.id, &one.id], "newest first");
    let current: Vec<bool> = page["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["is_current"].as_bool().unwrap())
        .collect();
    assert_eq!(current, [false, false, true]);

    let path = format!("/api/v1/sessions/{}", two.id);
    assert_eq!(json(get(&path, &one.access), 200).await["status"], "active");
    // Unknown and not theirs look the same.
    let theirs = json(get(&path, &bob.access), 404).await;
    let unknown = json(
        get(
            "/api/v1/sessions/0191d3c4-5b6e-7f80-8123-456789abcdef",
            &bob.access,
        ),
        404,
    )
    .await;
    let plain = |mut problem: Value| {
        problem.as_object_mut().unwrap().remove("trace_id");
        problem
    };
    assert_eq!(plain(theirs), plain(unknown));
    json(
        instance
            .request(Method::DELETE, &path)
            .bearer_auth(&bob.access),
        404,
    )
    .await;
    assert_eq!(instance.validate(&two.access).await, 200);

    // Ended, and ended again: a success both times.
    for _ in 0..2 {
        let response = instance
            .request(Method::DELETE, &path)
            .bearer_auth(&one.access)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 204);
        assert!(response.headers().contains_key("session-revocation-seq"));
        assert_eq!(instance.validate(&two.access).await, 401);
    }
    let shown = json(get(&path, &one.access), 200).await;
    assert_eq!(
        (shown["status"].as_str(), shown["end_reason"].as_str()),
        (Some("revoked"), Some("revoked_by_user"))
    );

    let others = json(
        instance
            .request(Method::POST, "/api/v1/sessions/revoke-others")
            .bearer_auth(&one.access),
        200,
    )
    .await;
    assert_eq!(others["revoked"], 1);
    assert_eq!(instance.validate(&three.access).await, 401);
    assert_eq!(instance.validate(&one.access).await, 200);
    assert_eq!(instance.validate(&bob.access).await, 200);

    json(
        instance
            .request(Method::DELETE, "/api/v1/sessions/current")
            .bearer_auth(&one.access),
        204,
    )
    .await;
    assert_eq!(instance.validate(&one.access).await, 401);
    json(get("/api/v1/sessions/current", &one.access), 401).await;
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_double() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.push(instance.sign_in("alice").await);
    }
    let with = expected.last().unwrap().access.clone();
    let mut seen = Vec::new();
    let mut path = "/api/v1/sessions?limit=3".to_owned();
    loop {
        let page = json(instance.request(Method::GET, &path).bearer_auth(&with), 200).await;
        seen.extend(
            page["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/sessions?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<String> = expected
        .into_iter()
        .rev()
        .map(|session| session.id)
        .collect();
    assert_eq!(seen, expected);
    let bob = instance.sign_in("bob").await;
    let page = json(
        instance
            .request(Method::GET, "/api/v1/sessions?limit=1")
            .bearer_auth(&with),
        200,
    )
    .await;
    let foreign = format!(
        "/api/v1/sessions?cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    json(
        instance
            .request(Method::GET, &foreign)
            .bearer_auth(&bob.access),
        400,
    )
    .await;
    for bad in ["limit=0", "limit=51", "limit=x", "cursor=zz", "status=dead"] {
        json(
            instance
                .request(Method::GET, &format!("/api/v1/sessions?{bad}"))
                .bearer_auth(&with),
            400,
        )
        .await;
    }
}

#[tokio::test]
async fn bad_logins_are_refused_with_the_fields_named_and_nothing_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let alice = instance.sign_in("alice").await;
    let mut cases = Vec::new();
    for (field, value) in [
        ("user_id", json!("")),
        ("user_id", json!(7)),
        ("user_id", json!("x".repeat(129))),
        ("user_id", json!("a\nb")),
        ("ip_address", json!("300.1.1.1")),
        ("tenant", json!("No Tenant")),
        ("expires_in_seconds", json!(299)),
        ("expires_in_seconds", json!(2_592_001)),
        ("expires_in_seconds", json!("3600")),
        ("metadata", json!([1])),
        ("metadata", json!({ "a": "x".repeat(5_000) })),
        ("scope", json!("a  b")),
        ("auth_time", json!(99_999_999_999_i64)),
        ("surprise", json!(true)),
    ] {
        let mut body = login("alice");
        body[field] = value;
        cases.push((field, body));
    }
    for (field, body) in cases {
        let response = instance.create(body.clone()).await;
        assert_eq!(response.status().as_u16(), 400, "{body}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let problem = response.text().await.unwrap();
        assert!(problem.contains(field), "{field} is not named in {problem}");
    }
    let post = || {
        instance
            .request(Method::POST, "/api/v1/sessions")
            .bearer_auth(&instance.service_key)
    };
    let json_type = "application/json";
    for (body, content_type, status) in [
        ("{", json_type, 400),
        ("", json_type, 400),
        ("[]", json_type, 400),
        (
            r#"{"user_id":"a","user_id":"b","ip_address":"192.0.2.1"}"#,
            json_type,
            400,
        ),
        (
            r#"{"user_id":"a","ip_address":"192.0.2.1"} x"#,
            json_type,
            400,
        ),
        (
            r#"{"user_id":"a","ip_address":"192.0.2.1"}"#,
            "text/plain",
            415,
        ),
    ] {
        let response = post()
            .header("content-type", content_type)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status, "{body}");
    }
    let response = post()
        .header("content-type", json_type)
        .body(vec![0xff, 0xfe])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 400);
    let response = post()
        .header("content-type", json_type)
        .body(vec![b' '; 65 * 1024])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 413);
    let page = json(
        instance
            .request(Method::GET, "/api/v1/sessions")
            .bearer_auth(&alice.access),
        200,
    )
    .await;
    assert_eq!(page["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeated_login_with_an_idempotency_key_is_the_same_session() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let post = |key: &str, body: &Value| {
        instance
            .request(Method::POST, "/api/v1/sessions")
            .bearer_auth(&instance.service_key)
            .header("Idempotency-Key", key)
            .json(body)
    };
    let body = login("alice");
    let first = json(post("k-1", &body), 201).await;
    let again = json(post("k-1", &body), 201).await;
    assert_eq!(first, again, "the same answer, credentials and all");
    json(post("k-1", &login("bob")), 422).await;
    let other = json(post("k-2", &body), 201).await;
    assert_ne!(first["session"]["id"], other["session"]["id"]);
    let signed_in = SignedIn::from(&first);
    assert_eq!(instance.end(&signed_in.id).await, 204);
    json(post("k-1", &body), 409).await;
}

#[tokio::test]
async fn credentials_of_the_wrong_kind_or_number_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let session = instance.sign_in("alice").await;
    let current = || instance.request(Method::GET, "/api/v1/sessions/current");
    json(current(), 401).await;
    json(
        current().bearer_auth("ssk_0000000000000000000000000000000000000000000"),
        401,
    )
    .await;
    json(current().bearer_auth(&instance.service_key), 403).await;
    json(
        current()
            .bearer_auth(&session.access)
            .header("Cookie", format!("session={}", session.cookie)),
        400,
    )
    .await;
    json(
        current().header("Cookie", format!("session={}", session.cookie)),
        200,
    )
    .await;
    json(
        instance
            .request(Method::POST, "/api/v1/sessions")
            .bearer_auth(&session.access)
            .json(&login("x")),
        403,
    )
    .await;

    // With the cookie, whatever changes something needs an allowed origin.
    let others = || {
        let cookie = format!("session={}", session.cookie);
        instance
            .request(Method::POST, "/api/v1/sessions/revoke-others")
            .header("Cookie", cookie)
    };
    json(others(), 403).await;
    json(others().header("Origin", "https://evil.example"), 403).await;
    json(others().header("Origin", "null"), 403).await;
    json(others().header("Origin", &instance.api), 200).await;

    let logout = instance.request(Method::DELETE, "/api/v1/sessions/current");
    let logout = logout
        .header("Cookie", format!("session={}", session.cookie))
        .header("Origin", &instance.api);
    let response = logout.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 204);
    assert!(
        response.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert!(response.headers().contains_key("clear-site-data"));
}

#[tokio::test]
async fn the_documents_are_there_and_need_nothing_from_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::start(dir.path());
    let document = json(instance.request(Method::GET, "/openapi.json"), 200).await;
    // Operations in files of their own share paths; the document has them all.
    for (path, methods) in [
        ("/api/v1/sessions", ["get", "post", "delete"].as_slice()),
        ("/api/v1/sessions/{id}", &["get", "delete"]),
    ] {
        for method in methods {
            assert!(
                document["paths"][path][method].is_object(),
                "{method} {path} is missing"
            );
        }
    }
    let docs = instance.request(Method::GET, "/docs").send().await.unwrap();
    assert_eq!(docs.status().as_u16(), 200);
    let page = docs.text().await.unwrap();
    for elsewhere in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
        assert!(
            !page.contains(elsewhere),
            "the page loads something from elsewhere"
        );
    }
    let jwks = json(instance.request(Method::GET, "/.well-known/jwks.json"), 200).await;
    let keys = jwks["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    assert!(
        keys[0].get("d").is_none() && keys[0]["kty"] == "OKP" && keys[0]["alg"] == "EdDSA",
        "{jwks}"
    );
    assert_eq!(
        json(instance.request(Method::GET, "/health"), 200).await["status"],
        "ok"
    );
    json(instance.request(Method::GET, "/nowhere"), 404).await;
    json(instance.request(Method::PATCH, "/api/v1/sessions"), 405).await;
    let ready = json(
        instance.http.get(format!("{}/readyz", instance.private)),
        200,
    )
    .await;
    assert_eq!(ready["ready"], true);
}
