//! Every operation of the API document, and who may call it: what the tests that go through all of
//! them have in common. One that isn't in the table below fails them, and so does one in the table
//! that the document doesn't name; so that none can be added without saying here who may call it.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::api::answer;
use super::{Instance, login};

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Users, about what is theirs.
    User,
    /// Services with this scope.
    Service(&'static str),
    /// Users about what is theirs, and services with this scope.
    Both(&'static str),
    /// Administrators of the deployment: not those tied to a tenant.
    Deployment,
}
use Callers::{Both, Deployment, Service, User};

/// Everybody, with the reason why. This list may only shrink.
pub const EXCEPTIONS: [(&str, &str); 3] = [
    ("health", "says only that the process answers"),
    ("jwks", "public keys are public"),
    (
        "refreshSession",
        "the refresh token in the body is the credential",
    ),
];

/// Who may call each of the others, with a body it would accept from them.
pub fn table() -> BTreeMap<&'static str, (Callers, Option<Value>)> {
    let create = "sessions:create";
    let read = "sessions:read";
    let revoke = "sessions:revoke";
    let token = Some(json!({"session_token": "x"}));
    let service = Some(json!({"name": "x", "scopes": ["introspect"]}));
    let revocation = Some(json!({"user_id": "nobody", "dry_run": true}));
    BTreeMap::from([
        ("createSession", (Service(create), Some(login("alice")))),
        ("listSessions", (User, None)),
        ("getCurrentSession", (User, None)),
        ("logout", (User, None)),
        ("revokeOtherSessions", (User, None)),
        ("revokeAllSessions", (User, None)),
        ("getSession", (Both(read), None)),
        (
            "updateSession",
            (Both(create), Some(json!({"device_name": "x"}))),
        ),
        ("endSession", (Both(revoke), None)),
        ("revokeSession", (Both(revoke), Some(json!({})))),
        ("extendSession", (Both(create), Some(json!({})))),
        (
            "stepUpSession",
            (Service(create), Some(json!({"amr": ["otp"]}))),
        ),
        ("listUserSessions", (Service(read), None)),
        ("listUserActiveSessions", (Service(read), None)),
        ("validateSession", (Service(read), token.clone())),
        ("validateSessionSecurity", (Service(read), token)),
        ("sessionStats", (Service("sessions:admin"), None)),
        ("cleanupSessions", (Deployment, None)),
        ("listDevices", (User, None)),
        ("changeDevice", (User, Some(json!({"trusted": true})))),
        ("forgetDevice", (User, None)),
        ("listSigningKeys", (Deployment, None)),
        ("rotateSigningKey", (Deployment, None)),
        ("retireSigningKey", (Deployment, None)),
        ("listServiceKeys", (Deployment, None)),
        ("createServiceKey", (Deployment, service)),
        ("revokeServiceKey", (Deployment, None)),
        ("listValidators", (Deployment, None)),
        ("createRevocation", (Service("sessions:admin"), revocation)),
        ("getRevocation", (Service("sessions:admin"), None)),
    ])
}

/// Every scope a service key can have.
pub const SCOPES: [&str; 6] = [
    "sessions:create",
    "sessions:read",
    "sessions:revoke",
    "sessions:admin",
    "audit:read",
    "introspect",
];

/// Something an operation reads beside its body.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub name: String,
    /// `query`, `header` or `path`.
    pub place: String,
    pub schema: Value,
}

/// One operation of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    /// The credentials it takes, by name.
    pub security: Vec<String>,
    pub parameters: Vec<Parameter>,
    /// The schema of its body.
    pub body: Option<Value>,
}

impl Operation {
    /// A request for it about the session, device or key of this id, else about what is Alice's.
    pub fn request(&self, instance: &Instance, about: &str) -> RequestBuilder {
        instance.request(self.method.clone(), &self.filled(about))
    }

    /// Its path, about the session, device or key of this id, else about what is Alice's.
    pub fn filled(&self, about: &str) -> String {
        let path = self
            .path
            .replace("{id}", about)
            .replace("{user_id}", "alice")
            .replace("{kid}", "nobodys");
        assert!(
            !path.contains('{'),
            "{path} has a part the tests can't fill"
        );
        path
    }

    /// What it reads at this place.
    pub fn parameters(&self, place: &str) -> impl Iterator<Item = &Parameter> {
        let parameters = self.parameters.iter();
        parameters.filter(move |parameter| parameter.place == place)
    }
}

/// All of them, as the instance's own document has them.
///
/// Fails where the table of who may call them isn't complete.
pub async fn operations(instance: &Instance) -> Vec<Operation> {
    let document = answer(instance.request(Method::GET, "/openapi.json"), 200).await;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            operations.push(read(&document, path, method, operation));
        }
    }
    complete(&operations);
    operations
}

fn read(document: &Value, path: &str, method: &str, operation: &Value) -> Operation {
    let schemes = operation["security"].as_array().into_iter().flatten();
    let names = schemes.flat_map(|one| one.as_object().expect("a scheme").keys().cloned());
    let mut security: Vec<String> = names.collect();
    security.sort_unstable();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    Operation {
        id: text(&operation["operationId"]),
        method: method.to_uppercase().parse().expect("a method"),
        path: path.to_owned(),
        security,
        parameters: parameters
            .map(|parameter| Parameter {
                name: text(&parameter["name"]),
                place: text(&parameter["in"]),
                schema: resolved(document, &parameter["schema"]),
            })
            .collect(),
        body: body.is_object().then(|| resolved(document, body)),
    }
}

/// A schema with those it refers to in their places.
fn resolved(document: &Value, schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref") {
                let name = name.as_str().expect("a reference");
                let found = document.pointer(name.trim_start_matches('#'));
                return resolved(document, found.expect("what is referred to"));
            }
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), resolved(document, value)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(|item| resolved(document, item)).collect(),
        other => other.clone(),
    }
}

fn complete(operations: &[Operation]) {
    let table = table();
    let listed = |id: &str| table.contains_key(id) || EXCEPTIONS.iter().any(|(one, _)| *one == id);
    let missing: Vec<_> = operations
        .iter()
        .filter(|operation| !listed(&operation.id))
        .map(|operation| format!("{} {} ({})", operation.method, operation.path, operation.id))
        .collect();
    assert!(
        missing.is_empty(),
        "not in the table of tests/support/operations.rs, which says who may call them:\n  {}",
        missing.join("\n  ")
    );
    let exceptions = EXCEPTIONS.iter().map(|(id, _)| *id);
    let listed = table.keys().copied().chain(exceptions);
    let gone: Vec<_> = listed
        .filter(|id| !operations.iter().any(|operation| operation.id == *id))
        .collect();
    assert!(
        gone.is_empty(),
        "in the table of tests/support/operations.rs, but not in the API document: {gone:?}"
    );
}

/// A new service key.
pub async fn service_key(instance: &Instance, scopes: &[&str], tenant: Option<&str>) -> String {
    let body = json!({"name": "test", "scopes": scopes, "tenant": tenant});
    let made = instance
        .service(Method::POST, "/admin/service-keys")
        .json(&body);
    let made = answer(made, 201).await;
    made["key"].as_str().expect("a key").to_owned()
}

/// One that answers each of many invalid credentials for what it is.
pub fn patient(command: &mut std::process::Command) {
    command.env("SESSION_LIMIT__INVALID_CREDENTIALS_PER_MINUTE", "1000000");
}
