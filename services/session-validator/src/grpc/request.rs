//! What a gateway asks by a `CheckRequest`.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use session_client::DEFAULT;

use super::question::Question;
use crate::authz::is_method;

/// The key of `context_extensions` that names the policy.
const POLICY: &[u8] = b"policy";

/// A question, taken out of its envelope.
pub struct Asked {
    /// The policy named, or the default.
    pub policy: Cow<'static, str>,
    /// The method, where there is one.
    pub method: Option<String>,
    /// The header fields; one that came several times is there several times, however it was
    /// spelled.
    pub headers: HeaderMap,
}

/// Reads a question. What is missing is missing in what it returns, and refused by whoever needs
/// it.
pub fn read(question: Question) -> Asked {
    let attributes = question.attributes.unwrap_or_default();
    // Of a key that comes twice the last counts, as in any map of this encoding.
    let mut extensions = attributes.context_extensions.iter().rev();
    let policy = extensions.find(|entry| entry.key == POLICY);
    // What isn't text names no policy that there is.
    let policy = policy.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
    let http = attributes.request.and_then(|request| request.http);
    let http = http.unwrap_or_default();
    let mut headers = HeaderMap::with_capacity(24);
    // Envoy sends one or the other.
    match http.header_map {
        Some(raw) if !raw.headers.is_empty() => {
            for field in raw.headers {
                let is_text = !field.value.is_empty();
                let value = if is_text {
                    field.value
                } else {
                    field.raw_value
                };
                add(&mut headers, &field.key, value);
            }
        }
        _ => {
            for entry in http.headers {
                add(&mut headers, &entry.key, entry.value);
            }
        }
    }
    Asked {
        policy: policy.map_or(DEFAULT.into(), Cow::Owned),
        method: Some(http.method).filter(|method| is_method(method)),
        headers,
    }
}

/// Adds a field. A name that can't be one (`:path`) isn't any we look at. A value that can't be one
/// is replaced by another that nothing takes for good: left out, what comes after it would count.
fn add(headers: &mut HeaderMap, name: &[u8], value: Bytes) {
    let Ok(name) = HeaderName::from_bytes(name) else {
        return;
    };
    let unreadable = || HeaderValue::from_bytes(&[0xff]).unwrap_or(HeaderValue::from_static(","));
    let value = HeaderValue::from_maybe_shared(value).unwrap_or_else(|_| unreadable());
    // Fails beyond 24 000 different names, which no gateway lets through. A credential that was
    // left out for that is none.
    let _ = headers.try_append(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::ext_authz::v3::pb::CheckRequest;
    use envoy_types::pb::envoy::config::core::v3::{HeaderMap as Raw, HeaderValue as RawValue};
    use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
    use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
    use prost::Message;

    /// As it is read off the wire.
    fn read(request: &CheckRequest) -> Asked {
        let question = Question::decode(Bytes::from(request.encode_to_vec()));
        super::read(question.unwrap())
    }

    fn asked(http: HttpRequest) -> Asked {
        let attributes = AttributeContext {
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            ..AttributeContext::default()
        };
        read(&CheckRequest {
            attributes: Some(attributes),
        })
    }

    fn values(asked: &Asked, name: &str) -> Vec<Vec<u8>> {
        let values = asked.headers.get_all(name).iter();
        values.map(|value| value.as_bytes().to_vec()).collect()
    }

    #[test]
    fn nothing_is_the_default_policy_and_no_method() {
        let asked = read(&CheckRequest::default());
        assert_eq!((&*asked.policy, asked.method), ("default", None));
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

    #[test]
    fn policy_and_method_are_found_where_envoy_puts_them() {
        let context = [("policy", "pay"), ("other", "x")];
        let http = HttpRequest {
            id: "7".into(),
            method: "PUT".into(),
            path: "/x".into(),
            body: "policy".into(),
            ..HttpRequest::default()
        };
        let asked = read(&CheckRequest {
            attributes: Some(AttributeContext {
                request: Some(Request {
                    http: Some(http),
                    ..Request::default()
                }),
                context_extensions: context.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                ..AttributeContext::default()
            }),
        });
        assert_eq!(
            (&*asked.policy, asked.method.as_deref()),
            ("pay", Some("PUT"))
        );
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_counts_and_what_is_no_text_names_nothing() {
        let entry = |value: &'static [u8]| super::super::question::Entry {
            key: Bytes::from_static(POLICY),
            value: Bytes::from_static(value),
        };
        let policy = |entries: Vec<_>| {
            let attributes = super::super::question::Attributes {
                request: None,
                context_extensions: entries,
            };
            let question = Question {
                attributes: Some(attributes),
            };
            super::read(question).policy
        };
        assert_eq!(policy(vec![entry(b"a"), entry(b"b")]), "b");
        assert_eq!(policy(vec![entry(b"a"), entry(b"")]), "");
        assert_ne!(policy(vec![entry(b"default\xff")]), DEFAULT);
    }
}
