//! Fields of the wrong type or beyond their bounds: of every field of every body, by its schema.

use serde_json::{Value, json};

use super::bodies::{properties, with_body};
use super::refusal::names;
use super::world::{World, body};
use crate::support::api::answer;
use crate::support::operations::Operation;

/// What a value of this schema can't be. Fails where the schema says too little to tell.
#[expect(clippy::too_many_lines, reason = "one table: a kind of value, an arm")]
fn bad(what: &str, schema: &Value) -> Vec<Value> {
    if let Some(all) = schema["allOf"].as_array() {
        return bad(what, &all[0]);
    }
    let number = |name: &str| {
        let bound = schema[name].as_f64();
        #[allow(
            clippy::cast_possible_truncation,
            reason = "bounds are whole and small"
        )]
        bound.map(|bound| bound as i64)
    };
    let length = |name: &str| number(name).map(|bound| usize::try_from(bound).expect("a length"));
    match schema["type"].as_str() {
        Some("string") => {
            let mut bad = vec![
                json!(7),
                json!(1.5),
                json!(true),
                json!([]),
                json!(["x"]),
                json!({}),
            ];
            if schema["enum"].is_array() {
                bad.extend([json!(""), json!("nonsense")]);
                return bad;
            }
            if schema["format"] == "date-time" {
                let dates = [
                    "",
                    "yesterday",
                    "2026-02-30T00:00:00Z",
                    "2026-01-01",
                    "1767225600",
                ];
                bad.extend(dates.map(|date| json!(date)));
                return bad;
            }
            // A pattern without repetition bounds the length as well.
            let pattern = schema["pattern"].as_str();
            let bounded =
                pattern.is_some_and(|text| text.ends_with('$') && !text.contains(['*', '+']));
            let max = length("maxLength").or(bounded.then_some(100));
            let max = max.unwrap_or_else(|| panic!("{what} has no maxLength"));
            // Of characters, however many bytes each takes.
            for character in ["x", "\u{e9}", "\u{1f600}"] {
                bad.push(json!(character.repeat(max + 1)));
            }
            bad.push(json!("\0"));
            if let Some(min @ 1..) = length("minLength") {
                bad.push(json!("x".repeat(min - 1)));
            }
            if schema["pattern"].is_string() {
                // No pattern here has room for these.
                bad.extend([json!("a\nb"), json!("\u{1b}[2J"), json!("a\u{9b}")]);
            }
            bad
        }
        Some("integer") => {
            let mut bad = vec![
                json!("7"),
                json!("x"),
                json!(1.5),
                json!(1e30),
                json!(true),
                json!([]),
                json!([7]),
                json!({}),
            ];
            let unsigned = schema["format"]
                .as_str()
                .is_some_and(|format| format.starts_with('u'));
            assert!(
                unsigned || number("minimum").is_some(),
                "{what} has no minimum"
            );
            let min = number("minimum").unwrap_or(0);
            bad.extend([json!(min - 1), json!(i64::MIN)]);
            bad.extend(number("maximum").map(|max| json!(max + 1)));
            if schema["format"] != "uint64" {
                bad.push(json!(u64::MAX));
            }
            bad
        }
        Some("boolean") => ["true", "", "1"]
            .map(|text| json!(text))
            .into_iter()
            .chain([json!(1), json!(0), json!([]), json!({})])
            .collect(),
        Some("array") => {
            let mut bad = vec![
                json!("x"),
                json!(7),
                json!(true),
                json!({}),
                json!({"0": "x"}),
            ];
            let max = length("maxItems").unwrap_or_else(|| panic!("{what} has no maxItems"));
            bad.push(json!(vec!["x"; max + 1]));
            if let Some(min @ 1..) = length("minItems") {
                bad.push(json!(vec!["x"; min - 1]));
            }
            let item = format!("{what}[]");
            bad.extend(
                self::bad(&item, &schema["items"])
                    .into_iter()
                    .map(|value| json!([value])),
            );
            bad.push(json!([null]));
            bad
        }
        Some("object") => vec![
            json!("x"),
            json!("{}"),
            json!(7),
            json!(true),
            json!([]),
            json!([1]),
        ],
        other => panic!("{what} is {other:?}, which this test knows nothing of"),
    }
}

fn required(operation: &Operation, name: &str) -> bool {
    let schema = operation.body.as_ref().expect("a body");
    let required = schema["required"].as_array().into_iter().flatten();
    required.into_iter().any(|one| one == name)
}

#[tokio::test]
async fn a_field_is_of_its_type_and_within_its_bounds() {
    let world = World::new().await;
    let before = world.state().await;
    for operation in with_body(&world) {
        for (name, schema) in properties(operation) {
            let field = format!("{}.{name}", operation.id);
            let mut bad = bad(&field, schema);
            if required(operation, name) {
                bad.push(Value::Null);
            }
            for value in bad {
                let shown: String = value.to_string().chars().take(60).collect();
                let mut body = body(operation).expect("a body");
                body[name] = value;
                let request = world.without_body(operation).json(&body);
                names(request, name, &format!("{field} {shown}")).await;
            }
        }
    }
    world.is_as(&before).await;
}

#[tokio::test]
async fn a_field_that_is_needed_is_there() {
    let world = World::new().await;
    let before = world.state().await;
    for operation in with_body(&world) {
        let names_of = properties(operation).map(|(name, _)| name);
        for name in names_of.filter(|name| required(operation, name)) {
            let mut body = body(operation).expect("a body");
            body.as_object_mut().expect("an object").remove(name);
            let request = world.without_body(operation).json(&body);
            names(request, name, &format!("{} without {name}", operation.id)).await;
        }
    }
    world.is_as(&before).await;
}

/// `null` is what many languages write for what isn't there.
#[tokio::test]
async fn a_field_that_may_be_left_out_may_be_null() {
    let world = World::new().await;
    let operation = with_body(&world).find(|operation| operation.id == "createSession");
    let operation = operation.expect("an operation");
    let ask = async |body: &Value| {
        let mut made = answer(world.without_body(operation).json(body), 201).await;
        let session = made["session"].take();
        let mut session = session.as_object().expect("an object").clone();
        session.retain(|name, _| name != "id" && !name.ends_with("_at") && name != "auth_time");
        session
    };
    let short = body(operation).expect("a body");
    let mut long = short.clone();
    for (name, _) in properties(operation) {
        if long[name].is_null() {
            long[name] = Value::Null;
        }
    }
    assert!(long.as_object().unwrap().len() > short.as_object().unwrap().len());
    assert_eq!(ask(&short).await, ask(&long).await);
}
