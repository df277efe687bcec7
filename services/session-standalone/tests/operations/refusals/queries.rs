//! Bad parameters in the query.

use reqwest::Method;
use serde_json::Value;

use super::refusal::{names, refused};
use super::world::World;
use crate::support::api::{answer, with_query};

/// What a parameter of this schema can't be.
fn bad(name: &str, schema: &Value) -> Vec<String> {
    let mut bad: Vec<String> = Vec::new();
    let mut add = |values: &[&str]| bad.extend(values.iter().map(ToString::to_string));
    match schema["type"].as_str() {
        Some("integer") => {
            add(&[
                "",
                "x",
                "1.5",
                "-1",
                " 1",
                "1 ",
                "0x1",
                "99999999999999999999",
                "\u{0661}",
            ]);
            let bound = |name: &str, by: f64| {
                let bound = schema[name].as_f64();
                format!("{}", bound.expect("a bound") + by)
            };
            add(&[&bound("minimum", -1.0), &bound("maximum", 1.0)]);
        }
        Some("boolean") => add(&["", "x", "1"]),
        Some("string") if schema["enum"].is_array() => add(&["", "nonsense", "Active", "active "]),
        Some("string") => {
            let max = schema["maxLength"].as_u64();
            let max = max.unwrap_or_else(|| panic!("{name} has no bound"));
            add(&[
                "",
                "\0",
                "\u{fffd}",
                &"a".repeat(usize::try_from(max).unwrap() + 1),
            ]);
        }
        other => panic!("{name} is {other:?}, which this test knows nothing of"),
    }
    bad
}

#[tokio::test]
async fn every_parameter_is_known_given_once_and_within_its_bounds() {
    let world = World::new().await;
    let before = world.state().await;
    let guarded = world.operations.iter();
    for operation in guarded.filter(|operation| !operation.security.is_empty()) {
        let id = &operation.id;
        let query = |pairs: &[(&str, &str)]| with_query(world.granted(operation), pairs);
        names(query(&[("surprise", "1")]), "surprise", id).await;
        names(query(&[("", "")]), "", id).await;
        let long = "x".repeat(5_000);
        let refusal = query(&[(&long, "1")]);
        let refusal = refused(refusal, 400, "invalid_request", id).await;
        assert_eq!(refusal.fields().len(), 1);
        for parameter in operation.parameters("query") {
            let name = parameter.name.as_str();
            let what = |value: &str| format!("{id} ?{name}={}", &value[..value.len().min(40)]);
            names(query(&[(name, "1"), (name, "1")]), name, &what("twice")).await;
            for value in bad(name, &parameter.schema) {
                names(query(&[(name, &value)]), name, &what(&value)).await;
            }
            // By its name in other letters it is another one.
            let other = name.to_uppercase();
            names(query(&[(&other, "1")]), &other, &what("in capitals")).await;
        }
    }
    world.is_as(&before).await;
}

#[tokio::test]
async fn public_documents_are_there_whatever_is_added_to_their_address() {
    let world = World::new().await;
    for path in ["/.well-known/jwks.json?v=2", "/health?x&x"] {
        answer(world.instance.request(Method::GET, path), 200).await;
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_the_list_it_came_from_and_no_other() {
    let world = World::new().await;
    let [alice, _] = &world.alice;
    let cursor = async |path: &str| {
        let page = world.instance.user(&alice.access, Method::GET, path);
        let page = answer(page, 200).await;
        page["next_cursor"]
            .as_str()
            .expect("another page")
            .to_owned()
    };
    let sessions = cursor("/sessions?limit=1").await;
    let devices = cursor("/devices?limit=1").await;
    let user = |token: &str, path: &str, cursor: &str| {
        let request = world.instance.user(token, Method::GET, path);
        with_query(request, &[("cursor", cursor)])
    };
    // Where it came from, it is.
    answer(user(&alice.access, "/sessions", &sessions), 200).await;
    answer(user(&alice.access, "/devices", &devices), 200).await;

    let alice = &alice.access;
    names(
        user(alice, "/sessions", &devices),
        "cursor",
        "of the other list",
    )
    .await;
    names(
        user(alice, "/devices", &sessions),
        "cursor",
        "of the other list",
    )
    .await;
    for (path, cursor) in [("/sessions", &sessions), ("/devices", &devices)] {
        for stranger in [&world.bob, &world.acme] {
            names(user(&stranger.access, path, cursor), "cursor", "another's").await;
        }
        let last = cursor.len() - 1;
        let digit = if cursor.ends_with('0') { "1" } else { "0" };
        for tampered in [
            format!("{}{digit}", &cursor[..last]),
            cursor[..last].to_owned(),
            format!("{cursor}0"),
            cursor.to_uppercase(),
            format!(" {cursor}"),
            "0".repeat(cursor.len()),
            "next".to_owned(),
        ] {
            names(user(alice, path, &tampered), "cursor", &tampered).await;
        }
    }
    for path in [
        "/sessions/user/bob",
        "/sessions/user/bob/active",
        "/sessions/user/alice?tenant=acme",
    ] {
        let request = world.instance.service(Method::GET, path);
        names(
            with_query(request, &[("cursor", &sessions)]),
            "cursor",
            path,
        )
        .await;
    }
}
