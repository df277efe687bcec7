//! Somebody to refuse, and what must not have changed by it.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::api::answer;
use crate::support::operations::{Callers, Operation, operations, patient, service_key, table};
use crate::support::{Instance, SignedIn, login};

/// An instance with some users, their sessions and devices.
pub struct World {
    pub instance: Instance,
    pub operations: Vec<Operation>,
    /// Two sessions of one user, on a device each.
    pub alice: [SignedIn; 2],
    pub bob: SignedIn,
    /// Somebody of another tenant whose id is Alice's.
    pub acme: SignedIn,
    /// An administrator of that tenant.
    pub acme_admin: String,
    /// The devices of the first of Alice's sessions, of Bob's and of the other tenant's Alice.
    pub devices: [String; 3],
    _dir: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let instance = Instance::start_with(dir.path(), patient);
        let on = async |user: &str, tenant: &str, device: &str| {
            let mut body = login(user);
            body["tenant"] = json!(tenant);
            body["device_fingerprint"] = json!(device);
            let response = instance.create(body).await;
            let body: Value = response.json().await.expect("JSON");
            let device = body["session"]["device"]["id"].as_str().expect("an id");
            (SignedIn::from(&body), device.to_owned())
        };
        let (alice, alices) = on("alice", "default", "one").await;
        let (second, _) = on("alice", "default", "two").await;
        let (bob, bobs) = on("bob", "default", "one").await;
        let (acme, acmes) = on("alice", "acme", "one").await;
        let scopes = ["sessions:admin"];
        Self {
            operations: operations(&instance).await,
            acme_admin: service_key(&instance, &scopes, Some("acme")).await,
            alice: [alice, second],
            devices: [alices, bobs, acmes],
            bob,
            acme,
            instance,
            _dir: dir,
        }
    }

    /// A request for an operation by somebody who may, about what is theirs, with a body that is
    /// fine: so that whatever is then done to it is what it is refused for.
    pub fn granted(&self, operation: &Operation) -> RequestBuilder {
        let request = self.without_body(operation);
        match body(operation) {
            Some(body) => request.json(&body),
            None => request,
        }
    }

    /// The same without a body.
    pub fn without_body(&self, operation: &Operation) -> RequestBuilder {
        let request = operation.request(&self.instance, self.about(operation));
        self.grant(operation, request)
    }

    /// A request with the credential of somebody who may.
    pub fn grant(&self, operation: &Operation, request: RequestBuilder) -> RequestBuilder {
        match self.entitled(operation) {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The credential of somebody who may.
    pub fn entitled(&self, operation: &Operation) -> Option<&str> {
        match table().get(operation.id.as_str()) {
            Some((Callers::User, _)) => Some(&self.alice[0].access),
            Some(_) => Some(&self.instance.service_key),
            None => None,
        }
    }

    /// The id of something of Alice's that an operation could be about.
    pub fn about(&self, operation: &Operation) -> &str {
        if operation.path.contains("/devices/") {
            &self.devices[0]
        } else {
            &self.alice[0].id
        }
    }

    /// Everything there is, but for what moves by being looked at.
    pub async fn state(&self) -> Value {
        let service = async |path: &str| {
            let mut found = answer(self.instance.service(Method::GET, path), 200).await;
            still(&mut found);
            found
        };
        let user = async |token: &str| {
            let request = self.instance.user(token, Method::GET, "/devices");
            let mut found = answer(request, 200).await;
            still(&mut found);
            found
        };
        json!([
            service("/sessions/user/alice").await,
            service("/sessions/user/alice?tenant=acme").await,
            service("/sessions/user/bob").await,
            service("/sessions/stats").await,
            service("/admin/keys").await,
            service("/admin/service-keys").await,
            user(&self.alice[0].access).await,
            user(&self.bob.access).await,
            user(&self.acme.access).await,
        ])
    }

    /// That nothing has changed since `before`, and every session is as good as it was.
    pub async fn is_as(&self, before: &Value) {
        assert_eq!(
            &self.state().await,
            before,
            "a refused request changed something"
        );
        for session in self.alice.iter().chain([&self.bob]) {
            assert_eq!(self.instance.validate(&session.access).await, 200);
            assert_eq!(self.instance.validate_cookie(&session.cookie).await, 200);
        }
    }
}

/// A body an operation takes.
pub fn body(operation: &Operation) -> Option<Value> {
    match table().remove(operation.id.as_str()) {
        Some((_, body)) => body,
        // Not a token anybody holds; all but that is fine.
        None => operation
            .body
            .as_ref()
            .map(|_| json!({"refresh_token": "x"})),
    }
}

/// Leaves out what moves by being looked at.
fn still(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("last_seen_at");
            fields.values_mut().for_each(still);
        }
        Value::Array(items) => items.iter_mut().for_each(still),
        _ => {}
    }
}
