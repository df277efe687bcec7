//! What a gateway is told. The contract is in `docs/gateways.md`; every line here has a gateway
//! that needs it.

use poem::Response;
use poem::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use poem::http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use session_domain::token::{Claims, Refusal};

use super::route::Convention;

/// The identity fields of an allow, all of them always: one left out would let the client's own
/// through on Envoy, and a placeholder on Caddy.
const FIELDS: [HeaderName; 7] = [
    HeaderName::from_static("x-session-subject"),
    HeaderName::from_static("x-session-id"),
    HeaderName::from_static("x-session-tenant"),
    HeaderName::from_static("x-session-acr"),
    HeaderName::from_static("x-session-auth-time"),
    HeaderName::from_static("x-session-expires"),
    HeaderName::from_static("x-session-scope"),
];

/// Aliases of [`FIELDS`] that some application servers fold onto them. Envoy removes these before
/// the upstream sees them; never a field that is set here.
const ALIASES: &str = "x_session_subject,x_session_id,x_session_tenant,x_session_acr,x_session_auth_time,\
                       x_session_expires,x_session_scope";

const X_SESSION_ERROR: HeaderName = HeaderName::from_static("x-session-error");
const ENVOY_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Why a request is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// No credential was presented.
    NoCredential,
    /// Several were, or one that can't be told from several.
    Ambiguous,
    /// One was, and it is refused.
    Refused(Refusal),
    /// A cookie came on a WebSocket handshake of a foreign origin.
    ForeignOrigin,
    /// The gateway named a policy that doesn't exist.
    UnknownPolicy,
    /// The path isn't one of ours: a gateway configured wrongly.
    UnknownPath,
    /// Whether it is good can't be known right now.
    Unavailable,
    /// It demands knowledge of an end that this validator hasn't heard of, if there is one.
    Behind,
}

impl Denial {
    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NoCredential | Self::Ambiguous | Self::Refused(_) => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin | Self::UnknownPolicy => StatusCode::FORBIDDEN,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Unavailable | Self::Behind => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable code, in the body and in `X-Session-Error`. What exactly is wrong with a token is
    /// for the operator's metrics, not for whoever made it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::Ambiguous => "invalid_request",
            Self::Refused(_) => "invalid_token",
            Self::ForeignOrigin => "foreign_origin",
            Self::UnknownPolicy => "unknown_policy",
            Self::UnknownPath => "not_found",
            Self::Unavailable => "unavailable",
            Self::Behind => "behind",
        }
    }

    /// What is told to people.
    const fn detail(self) -> &'static str {
        match self {
            Self::NoCredential => "Sign in to continue.",
            Self::Ambiguous => "Send exactly one credential.",
            Self::Refused(_) => "The session is not valid, or not any more.",
            Self::ForeignOrigin => {
                "WebSocket connections from this origin may not use the session cookie."
            }
            Self::UnknownPolicy => "The gateway asked by a policy that is not configured here.",
            Self::UnknownPath => "Ask at /v1/authz/{forwarded|original|envoy}/{policy}.",
            Self::Unavailable => {
                "It can't be known right now whether the session is valid. Try again shortly."
            }
            Self::Behind => {
                "The revocation demanded by Session-Min-Seq is not known here. Try again shortly."
            }
        }
    }

    /// The challenge of RFC 6750 §3, in one line: a second one gets lost in gateways.
    const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::NoCredential => Some(r#"Bearer realm="session""#),
            Self::Ambiguous => Some(r#"Bearer realm="session", error="invalid_request""#),
            Self::Refused(_) => Some(r#"Bearer realm="session", error="invalid_token""#),
            Self::ForeignOrigin
            | Self::UnknownPolicy
            | Self::UnknownPath
            | Self::Unavailable
            | Self::Behind => None,
        }
    }
}

#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
}

