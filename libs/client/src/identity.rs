//! Whose request it is, and how that is said in header fields to what stands behind a gateway.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use session_domain::revocation::PublicKey;
use session_domain::token::Claims;
use session_domain::usecase::touch::Use;

/// Whose request it is: what its token says, and what is made of that again and again for whoever
/// asks. Clones are the same.
#[derive(Clone)]
pub struct Identity(Arc<Known>);

/// What is known of a token that was verified.
pub(crate) struct Known {
    /// All its bytes.
    pub token: Box<str>,
    /// What it says.
    pub claims: Claims,
    /// The key that verified it.
    pub key: Arc<PublicKey>,
    /// Where its session's uses are noted.
    pub used: Arc<Use>,
    headers: OnceLock<HeaderMap>,
    encoded: OnceLock<Bytes>,
}

impl Identity {
    pub(crate) fn new(token: &str, claims: Claims, key: Arc<PublicKey>, used: Arc<Use>) -> Self {
        Self(Arc::new(Known {
            token: token.into(),
            claims,
            key,
            used,
            headers: OnceLock::new(),
            encoded: OnceLock::new(),
        }))
    }

    pub(crate) fn known(&self) -> &Known {
        &self.0
    }

    /// The header fields that `make` makes of the claims, made once: with [`fields`] among them, what
    /// a gateway is answered. There is room for one answer in a process.
    pub fn headers(&self, make: impl FnOnce(&Claims) -> HeaderMap) -> &HeaderMap {
        self.0.headers.get_or_init(|| make(self))
    }

    /// What `encode` makes of the claims, made once: for whoever answers in another form than
    /// header fields. There is room for one form in a process.
    pub fn encoded(&self, encode: impl FnOnce(&Claims) -> Bytes) -> Bytes {
        self.0.encoded.get_or_init(|| encode(self)).clone()
    }
}

impl Deref for Identity {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.0.claims
    }
}

impl Borrow<Claims> for Identity {
    fn borrow(&self) -> &Claims {
        self
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    /// The claims alone: the token is a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&**self).finish()
    }
}

/// The identity fields, all of them always: one left out would let the client's own through on
/// Envoy, and a placeholder on Caddy.
pub const FIELDS: [HeaderName; 7] = [
    HeaderName::from_static("x-session-subject"),
    HeaderName::from_static("x-session-id"),
    HeaderName::from_static("x-session-tenant"),
    HeaderName::from_static("x-session-acr"),
    HeaderName::from_static("x-session-auth-time"),
    HeaderName::from_static("x-session-expires"),
    HeaderName::from_static("x-session-scope"),
];

/// The likeliest spellings that some application servers would take for one of [`FIELDS`]: gateways
/// are told to remove them, seen or not.
pub const ALIASES: [&str; 11] = [
    "x_session_subject",
    "x_session_id",
    "x_session_tenant",
    "x_session_acr",
    "x_session_auth_time",
    "x_session_expires",
    "x_session_scope",
    "x_session_user",
    "x.session.subject",
    "x.session.id",
    "x.session.user",
];

/// The fields and their values, in the order of [`FIELDS`]; nobody's are all `-`.
pub fn fields(claims: Option<&Claims>) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
    let values = match claims {
        Some(claims) => [
            value(claims.subject.as_str()),
            value(&claims.session.to_string()),
            value(claims.tenant.as_str()),
            value(claims.acr.as_deref().unwrap_or_default()),
            HeaderValue::from(claims.auth_time.unix_seconds()),
            HeaderValue::from(claims.expires_at.unix_seconds()),
            value(claims.scope.as_deref().unwrap_or_default()),
        ],
        None => [const { HeaderValue::from_static("-") }; 7],
    };
    FIELDS.into_iter().zip(values)
}

/// Whether a field of that name would be taken for one of [`FIELDS`], or for another of their
/// family, by some application server: many fold `_` and `.` onto `-`. Those set here aren't.
pub fn is_alias(name: &str) -> bool {
    let folded = name.bytes().map(|byte| match byte {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    });
    let family = b"x-session-";
    folded.take(family.len()).eq(family.iter().copied())
        && !FIELDS.iter().any(|field| field.as_str() == name)
}

/// A value for a header field: `-` where there is none. What isn't printable ASCII, and `%` itself,
/// is percent-encoded as UTF-8, so that every value is a header value and no two values look the
/// same; so is a value that is just `-`, and a space at either end, which would be lost.
fn value(text: &str) -> HeaderValue {
    match text {
        "" => return HeaderValue::from_static("-"),
        "-" => return HeaderValue::from_static("%2D"),
        _ => {}
    }
    let last = text.len() - 1;
    let mut encoded = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let kept = match byte {
            b' ' => at != 0 && at != last,
            b'%' => false,
            byte => byte.is_ascii_graphic(),
        };
        if kept {
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
pub(crate) mod tests {
    use super::*;
    use session_domain::contract::sample;
    use session_domain::usecase::touch::Activity;

    /// Claims whose texts are the longest there are, all of whose bytes need encoding.
    pub(crate) fn claims() -> Claims {
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
    fn what_is_made_once_is_what_would_be_made_and_the_token_is_not_shown() {
        let key = PublicKey {
            kid: "k".parse().unwrap(),
            alg: "EdDSA".into(),
            jwk: [].into(),
        };
        let claims = claims();
        let used = Activity::default().keep(&claims.tenant, claims.session);
        let identity = Identity::new("a.secret.b", claims.clone(), Arc::new(key), used);
        let made = |claims: &Claims| fields(Some(claims)).collect::<HeaderMap>();
        assert_eq!(identity.headers(made), &made(&claims));
        assert_eq!(identity.headers(|_| unreachable!()), &made(&claims));
        let serial = |claims: &Claims| claims.serial.0.to_be_bytes().to_vec().into();
        assert_eq!(identity.encoded(serial), serial(&claims));
        assert_eq!(identity.encoded(|_| unreachable!()), serial(&claims));
        assert!(!format!("{identity:?}").contains("secret"));
    }

    #[test]
    fn values_are_printable_and_tell_apart() {
        let of = |text: &str| value(text).to_str().unwrap().to_owned();
        assert_eq!(of("alice@example.org"), "alice@example.org");
        assert_eq!(of(""), "-");
        assert_eq!(of("-"), "%2D");
        assert_eq!(of("Zoë"), "Zo%C3%AB");
        assert_eq!(of("100%"), "100%25");
        assert_eq!(of("a b"), "a b");
        assert_eq!(of(" a "), "%20a%20");
    }

    #[test]
    fn look_alikes_are_aliases_and_the_fields_are_not() {
        let others = [
            "X.Session.User",
            "x-session_subject",
            "x-session-user",
            "X-Session-Subject",
        ];
        for alias in ALIASES.into_iter().chain(others) {
            assert!(is_alias(alias), "{alias}");
        }
        for other in ["x-session-subject", "x-sessions", "session-x", "cookie", ""] {
            assert!(!is_alias(other), "{other}");
        }
    }

    #[test]
    fn the_fields_fit_a_gateways_buffer() {
        let claims = claims();
        for claims in [Some(&claims), None] {
            let set: Vec<_> = fields(claims).collect();
            assert_eq!(set.len(), FIELDS.len());
            let bytes: usize = set
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len() + 4)
                .sum();
            assert!(bytes < 3_300, "{bytes}");
        }
    }
}
