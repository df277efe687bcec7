//! Finds the one credential of a request, or says why there isn't one.

use http::HeaderMap;
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE, ORIGIN, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use session_domain::token::TokenKind;

use crate::policy::Policy;

/// What a WebSocket subprotocol begins with that carries an access token. Browsers can't send an
/// `Authorization` field with a handshake; the server answers with another subprotocol.
const TOKEN_PROTOCOL: &str = "session-token.";

/// A credential as presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented<'a> {
    /// Where it was decides what it must be: a bearer token is an access token, a cookie holds a
    /// session token.
    pub kind: TokenKind,
    /// The token.
    pub token: &'a str,
}

/// Why there is no credential to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCredential {
    /// None was presented.
    Absent,
    /// More than one was, or one that can't be told apart from several.
    Ambiguous,
    /// A cookie on a WebSocket handshake from an origin that isn't allowed: browsers send cookies
    /// along whoever asks, and don't apply CORS there.
    ForeignOrigin,
}

/// The request's credential: the `Authorization` header, else the cookie of that name, else the
/// WebSocket subprotocol; the last two where the policy takes them. One that is present but bad
/// never falls through to the next. Never from the query.
///
/// # Errors
/// See [`NoCredential`].
pub fn credential<'a>(
    headers: &'a HeaderMap,
    cookie_name: &str,
    policy: &Policy,
) -> Result<Presented<'a>, NoCredential> {
    let access = |token| Presented {
        kind: TokenKind::Access,
        token,
    };
    if let Some(token) = bearer(headers)? {
        return Ok(access(token));
    }
    if policy.cookie
        && let Some(token) = cookie(headers, cookie_name)?
    {
        check_origin(headers, &policy.websocket_origins)?;
        return Ok(Presented {
            kind: TokenKind::Session,
            token,
        });
    }
    if policy.websocket_token
        && is_websocket(headers)
        && let Some(token) = subprotocol(headers)?
    {
        return Ok(access(token));
    }
    Err(NoCredential::Absent)
}

/// Whether this is how a browser asks if it may ask (CORS), which it does without credentials: one
/// origin, one method asked for, and nothing that could be a credential.
pub fn is_preflight(method: &str, headers: &HeaderMap, cookie_name: &str) -> bool {
    let once = |name| {
        let mut values = headers.get_all(name).iter();
        matches!((values.next(), values.next()), (Some(value), None) if !value.is_empty())
    };
    method == "OPTIONS"
        && once(ORIGIN)
        && once(ACCESS_CONTROL_REQUEST_METHOD)
        && !headers.contains_key(AUTHORIZATION)
        && cookie(headers, cookie_name) == Ok(None)
        && !is_websocket(headers)
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, NoCredential> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // A comma may be two headers that a proxy on the way has joined.
    if values.next().is_some() || value.as_bytes().contains(&b',') {
        return Err(NoCredential::Ambiguous);
    }
    let value = value.to_str().map_err(|_| NoCredential::Ambiguous)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token))
    } else {
        // Somebody else's scheme: no credential of ours, and no reason to look further.
        Err(NoCredential::Absent)
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, NoCredential> {
    let mut found = None;
    for value in headers.get_all(COOKIE) {
        // Envoy joins several Cookie headers with commas, so a comma separates cookies too.
        for pair in value.as_bytes().split(|&byte| byte == b';' || byte == b',') {
            let Some((key, token)) = split_pair(pair) else {
                continue;
            };
            if key == name.as_bytes() {
                let token = std::str::from_utf8(token).map_err(|_| NoCredential::Ambiguous)?;
                if found.replace(token).is_some() {
                    return Err(NoCredential::Ambiguous);
                }
            }
        }
    }
    Ok(found)
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|&byte| byte == b'=')?;
    Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
}

fn subprotocol(headers: &HeaderMap) -> Result<Option<&str>, NoCredential> {
    let mut found = None;
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let Ok(value) = value.to_str() else {
            return Err(NoCredential::Ambiguous);
        };
        let offers = value.split(',').map(str::trim);
        for token in offers.filter_map(|offer| offer.strip_prefix(TOKEN_PROTOCOL)) {
            if found.replace(token).is_some() {
                return Err(NoCredential::Ambiguous);
            }
        }
    }
    Ok(found)
}

/// Whether it is a WebSocket handshake. Gateways keep `Upgrade` to themselves, as it is about one
/// connection (nginx), or there is none (HTTP/2, RFC 8441). What is about `WebSockets` themselves
/// comes through.
fn is_websocket(headers: &HeaderMap) -> bool {
    let upgraded = headers.get_all(UPGRADE).iter().any(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    });
    upgraded
        || headers.contains_key(SEC_WEBSOCKET_VERSION)
        || headers.contains_key(SEC_WEBSOCKET_KEY)
}

fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), NoCredential> {
    if !is_websocket(headers) {
        return Ok(());
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) if allowed.iter().any(|one| origin == one.as_str()) => Ok(()),
        _ => Err(NoCredential::ForeignOrigin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn policy() -> Policy {
        Policy {
            websocket_origins: vec!["https://app.example".into()],
            ..Policy::new("a".into())
        }
    }

    fn headers_of(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        headers
    }

    fn found_by(
        policy: &Policy,
        pairs: &[(&str, &str)],
    ) -> Result<(TokenKind, String), NoCredential> {
        credential(&headers_of(pairs), "session", policy)
            .map(|presented| (presented.kind, presented.token.to_owned()))
    }

    fn found(pairs: &[(&str, &str)]) -> Result<(TokenKind, String), NoCredential> {
        found_by(&policy(), pairs)
    }

    #[test]
    fn a_bearer_token_is_an_access_token_and_goes_before_the_cookie() {
        let access = Ok((TokenKind::Access, "a.b.c".to_owned()));
        assert_eq!(found(&[("authorization", "Bearer a.b.c")]), access);
        assert_eq!(
            found(&[("authorization", "bearer a.b.c"), ("cookie", "session=x")]),
            access
        );
    }

    #[test]
    fn a_cookie_is_a_session_token() {
        let session = Ok((TokenKind::Session, "x.y.z".to_owned()));
        assert_eq!(found(&[("cookie", "a=b; session=x.y.z; c=d")]), session);
        assert_eq!(found(&[("cookie", "a=b,session=x.y.z")]), session);
        assert_eq!(
            found(&[("cookie", "a=b"), ("cookie", "session=x.y.z")]),
            session
        );
    }

    #[test]
    fn a_present_but_bad_header_never_falls_through_to_the_cookie() {
        for value in ["Basic abc", "Bearer", "Bearer ", "a.b.c", ""] {
            let result = found(&[("authorization", value), ("cookie", "session=x.y.z")]);
            assert!(
                !matches!(result, Ok((TokenKind::Session, _))),
                "{value}: {result:?}"
            );
        }
    }

    #[test]
    fn two_of_anything_is_ambiguous() {
        let ambiguous = Err(NoCredential::Ambiguous);
        assert_eq!(
            found(&[("authorization", "Bearer a"), ("authorization", "Bearer a")]),
            ambiguous
        );
        assert_eq!(found(&[("authorization", "Bearer a, Bearer b")]), ambiguous);
        assert_eq!(found(&[("cookie", "session=a; session=a")]), ambiguous);
        assert_eq!(found(&[("cookie", "session=a,session=b")]), ambiguous);
        assert_eq!(
            found(&[("cookie", "session=a"), ("cookie", "session=b")]),
            ambiguous
        );
    }

    #[test]
    fn no_credential_and_look_alikes_are_none() {
        for pairs in [
            &[][..],
            &[("cookie", "sessionx=a; xsession=b; Session=c")],
            &[("x-authorization", "Bearer a")],
        ] {
            assert_eq!(found(pairs), Err(NoCredential::Absent));
        }
    }

    #[test]
    fn a_cookie_on_a_websocket_handshake_needs_an_allowed_origin() {
        let cookie = ("cookie", "session=a");
        for handshake in [
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            assert!(found(&[cookie, handshake, ("origin", "https://app.example")]).is_ok());
            for extra in [
                vec![],
                vec![("origin", "https://evil.example")],
                vec![("origin", "null")],
            ] {
                let pairs: Vec<_> = [cookie, handshake].into_iter().chain(extra).collect();
                assert_eq!(found(&pairs), Err(NoCredential::ForeignOrigin));
            }
            assert!(
                found(&[("authorization", "Bearer a"), handshake]).is_ok(),
                "nobody sends a bearer token unasked"
            );
        }
    }

    #[test]
    fn a_policy_may_pass_over_cookies() {
        let policy = Policy {
            cookie: false,
            ..policy()
        };
        let cookie = ("cookie", "session=x");
        assert_eq!(found_by(&policy, &[cookie]), Err(NoCredential::Absent));
        assert!(found_by(&policy, &[cookie, ("authorization", "Bearer a")]).is_ok());
    }

    #[test]
    fn a_subprotocol_is_a_credential_only_where_a_policy_says_so_and_on_a_handshake() {
        let (key, version) = (("sec-websocket-key", "k"), ("sec-websocket-version", "13"));
        let offer = ("sec-websocket-protocol", "chat, session-token.a.b.c");
        let taking = Policy {
            websocket_token: true,
            ..policy()
        };
        let access = Ok((TokenKind::Access, "a.b.c".to_owned()));
        assert_eq!(found_by(&taking, &[key, version, offer]), access);
        assert_eq!(found_by(&taking, &[offer]), Err(NoCredential::Absent));
        assert_eq!(found(&[key, version, offer]), Err(NoCredential::Absent));
        assert_eq!(
            found_by(&taking, &[key, offer, offer]),
            Err(NoCredential::Ambiguous)
        );
        assert_eq!(
            found_by(&taking, &[key, ("sec-websocket-protocol", "chat")]),
            Err(NoCredential::Absent)
        );
    }

    #[test]
    fn a_preflight_is_an_options_request_with_one_origin_one_method_and_no_credential() {
        let (origin, method) = (
            ("origin", "https://app.example"),
            ("access-control-request-method", "PUT"),
        );
        let is = |verb, pairs: &[_]| is_preflight(verb, &headers_of(pairs), "session");
        assert!(is("OPTIONS", &[origin, method]));
        assert!(is("OPTIONS", &[origin, method, ("cookie", "other=x")]));
        for verb in ["GET", "options", "", "OPTIONS "] {
            assert!(!is(verb, &[origin, method]), "{verb}");
        }
        assert!(!is("OPTIONS", &[origin]) && !is("OPTIONS", &[method]));
        for extra in [
            origin,
            method,
            ("authorization", ""),
            ("cookie", "session=x"),
            ("cookie", "session=x; session=y"),
            ("sec-websocket-key", "k"),
        ] {
            assert!(!is("OPTIONS", &[origin, method, extra]), "{extra:?}");
        }
    }
}
