//! Asking the API, and reading its answers.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::Instance;

/// The body of the answer to `request`, which must have this status. `Null` where it is empty.
pub async fn answer(request: RequestBuilder, expected: u16) -> Value {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.text().await.expect("a body");
    assert_eq!(status, expected, "{body}");
    if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&body).expect("JSON")
    }
}

/// The code of the problem `request` is answered with, which must have this status.
pub async fn problem(request: RequestBuilder, expected: u16) -> String {
    let body = answer(request, expected).await;
    body["code"].as_str().expect("a code").to_owned()
}

/// The same request with these parameters added to its query.
pub fn with_query(request: RequestBuilder, pairs: &[(&str, &str)]) -> RequestBuilder {
    let (client, request) = request.build_split();
    let mut request = request.expect("a request");
    request.url_mut().query_pairs_mut().extend_pairs(pairs);
    RequestBuilder::from_parts(client, request)
}

impl Instance {
    /// A request by the service, below `/api/v1`.
    pub fn service(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, &format!("/api/v1{path}"))
            .bearer_auth(&self.service_key)
    }

    /// A request by a user, below `/api/v1`.
    pub fn user(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, &format!("/api/v1{path}"))
            .bearer_auth(token)
    }

    /// A session as the service sees it, which is no use of it.
    pub async fn shown(&self, id: &str) -> Value {
        answer(self.service(Method::GET, &format!("/sessions/{id}")), 200).await
    }
}
