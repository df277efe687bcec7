//! How a decision is said over HTTP.

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use session_client::{Claims, Denial, Identity, identity};

use super::route::Convention;

/// Aliases of the identity fields that some application servers fold onto them. Envoy removes these
/// before the upstream sees them; never a field that is set here.
const ALIASES: &str = "x_session_subject,x_session_id,x_session_tenant,x_session_acr,x_session_auth_time,\
                       x_session_expires,x_session_scope,x_session_user,x.session.subject,x.session.id,\
                       x.session.user";

const ENVOY_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Let it through, as this session or as nobody: exactly 200 and an empty body.
pub fn allow(identity: Option<&Identity>, convention: Convention) -> Response<Full<Bytes>> {
    let mut headers = match identity {
        Some(identity) => identity.headers(|claims| fields(Some(claims))).clone(),
        None => fields(None),
    };
    if convention == Convention::Envoy {
        headers.insert(ENVOY_REMOVE, HeaderValue::from_static(ALIASES));
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
