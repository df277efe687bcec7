//! Bad names of things in the path.

use reqwest::header::HeaderMap;

use super::raw::{exchange, head};
use super::refusal::check;
use super::world::{World, body};
use crate::support::operations::Operation;

/// The answer to a request for an operation with `part` where its path has a parameter, as it is.
async fn ask(world: &World, operation: &Operation, part: &str) -> (u16, HeaderMap, String) {
    let (before, rest) = operation.path.split_once('{').expect("a parameter");
    let (_, after) = rest.split_once('}').expect("a parameter");
    let line = format!("{} {before}{part}{after}", operation.method);
    let mut request = head(&world.instance, &line, world.entitled(operation));
    let body = body(operation).map_or_else(String::new, |body| body.to_string());
    let length = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    request.extend(length.into_bytes());
    exchange(&world.instance, &request).await
}

#[tokio::test]
async fn a_name_in_the_path_is_one_or_is_refused() {
    let world = World::new().await;
    let before = world.state().await;
    let mut count = 0;
    for operation in &world.operations {
        let Some(parameter) = operation.parameters("path").next() else {
            continue;
        };
        count += 1;
        let id = world.about(operation);
        let doubled = format!("{id}{id}");
        let uuid = [
            "x".to_owned(),
            id.to_uppercase(),
            id.replace('-', ""),
            format!("%7B{id}%7D"),
            format!("urn:uuid:{id}"),
            format!("{id}%2F"),
            format!("{id}%00"),
            format!("{id}%20"),
            format!("{id};a=b"),
            "..%2F..%2Fhealth".to_owned(),
            "%zz".to_owned(),
            "%".to_owned(),
            "*".to_owned(),
            "'%20OR%201=1--".to_owned(),
            doubled.repeat(50),
        ];
        let user = ["%00", "%0a", "%20alice", "alice%20", "%C2%85"].map(str::to_owned);
        let long = ["a".repeat(129)];
        // What can't be a key's name is simply not there.
        let (bad, status): (Vec<String>, u16) = match parameter.name.as_str() {
            "id" => (uuid.to_vec(), 400),
            "user_id" => (user.into_iter().chain(long).collect(), 400),
            "kid" => (uuid.into_iter().chain(user).chain(long).collect(), 404),
            other => panic!("{other} in {} is unknown to this test", operation.path),
        };
        for part in bad {
            let what = format!("{} {part}", operation.id);
            let (found, headers, text) = ask(&world, operation, &part).await;
            if status == 404 {
                check(found, headers, text, 404, "not_found", &what);
            } else {
                let refusal = check(found, headers, text, 400, "invalid_request", &what);
                assert_eq!(refusal.fields(), [parameter.name.as_str()], "{what}");
            }
        }
        for part in ["%ff", "%C3%28", "a%ED%A0%80"] {
            let what = format!("{} {part}", operation.id);
            let (found, headers, text) = ask(&world, operation, part).await;
            let refusal = check(found, headers, text, 400, "invalid_request", &what);
            assert_eq!(refusal.fields(), ["path"], "{what}");
        }
    }
    assert!(
        count >= 10,
        "only {count} operations have a parameter in their path"
    );
    world.is_as(&before).await;
}

#[tokio::test]
async fn what_is_not_there_says_so_the_way_everything_does() {
    let world = World::new().await;
    let before = world.state().await;
    for (line, status, code) in [
        ("GET /nowhere", 404, "not_found"),
        ("GET /api/v1", 404, "not_found"),
        ("GET /api/v2/sessions", 404, "not_found"),
        ("GET /api/v1/sessions/", 404, "not_found"),
        ("GET //api/v1/sessions", 404, "not_found"),
        ("GET /api/v1/%73essions", 404, "not_found"),
        ("GET /API/v1/sessions", 404, "not_found"),
        ("GET /%ff", 400, "invalid_request"),
        ("DELETE /api/v1/sessions/../sessions", 404, "not_found"),
        ("PATCH /api/v1/sessions", 405, "method_not_allowed"),
        ("TRACE /api/v1/sessions", 405, "method_not_allowed"),
        ("SURPRISE /health", 405, "method_not_allowed"),
        ("OPTIONS /api/v1/sessions", 405, "method_not_allowed"),
    ] {
        let token = Some(world.alice[0].access.as_str());
        let mut request = head(&world.instance, line, token);
        request.extend(b"\r\n");
        let (found, headers, text) = exchange(&world.instance, &request).await;
        check(found, headers, text, status, code, line);
    }
    world.is_as(&before).await;
}
