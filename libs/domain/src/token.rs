//! What tokens say, and why one may be refused. Signing and checking are adapters' work
//! ([`crate::port::TokenSigner`], [`crate::port::TokenVerifier`]); what the words mean is here.

use serde::{Deserialize, Serialize};

use crate::ids::{KeyId, Serial, SessionId, TenantId, UserId};
use crate::time::Timestamp;

/// The longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The kinds of signed token. Each is refused wherever another is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `typ: at+jwt` (RFC 9068): for `Authorization: Bearer`. Minutes long; third parties may
    /// check it by themselves.
    Access,
    /// `typ: session+jwt`: for the session cookie. As long as the session; worthless without the
    /// revocation state, so only our own validators and API accept it.
    Session,
}

impl TokenKind {
    /// The `typ` header parameter.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Session => "session+jwt",
        }
    }
}

/// What a signed token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Which kind of token it is (`typ`).
    pub kind: TokenKind,
    /// The key that signed it (`kid`). On signing, replaced by the active key's.
    pub key: KeyId,
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: UserId,
    /// `aud`, at least one.
    pub audience: Vec<String>,
    /// `exp`, in whole seconds.
    pub expires_at: Timestamp,
    /// `iat`, in whole seconds.
    pub issued_at: Timestamp,
    /// `jti`.
    pub token_id: String,
    /// `sid`: the session's public handle.
    pub session: SessionId,
    /// `tenant`.
    pub tenant: TenantId,
    /// `auth_time`, in whole seconds.
    pub auth_time: Timestamp,
    /// `acr`.
    pub acr: Option<String>,
    /// `amr`.
    pub amr: Vec<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// The serial, as `status.status_list.idx` and the list number at the end of
    /// `status.status_list.uri`.
    pub serial: Serial,
}

/// Why a credential is refused. For logs and metrics; a client only learns `invalid_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It isn't a compact JWS in canonical base64url, or is too long.
    #[error("malformed")]
    Malformed,
    /// Its header asks for something we never issue.
    #[error("header not ours")]
    Header,
    /// It was signed by a key that is unknown or withdrawn.
    #[error("unknown key")]
    UnknownKey,
    /// Its signature is wrong.
    #[error("bad signature")]
    Signature,
    /// A claim is missing, mistyped, doubled or out of range.
    #[error("bad claims")]
    Claims,
    /// It is a token of another kind.
    #[error("another kind of token")]
    Kind,
    /// It is from another issuer.
    #[error("another issuer")]
    Issuer,
    /// It is for another audience.
    #[error("another audience")]
    Audience,
    /// It is from the future.
    #[error("not valid yet")]
    NotYet,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Its session has ended.
    #[error("session ended")]
    Ended,
}

impl Refusal {
    /// A short label for metrics and the `X-Session-Error` field.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Header => "header",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Kind => "kind",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NotYet => "not_yet",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

/// How a token names its place in the status lists (draft-ietf-oauth-status-list).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReference {
    /// The index within the list.
    pub idx: u64,
    /// The list's URI.
    pub uri: String,
}

impl StatusReference {
    /// The reference to `serial` in the lists of `issuer`.
    pub fn new(issuer: &str, serial: Serial) -> Self {
        let (list, idx) = serial.place();
        Self {
            idx: idx.into(),
            uri: format!("{issuer}/status-lists/{list}"),
        }
    }

    /// The serial referred to, if this is a reference into the lists of `issuer`, in its one
    /// spelling.
    pub fn serial(&self, issuer: &str) -> Option<Serial> {
        let list: u64 = self
            .uri
            .strip_prefix(issuer)?
            .strip_prefix("/status-lists/")?
            .parse()
            .ok()?;
        let serial = Serial::at(list, u32::try_from(self.idx).ok()?)?;
        (Self::new(issuer, serial) == *self).then_some(serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_reference_names_its_serial_and_no_other(serial in 0..i64::MAX as u64) {
            let reference = StatusReference::new("https://s.example", Serial(serial));
            prop_assert_eq!(reference.serial("https://s.example"), Some(Serial(serial)));
            prop_assert_eq!(reference.serial("https://t.example"), None);
        }
    }

    #[test]
    fn an_index_outside_the_list_or_another_spelling_is_no_reference() {
        let at = |idx, uri: &str| {
            StatusReference {
                idx,
                uri: uri.into(),
            }
            .serial("i")
        };
        assert_eq!(at(5, "i/status-lists/2"), Some(Serial(2 * (1 << 20) + 5)));
        assert_eq!(at(1 << 20, "i/status-lists/2"), None);
        assert_eq!(at(5, "i/status-lists/02"), None);
        assert_eq!(at(5, "i/status-lists/+2"), None);
        assert_eq!(at(5, "i/status-lists/99999999999999999999"), None);
    }
}
