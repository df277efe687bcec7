//! Names of things. Every identifier is a type of its own, checked where it is made, so that a
//! tenant can't be passed for a user and nothing unchecked travels further in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that isn't a valid identifier, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct InvalidId {
    /// Which identifier was being read, for example `tenant`.
    pub what: &'static str,
    /// The rule, worded to follow "must be".
    pub rule: &'static str,
}

/// A customer of the deployment. Users, sessions and service keys of different tenants never mix.
///
/// 1 to 63 characters of `[a-z0-9-]`; a deployment with one customer uses [`TenantId::default`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The text, as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    /// The tenant named `default`.
    fn default() -> Self {
        Self("default".into())
    }
}

impl FromStr for TenantId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=63).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId {
                what: "tenant",
                rule: "1 to 63 characters of a-z, 0-9 and '-'",
            })
        }
    }
}

/// A user, as the login system names them; unique within a [`TenantId`].
///
/// 1 to 128 characters, none of them a control character or white space at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(Arc<str>);

impl UserId {
    /// The text, as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let printable = text.chars().all(|c| !c.is_control()) && text.trim() == text;
        if (1..=128).contains(&text.chars().count()) && printable {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId {
                what: "user_id",
                rule: "1 to 128 printable characters",
            })
        }
    }
}

/// The RFC 7638 thumbprint of a signing key, the `kid` of the tokens it signed.
///
/// 1 to 128 characters of the base64url alphabet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// The text, as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId {
                what: "kid",
                rule: "1 to 128 characters of A-Z, a-z, 0-9, '-' and '_'",
            })
        }
    }
}

macro_rules! text_id {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
text_id!(TenantId, UserId, KeyId);

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            /// Reads the hyphenated lower-case form only: one identifier has one spelling.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { what: "id", rule: "a hyphenated lower-case UUID" };
                let id = Uuid::parse_str(text).map_err(|_| invalid.clone())?;
                if id.hyphenated().to_string() == text { Ok(Self(id)) } else { Err(invalid) }
            }
        }
    )*};
}
uuid_id!(
    /// A session's public handle (UUIDv7): it may be shown, logged and linked. Never a credential.
    SessionId,
    /// One running process that answers from memory, drawn at random when the process starts.
    InstanceId,
    /// A service key's public handle; the key itself is known only by its hash.
    ServiceKeyId,
    /// The ending of many sessions at once: its public handle.
    RevocationId,
    /// A user's device, told apart from their others by what it is recognised by.
    DeviceId
);

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident($inner:ty)),*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
number!(
    /// The number a session's credentials carry: its place in the status lists. Drawn from one
    /// sequence for the whole deployment, starting at 1, never reused. At most 2^63 − 1.
    Serial(u64),
    /// A position in the revocation log: 1, 2, 3… without gaps; 0 is "before the first entry".
    Seq(u64),
    /// How often a session's refresh token has been rotated; the number the current one carries.
    Generation(u32),
    /// How often a session's row has changed; the optimistic lock.
    Version(u64),
    /// An event's place in the audit trail; rises in the order of commits of one session.
    EventId(u64)
);

/// Which history the revocation log's numbers belong to, drawn at random when the log is founded
/// and again whenever its numbers may have been lost (a database restored from a backup).
/// Numbers of different epochs are never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogEpoch(pub u64);

impl fmt::Display for LogEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_lower_case_and_bounded() {
        assert!("acme-2".parse::<TenantId>().is_ok());
        for bad in ["", "Acme", "a b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_user_is_printable_and_bounded_in_characters_not_bytes() {
        assert!("Zoë@example.org".parse::<UserId>().is_ok());
        assert!("é".repeat(128).parse::<UserId>().is_ok());
        for bad in ["", " x", "x\n", "a\0b", &"x".repeat(129)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_session_id_has_one_spelling() {
        let id = "0191d3c4-5b6e-7f80-8123-456789abcdef";
        assert_eq!(id.parse::<SessionId>().unwrap().to_string(), id);
        for bad in [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}")] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad:?}");
        }
    }
}
