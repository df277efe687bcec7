//! Bodies that are too long, of another type, or no JSON of the form asked for.

use std::fmt::Write;

use reqwest::RequestBuilder;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::raw::{exchange, head};
use super::refusal::{check, names, refused};
use super::world::{World, body};
use crate::support::operations::Operation;

/// No body may be longer.
const BYTES_MAX: usize = 64 * 1024;

/// The operations that take a body.
pub fn with_body(world: &World) -> impl Iterator<Item = &Operation> {
    let all = world.operations.iter();
    all.filter(|operation| operation.body.is_some())
}

/// A request whose body is these bytes, said to be JSON.
fn sending(world: &World, operation: &Operation, bytes: impl Into<Vec<u8>>) -> RequestBuilder {
    let request = world.without_body(operation).body(bytes.into());
    request.header(CONTENT_TYPE, "application/json")
}

fn fine(operation: &Operation) -> String {
    body(operation).expect("a body").to_string()
}

#[tokio::test]
async fn a_body_of_more_than_64_kib_is_refused_however_it_comes() {
    let world = World::new().await;
    let before = world.state().await;
    for operation in with_body(&world) {
        let id = &operation.id;
        let mut long = fine(operation);
        long.push_str(&" ".repeat(BYTES_MAX + 1 - long.len()));
        refused(
            sending(&world, operation, long.as_str()),
            413,
            "too_large",
            id,
        )
        .await;
        // Not a byte less than it could be.
        let fits = format!("x{}", &long[..BYTES_MAX - 1]);
        let request = sending(&world, operation, fits);
        refused(request, 400, "malformed_request", id).await;

        let path = operation.filled(world.about(operation));
        let line = format!("{} {path}", operation.method);
        let mut request = head(&world.instance, &line, world.entitled(operation));
        request.extend(b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut chunks = String::new();
        for chunk in long.as_bytes().chunks(9_000) {
            let text = std::str::from_utf8(chunk).expect("text");
            write!(chunks, "{:x}\r\n{text}\r\n", chunk.len()).expect("room");
        }
        request.extend(chunks.into_bytes());
        request.extend(b"0\r\n\r\n");
        let (found, headers, text) = exchange(&world.instance, &request).await;
        check(
            found,
            headers,
            text,
            413,
            "too_large",
            &format!("{id} in chunks"),
        );
    }
    world.is_as(&before).await;
}

#[tokio::test]
async fn a_body_says_that_it_is_json() {
    let world = World::new().await;
    let before = world.state().await;
    for operation in with_body(&world) {
        let bytes = fine(operation);
        let id = &operation.id;
        let unsaid = world.without_body(operation).body(bytes.clone());
        refused(unsaid, 415, "unsupported_media_type", id).await;
        for other in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonx",
            "application/merge-patch+json",
            "text/json",
            "application/*",
            "*/*",
            "json",
        ] {
            let request = world.without_body(operation).body(bytes.clone());
            let request = request.header(CONTENT_TYPE, other);
            refused(
                request,
                415,
                "unsupported_media_type",
                &format!("{id} {other}"),
            )
            .await;
        }
    }
    world.is_as(&before).await;
}

#[tokio::test]
async fn a_body_is_one_json_object_and_nothing_else() {
    let world = World::new().await;
    let before = world.state().await;
    for operation in with_body(&world) {
        let fine = fine(operation);
        let array = format!("[{fine}]");
        let twice = format!("{fine}{fine}");
        let long_text = json!("x".repeat(60_000)).to_string();
        let bad: Vec<Vec<u8>> = vec![
            b"".into(),
            b" ".into(),
            b"{".into(),
            b"null".into(),
            b"true".into(),
            b"7".into(),
            b"[]".into(),
            array.into(),
            long_text.into(),
            twice.into(),
            format!("{fine} x").into(),
            format!("{fine},").into(),
            format!("\u{feff}{fine}").into(),
            format!("// {fine}").into(),
            fine.replace('"', "'").replace("{}", "{'}").into(),
            format!("{}, }}", fine.trim_end_matches('}')).into(),
            [fine.as_bytes(), b"\0"].concat(),
            fine.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            b"user_id=alice".into(),
            // Not UTF-8, where a text could be and where nothing may.
            b"{\"\xff\":1}".into(),
            b"{\"a\":\"\xc3\x28\"}".into(),
            b"{\"a\":\"\\ud800\"}".into(),
            [fine.as_bytes(), b"\xff"].concat(),
            "[".repeat(60_000).into(),
            "{\"a\":".repeat(12_000).into(),
        ];
        for bytes in bad {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            let what = format!("{} {shown:?}", operation.id);
            let request = sending(&world, operation, bytes);
            refused(request, 400, "malformed_request", &what).await;
        }
    }
    world.is_as(&before).await;
}

