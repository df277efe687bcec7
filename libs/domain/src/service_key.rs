//! Credentials of services: what they may do, and how they are recognised without being kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::port::Entropy;
use crate::secret::Credential;

/// The prefix by which a service key is known for what it is, by people and by secret scanners.
pub const PREFIX: &str = "ssk_";

/// One thing a service may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Start sessions.
    #[serde(rename = "sessions:create")]
    Create,
    /// Look at any user's sessions.
    #[serde(rename = "sessions:read")]
    Read,
    /// End any user's sessions.
    #[serde(rename = "sessions:revoke")]
    Revoke,
    /// Everything an administrator may.
    #[serde(rename = "sessions:admin")]
    Admin,
    /// Read the audit trail.
    #[serde(rename = "audit:read")]
    Audit,
    /// Introspect tokens (RFC 7662).
    #[serde(rename = "introspect")]
    Introspect,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] = [
        Self::Create,
        Self::Read,
        Self::Revoke,
        Self::Admin,
        Self::Audit,
        Self::Introspect,
    ];

    /// The name used in JSON, in storage and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "sessions:create",
            Self::Read => "sessions:read",
            Self::Revoke => "sessions:revoke",
            Self::Admin => "sessions:admin",
            Self::Audit => "audit:read",
            Self::Introspect => "introspect",
        }
    }

    /// The scope of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// What a service may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(pub Vec<Scope>);

impl Scopes {
    /// All of them.
    pub fn all() -> Self {
        Self(Scope::ALL.to_vec())
    }

    /// Whether `scope` is among them; an administrator may do everything.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }
}

/// What is kept of a service key: a BLAKE3 hash. The key has 256 random bits, so the hash needs
/// neither salt nor stretching.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// The hash of a key as presented.
    pub fn of(key: &str) -> Self {
        Self(blake3::derive_key(
            "session-service 2026 service key",
            key.as_bytes(),
        ))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// A fresh service key: `ssk_` and 64 hexadecimal digits (256 bits).
pub fn generate(entropy: &dyn Entropy) -> Credential {
    use fmt::Write as _;
    let mut key = String::from(PREFIX);
    for byte in entropy.secret().0 {
        let _ = write!(key, "{byte:02x}");
    }
    Credential::new(key)
}

/// Whether `text` has the form of a service key: what an operator sets by hand must be as strong
/// as what [`generate`] makes.
pub fn is_well_formed(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|rest| {
        (43..=200).contains(&rest.len())
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_may_do_everything_and_nobody_else_more_than_named() {
        let admin = Scopes(vec![Scope::Admin]);
        let reader = Scopes(vec![Scope::Read]);
        for scope in Scope::ALL {
            assert!(admin.allow(scope));
            assert_eq!(reader.allow(scope), scope == Scope::Read);
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_eq!(Scope::from_name(scope.as_str()), Some(scope));
        }
    }

    #[test]
    fn weak_keys_are_not_well_formed() {
        assert!(is_well_formed(&format!("{PREFIX}{}", "a1".repeat(32))));
        for bad in [
            "ssk_short",
            "sk_",
            &"a".repeat(64),
            &format!("{PREFIX}{}", "é".repeat(43)),
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
