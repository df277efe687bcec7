//! How a decision is said over HTTP.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use session_client::{Claims, Denial, Identity, identity};

use super::route::Convention;

/// What Envoy is to remove before the upstream sees it.
static ALIASES: LazyLock<HeaderValue> = LazyLock::new(|| {
    let names = identity::ALIASES.join(",");
    HeaderValue::try_from(names).expect("names of fields and commas are printable ASCII")
});

const ENVOY_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Let it through, as this session or as nobody: exactly 200 and an empty body.
pub fn allow(identity: Option<&Identity>, convention: Convention) -> Response<Full<Bytes>> {
    let mut headers = match identity {
        Some(identity) => identity.headers(|claims| fields(Some(claims))).clone(),
        None => fields(None),
    };
    if convention == Convention::Envoy {
        headers.insert(ENVOY_REMOVE, ALIASES.clone());
    }
    let mut response = Response::new(Full::default());
    *response.headers_mut() = headers;
    response
}

fn fields(claims: Option<&Claims>) -> HeaderMap {
    let mut headers: HeaderMap = identity::fields(claims).collect();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers
}

/// Don't, and why.
pub fn deny(denial: &Denial) -> Response<Full<Bytes>> {
    let answer = denial.answer();
    let mut response = Response::new(answer.body.into());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoy_is_told_to_remove_aliases_and_never_what_is_set() {
        let response = allow(None, Convention::Envoy);
        let removed = response.headers()[&ENVOY_REMOVE].to_str().unwrap();
        for name in removed.split(',') {
            assert!(identity::is_alias(name), "{name}");
        }
    }
}