/// Let it through, as this session: exactly 200 and an empty body.
pub fn allow(claims: &Claims, convention: Convention) -> Response {
    let mut response = Response::builder().status(StatusCode::OK).finish();
    let headers = response.headers_mut();
    let values = [
        field(claims.subject.as_str()),
        field(&claims.session.to_string()),
        field(claims.tenant.as_str()),
        field(claims.acr.as_deref().unwrap_or_default()),
        HeaderValue::from(claims.auth_time.unix_seconds()),
        HeaderValue::from(claims.expires_at.unix_seconds()),
        field(claims.scope.as_deref().unwrap_or_default()),
    ];
    for (name, value) in FIELDS.into_iter().zip(values) {
        headers.insert(name, value);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if convention == Convention::Envoy {
        headers.insert(ENVOY_REMOVE, HeaderValue::from_static(ALIASES));
    }
    response
}

/// Don't, and why (RFC 9457).
pub fn deny(denial: Denial) -> Response {
    let status = denial.status();
    let problem = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        code: denial.code(),
        detail: denial.detail(),
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::builder().status(status).body(body);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_SESSION_ERROR, HeaderValue::from_static(denial.code()));
    if let Some(challenge) = denial.challenge() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A value for a header field: `-` where there is none. What isn't printable ASCII, and `%` itself,
/// is percent-encoded as UTF-8, so that every value is a header value and no two values look the
/// same; so is a value that is just `-`.
fn field(value: &str) -> HeaderValue {
    match value {
        "" => return HeaderValue::from_static("-"),
        "-" => return HeaderValue::from_static("%2D"),
        _ => {}
    }
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(
                [byte >> 4, byte & 15]
                    .map(|nibble| char::from(b"0123456789ABCDEF"[usize::from(nibble)])),
            );
        }
    }
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_domain::contract::sample;

    #[test]
    fn values_are_printable_and_tell_apart() {
        let of = |value: &str| field(value).to_str().unwrap().to_owned();
        assert_eq!(of("alice@example.org"), "alice@example.org");
        assert_eq!(of(""), "-");
        assert_eq!(of("-"), "%2D");
        assert_eq!(of("Zoë"), "Zo%C3%AB");
        assert_eq!(of("100%"), "100%25");
        assert_eq!(of("a b"), "a b");
    }

    fn claims() -> Claims {
        Claims {
            kind: session_domain::token::TokenKind::Access,
            key: "k".parse().unwrap(),
            issuer: "i".into(),
            subject: sample::user(&"é".repeat(128)),
            audience: vec!["i".into()],
            expires_at: sample::START,
            issued_at: sample::START,
            token_id: "j".into(),
            session: sample::session_id(1),
            tenant: sample::tenant(&"t".repeat(63)),
            auth_time: sample::START,
            acr: None,
            amr: vec![],
            scope: Some("s".repeat(1_000)),
            client_id: None,
            serial: session_domain::ids::Serial(1),
        }
    }

    #[test]
    fn an_allow_is_200_with_every_field_and_fits_a_gateways_buffer() {
        for convention in [
            Convention::Forwarded,
            Convention::Original,
            Convention::Envoy,
        ] {
            let response = allow(&claims(), convention);
            assert_eq!(response.status(), StatusCode::OK);
            for name in FIELDS {
                assert_eq!(
                    response.headers().get_all(&name).iter().count(),
                    1,
                    "{name}"
                );
            }
            let bytes: usize = response
                .headers()
                .iter()
                .map(|(n, v)| n.as_str().len() + v.len() + 4)
                .sum();
            assert!(bytes < 3_500, "{bytes}");
        }
    }

    #[test]
    fn envoy_is_never_told_to_remove_what_is_set() {
        let response = allow(&claims(), Convention::Envoy);
        let removed = response.headers()[&ENVOY_REMOVE].to_str().unwrap();
        assert!(
            removed
                .split(',')
                .all(|name| !FIELDS.iter().any(|field| field.as_str() == name))
        );
    }

    #[test]
    fn every_denial_is_a_problem_with_at_most_one_challenge() {
        for denial in [
            Denial::NoCredential,
            Denial::Ambiguous,
            Denial::Refused(Refusal::Ended),
            Denial::ForeignOrigin,
            Denial::UnknownPolicy,
            Denial::UnknownPath,
            Denial::Unavailable,
            Denial::Behind,
        ] {
            let response = deny(denial);
            assert!(response.status().is_client_error() || response.status().is_server_error());
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert_eq!(response.headers()[X_SESSION_ERROR], denial.code());
            let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter().count();
            assert_eq!(
                challenges,
                usize::from(denial.status() == StatusCode::UNAUTHORIZED)
            );
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                matches!(denial, Denial::Unavailable | Denial::Behind)
            );
        }
    }
}