/// The body with another value for a field, or with the field doubled, as text: JSON libraries
/// write no such thing.
fn with_field(operation: &Operation, name: &str, value: &Value) -> String {
    let fine = fine(operation);
    let rest = fine.strip_prefix('{').expect("an object");
    let separator = if rest == "}" { "" } else { "," };
    let name = json!(name);
    format!("{{{name}:{value}{separator}{rest}")
}

#[tokio::test]
async fn a_field_is_known_and_given_once() {
    let world = World::new().await;
    let before = world.state().await;
    for operation in with_body(&world) {
        let id = &operation.id;
        for unknown in ["surprise", "", "__proto__", "user-id", "Tenant "] {
            let bytes = with_field(operation, unknown, &json!(1));
            let refusal = sending(&world, operation, bytes);
            let refusal =
                refused(refusal, 400, "invalid_request", &format!("{id} {unknown}")).await;
            assert_eq!(
                refusal.fields().len(),
                1,
                "{id} {unknown}: {}",
                refusal.text
            );
        }
        let bytes = with_field(operation, &"x".repeat(50_000), &json!(1));
        refused(
            sending(&world, operation, bytes),
            400,
            "invalid_request",
            id,
        )
        .await;
        for name in properties(operation).map(|(name, _)| name) {
            let what = format!("{id} {name} twice");
            // Once as it is and once more, be it the same or another value.
            let own = body(operation).expect("a body")[name].clone();
            for value in [own, Value::Null, json!("x")] {
                let doubled = format!("{}:{value},", json!(name));
                let bytes =
                    with_field(operation, name, &value).replacen('{', &format!("{{{doubled}"), 1);
                names(sending(&world, operation, bytes), name, &what).await;
            }
        }
    }
    world.is_as(&before).await;
}

/// Whatever is nested in what isn't ours to know is strict JSON all the same.
#[tokio::test]
async fn free_form_objects_are_bounded_and_unambiguous_too() {
    let world = World::new().await;
    let before = world.state().await;
    let mut count = 0;
    for operation in with_body(&world) {
        for (name, schema) in properties(operation) {
            if schema["type"] != "object" {
                continue;
            }
            count += 1;
            let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
            let many: Vec<String> = (0..1_000).map(|n| format!("\"k{n}\":{n}")).collect();
            for value in [
                r#"{"a":1,"a":1}"#.to_owned(),
                r#"{"a":[{"b":1,"b":2}]}"#.to_owned(),
                r#"{"a":"x\u0000"}"#.to_owned(),
                r#"{"\u0000":1}"#.to_owned(),
                format!(r#"{{"a":{deep}}}"#),
                format!(r#"{{"a":"{}"}}"#, "x".repeat(5_000)),
                format!("{{{}}}", many.join(",")),
            ] {
                let what = format!("{} {name} {}", operation.id, &value[..value.len().min(40)]);
                let mut fine = body(operation).expect("a body");
                fine[name] = json!("here");
                let bytes = fine.to_string().replace("\"here\"", &value);
                names(sending(&world, operation, bytes), name, &what).await;
            }
        }
    }
    assert!(count >= 2, "only {count} fields are free-form");
    world.is_as(&before).await;
}

/// The fields of an operation's body, with their schemas.
pub fn properties(operation: &Operation) -> impl Iterator<Item = (&str, &Value)> {
    let schema = operation.body.as_ref().expect("a body");
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, schema)| (name.as_str(), schema))
}
