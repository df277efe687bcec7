//! Bad header fields.

use reqwest::Method;
use reqwest::header::{HeaderValue, IF_MATCH};
use serde_json::json;

use super::raw::{exchange, head};
use super::refusal::{names, refused};
use super::world::World;
use crate::support::login;

/// What can't be read would be taken for not there: an update would overwrite, a login be doubled.
#[tokio::test]
async fn a_header_field_an_operation_reads_is_readable_and_there_once() {
    let world = World::new().await;
    let before = world.state().await;
    let mut count = 0;
    for operation in &world.operations {
        for parameter in operation.parameters("header") {
            let name = parameter.name.as_str();
            if name == "Prefer" {
                // Of which what isn't understood means nothing (RFC 7240).
                continue;
            }
            count += 1;
            let what = format!("{} {name}", operation.id);
            for bytes in [&b"\xff"[..], b"\"1\"\xe9", "\u{1f600}".as_bytes()] {
                let value = HeaderValue::from_bytes(bytes).unwrap();
                names(world.granted(operation).header(name, value), name, &what).await;
            }
            for (one, two) in [("\"1\"", "\"1\""), ("*", "\"9\""), ("", "x")] {
                let twice = world.granted(operation).header(name, one).header(name, two);
                names(twice, name, &format!("{what} {one} {two}")).await;
            }
            let max = parameter.schema["maxLength"].as_u64();
            let max = max.unwrap_or_else(|| panic!("{what} has no bound"));
            let long = "1".repeat(usize::try_from(max).unwrap() + 1);
            names(world.granted(operation).header(name, long), name, &what).await;
        }
    }
    assert!(count >= 2, "only {count} operations read header fields");
    world.is_as(&before).await;
}

#[tokio::test]
async fn a_precondition_is_one_that_can_hold_or_nothing_is_changed() {
    let world = World::new().await;
    let before = world.state().await;
    let path = format!("/sessions/{}", world.alice[0].id);
    let put = || {
        let put = world.instance.service(Method::PUT, &path);
        put.json(&json!({"device_name": "mine"}))
    };
    for bad in [
        "",
        "1",
        "W/\"1\"",
        "\"\"",
        "\"x\"",
        "\"+1\"",
        "\"-1\"",
        "\"1",
        "\"1\", \"2\"",
        "* ",
    ] {
        // Spaces around a field's value aren't part of it.
        if bad.trim() == "*" {
            continue;
        }
        names(put().header(IF_MATCH, bad), "If-Match", bad).await;
    }
    names(
        put().header(IF_MATCH, "\"99999999999999999999\""),
        "If-Match",
        "huge",
    )
    .await;
    for stale in ["\"0\"", "\"2\"", "\"18446744073709551615\""] {
        refused(
            put().header(IF_MATCH, stale),
            409,
            "version_conflict",
            stale,
        )
        .await;
    }
    let stale = json!({"device_name": "mine", "version": 2});
    let stale = world.instance.service(Method::PUT, &path).json(&stale);
    refused(stale, 409, "version_conflict", "in the body").await;
    let two = json!({"device_name": "mine", "version": 1});
    let two = world.instance.service(Method::PUT, &path).json(&two);
    names(two.header(IF_MATCH, "\"2\""), "version", "two that differ").await;
    world.is_as(&before).await;
}

#[tokio::test]
async fn an_idempotency_key_is_printable_and_of_bounded_length() {
    let world = World::new().await;
    let before = world.state().await;
    let post = || {
        let post = world.instance.service(Method::POST, "/sessions");
        post.json(&login("alice"))
    };
    for bad in ["", "a\tb", &"k".repeat(256), &"k".repeat(20_000)] {
        let what = &bad[..bad.len().min(20)];
        names(
            post().header("Idempotency-Key", bad),
            "Idempotency-Key",
            what,
        )
        .await;
    }
    // Not even a header field: refused before anybody looks what for.
    for control in ["\0", "\x1b", "\x7f", "\r"] {
        let line = "POST /api/v1/sessions";
        let mut request = head(&world.instance, line, Some(&world.instance.service_key));
        request.extend(format!("Idempotency-Key: a{control}b\r\n\r\n").into_bytes());
        assert_eq!(
            exchange(&world.instance, &request).await.0,
            400,
            "{control:?}"
        );
    }
    world.is_as(&before).await;
}

#[tokio::test]
async fn a_trace_that_is_no_trace_is_as_good_as_none() {
    let world = World::new().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let good = format!("00-{trace}-b7ad6b7169203331-01");
    let path = format!("/sessions/{}", world.bob.id);
    let ask = async |headers: &[&[u8]]| {
        let alice = &world.alice[0].access;
        let mut request = world.instance.user(alice, Method::GET, &path);
        for value in headers {
            let value = HeaderValue::from_bytes(value).unwrap();
            request = request.header("traceparent", value);
        }
        let refusal = refused(request, 404, "not_found", "another's").await;
        refusal.body["trace_id"]
            .as_str()
            .expect("a trace id")
            .to_owned()
    };
    assert_eq!(ask(&[good.as_bytes()]).await, trace);
    let long = "0".repeat(5_000);
    for bad in [
        &b""[..],
        b"x",
        b"\xff",
        &good.as_bytes()[1..],
        good.to_uppercase().as_bytes(),
        long.as_bytes(),
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    ] {
        let found = ask(&[bad]).await;
        assert_ne!(found, trace, "{bad:?}");
        let hex = found.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(found.len() == 32 && hex, "{found}");
    }
    assert_ne!(ask(&[good.as_bytes(), good.as_bytes()]).await, trace);
}
