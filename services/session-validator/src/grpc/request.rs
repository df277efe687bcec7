//! What a gateway asks by a `CheckRequest`.

use envoy_types::ext_authz::v3::pb::CheckRequest;
use http::{HeaderMap, HeaderName, HeaderValue};
use session_client::DEFAULT;

use crate::authz::is_method;

/// The key of `context_extensions` that names the policy.
const POLICY: &str = "policy";

/// A question, taken out of its envelope.
pub struct Asked {
    /// The policy named, or the default.
    pub policy: String,
    /// The method, where there is one.
    pub method: Option<String>,
    /// The header fields; one that came several times is there several times, however it was
    /// spelled.
    pub headers: HeaderMap,
}

/// Reads a question. What is missing is missing in what it returns, and refused by whoever needs
/// it.
pub fn read(request: CheckRequest) -> Asked {
    let mut attributes = request.attributes.unwrap_or_default();
    let policy = attributes.context_extensions.remove(POLICY);
    let http = attributes.request.and_then(|request| request.http);
    let http = http.unwrap_or_default();
    let mut headers = HeaderMap::new();
    // Envoy sends one or the other.
    match http.header_map {
        Some(raw) if !raw.headers.is_empty() => {
            for header in raw.headers {
                let text = header.value.as_bytes();
                let value = if text.is_empty() {
                    &header.raw_value
                } else {
                    text
                };
                add(&mut headers, &header.key, value);
            }
        }
        _ => {
            for (name, value) in &http.headers {
                add(&mut headers, name, value.as_bytes());
            }
        }
    }
    Asked {
        policy: policy.unwrap_or_else(|| DEFAULT.to_owned()),
        method: Some(http.method).filter(|method| is_method(method)),
        headers,
    }
}

/// Adds a field. A name that can't be one (`:path`) isn't any we look at. A value that can't be one
/// is replaced by another that nothing takes for good: left out, what comes after it would count.
fn add(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        return;
    };
    let unreadable = || HeaderValue::from_bytes(&[0xff]).unwrap_or(HeaderValue::from_static(","));
    let value = HeaderValue::from_bytes(value).unwrap_or_else(|_| unreadable());
    // Fails beyond 24 000 different names, which no gateway lets through. A credential that was
    // left out for that is none.
    let _ = headers.try_append(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::config::core::v3::{HeaderMap as Raw, HeaderValue as RawValue};
    use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
    use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};

    fn asked(http: HttpRequest) -> Asked {
        let attributes = AttributeContext {
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            ..AttributeContext::default()
        };
        read(CheckRequest {
            attributes: Some(attributes),
        })
    }

    fn values(asked: &Asked, name: &str) -> Vec<Vec<u8>> {
        let values = asked.headers.get_all(name).iter();
        values.map(|value| value.as_bytes().to_vec()).collect()
    }

    #[test]
    fn nothing_is_the_default_policy_and_no_method() {
        let asked = read(CheckRequest::default());
        assert_eq!((asked.policy.as_str(), asked.method), ("default", None));
        assert!(asked.headers.is_empty());
    }

    #[test]
    fn names_differ_in_more_than_case() {
        let pairs = [
            ("Authorization", "Bearer a"),
            ("authorization", "Bearer b"),
            (":path", "/"),
        ];
        let asked = asked(HttpRequest {
            headers: pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            ..HttpRequest::default()
        });
        assert_eq!(values(&asked, "authorization").len(), 2);
        assert_eq!(asked.headers.keys_len(), 1);
    }

    #[test]
    fn raw_fields_count_each_and_unreadable_ones_stay_present() {
        let raw = |key: &str, value: &str, raw: &[u8]| RawValue {
            key: key.into(),
            value: value.into(),
            raw_value: raw.into(),
        };
        let asked = asked(HttpRequest {
            header_map: Some(Raw {
                headers: vec![
                    raw("cookie", "", b"a=b"),
                    raw("Cookie", "c=d", b""),
                    raw("authorization", "", b"Bearer a\r\nx: y"),
                ],
            }),
            ..HttpRequest::default()
        });
        assert_eq!(values(&asked, "cookie"), [b"a=b".to_vec(), b"c=d".to_vec()]);
        assert_eq!(values(&asked, "authorization"), [vec![0xff]]);
    }
}
