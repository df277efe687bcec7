//! Finds the one credential of a request, or says why there isn't one.

use poem::http::HeaderMap;
use poem::http::header::{
    AUTHORIZATION, COOKIE, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use session_domain::token::TokenKind;

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

/// Which cookies are looked at, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieRules {
    /// The cookie's name.
    pub name: String,
    /// The origins whose WebSocket handshakes may use it.
    pub websocket_origins: Vec<String>,
}

/// The request's credential: the `Authorization` header, else the cookie. One that is present but
/// bad never falls through to the next. Never from the query.
///
/// # Errors
/// See [`NoCredential`].
pub fn credential<'a>(
    headers: &'a HeaderMap,
    rules: &CookieRules,
) -> Result<Presented<'a>, NoCredential> {
    if let Some(token) = bearer(headers)? {
        Ok(Presented {
            kind: TokenKind::Access,
            token,
        })
    } else {
        let token = cookie(headers, &rules.name)?.ok_or(NoCredential::Absent)?;
        check_origin(headers, rules)?;
        Ok(Presented {
            kind: TokenKind::Session,
            token,
        })
    }
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

fn check_origin(headers: &HeaderMap, rules: &CookieRules) -> Result<(), NoCredential> {
    // Gateways keep `Upgrade` to themselves, as it is about one connection (nginx), or there is
    // none (HTTP/2, RFC 8441). What is about WebSockets themselves comes through.
    let versioned = headers.contains_key(SEC_WEBSOCKET_VERSION);
    let keyed = headers.contains_key(SEC_WEBSOCKET_KEY);
    let upgraded = headers.get_all(UPGRADE).iter().any(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    });
    let mut origins = headers.get_all(ORIGIN).iter();
    match (
        versioned || keyed || upgraded,
        origins.next(),
        origins.next(),
    ) {
        (false, ..) => Ok(()),
        (true, Some(origin), None)
            if rules
                .websocket_origins
                .iter()
                .any(|allowed| origin == allowed.as_str()) =>
        {
            Ok(())
        }
        (true, ..) => Err(NoCredential::ForeignOrigin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::http::{HeaderName, HeaderValue};

    fn rules() -> CookieRules {
        CookieRules {
            name: "session".into(),
            websocket_origins: vec!["https://app.example".into()],
        }
    }

    fn found(pairs: &[(&str, &str)]) -> Result<(TokenKind, String), NoCredential> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        credential(&headers, &rules()).map(|presented| (presented.kind, presented.token.to_owned()))
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
}
