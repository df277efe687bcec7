//! What every refusal is like.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// What of our insides no refusal tells: names of libraries, types, files and tables.
const INSIDES: [&str; 16] = [
    "sqlite", "sqlx", "sea-orm", "sea_orm", "postgres", "redis", "nats", "poem", "serde", "tokio",
    "panick", ".rs", "struct ", "u32", "u64", "i64",
];

/// A refusal is never longer, whatever was sent.
const BYTES_MAX: usize = 4 * 1024;

/// A refused request's answer.
pub struct Refusal {
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Refusal {
    /// The fields it names.
    pub fn fields(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().into_iter().flatten();
        let fields = errors.map(|error| {
            let message = error["message"].as_str().expect("a message");
            assert!(!message.is_empty(), "{}", self.text);
            error["field"].as_str().expect("a field").to_owned()
        });
        fields.collect()
    }

    /// The answer without what names the request.
    pub fn anonymous(&self) -> (String, Vec<(String, String)>) {
        let trace_id = self.body["trace_id"].as_str().expect("a trace id");
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .filter(|(name, _)| !["date", "trace-id"].contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect();
        headers.sort_unstable();
        (self.text.replace(trace_id, ""), headers)
    }
}

/// Sends a request that must be refused with this status and code, the way everything is.
pub async fn refused(request: RequestBuilder, status: u16, code: &str, what: &str) -> Refusal {
    let response = request.send().await.expect("an answer");
    let (found, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    check(found, headers, text, status, code, what)
}

/// What [`refused`] checks, of an answer that has been read.
pub fn check(
    found: u16,
    headers: HeaderMap,
    text: String,
    status: u16,
    code: &str,
    what: &str,
) -> Refusal {
    assert_eq!(found, status, "{what}: {text}");
    let header = |name: &str| {
        let value = headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    };
    assert_eq!(header("content-type"), "application/problem+json", "{what}");
    assert_eq!(header("cache-control"), "no-store", "{what}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(
        status == 401,
        !header("www-authenticate").is_empty() && status != 400,
        "{what}"
    );
    assert!(text.len() <= BYTES_MAX, "{what}: {} bytes", text.len());
    let body: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(body["code"], code, "{what}: {text}");
    assert_eq!(body["status"], status, "{what}");
    assert_eq!(body["type"], "about:blank", "{what}");
    assert_eq!(body["trace_id"], header("trace-id"), "{what}");
    for member in body.as_object().expect("an object").keys() {
        let known = [
            "type", "title", "status", "code", "detail", "errors", "trace_id",
        ];
        assert!(known.contains(&member.as_str()), "{what}: {member}");
    }
    let told = format!("{} {}", body["detail"], body["errors"]).to_lowercase();
    for inside in INSIDES {
        assert!(!told.contains(inside), "{what} tells of {inside}: {text}");
    }
    Refusal {
        headers,
        text,
        body,
    }
}

/// Sends a request of which this field must be named as wrong, or something within it.
pub async fn names(request: RequestBuilder, field: &str, what: &str) {
    let refusal = refused(request, 400, "invalid_request", what).await;
    let within = |found: &String| {
        let rest = found.strip_prefix(field);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let fields = refusal.fields();
    assert!(
        !fields.is_empty() && fields.iter().all(within),
        "{what}: {field} is not what is named in {}",
        refusal.text
    );
}
