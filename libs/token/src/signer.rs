//! Signs tokens with the key now active.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde::Serialize;
use session_domain::ids::KeyId;
use session_domain::port::{PortError, StoredSigningKey, TokenSigner};
use session_domain::secret::Credential;
use session_domain::token::{Claims, TOKEN_BYTES_MAX, TokenKind};

use crate::seal::KeyEncryptionKey;
use crate::signing_key::KeyError;
use crate::{SigningKey, base64url, claims};

/// The [`TokenSigner`] of a process: holds at most one private key at a time, which can be
/// replaced while other threads sign.
#[derive(Default)]
pub struct ActiveSigner {
    active: ArcSwapOption<Active>,
}

struct Active {
    key: SigningKey,
    /// The encoded headers, which depend on nothing but the key and the kind.
    access_header: String,
    session_header: String,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a KeyId,
    typ: &'a str,
}

impl ActiveSigner {
    /// A signer without a key: it refuses to sign until one is activated.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens `stored` and signs with it from now on. On an error the key before stays active.
    ///
    /// To be called only once every validator knows the key (the fence of its log entry), or
    /// they refuse what it signs.
    pub fn activate(
        &self,
        stored: &StoredSigningKey,
        kek: &KeyEncryptionKey,
    ) -> Result<(), KeyError> {
        if stored.retired_at.is_some() {
            return Err(KeyError::Retired);
        }
        let key = SigningKey::open(stored, kek)?;
        let active = Active {
            access_header: header(&key, TokenKind::Access),
            session_header: header(&key, TokenKind::Session),
            key,
        };
        self.active.store(Some(Arc::new(active)));
        Ok(())
    }

    /// Signs no more, until another key is activated.
    pub fn deactivate(&self) {
        self.active.store(None);
    }
}

impl TokenSigner for ActiveSigner {
    fn sign(&self, claims: &Claims) -> Result<Credential, PortError> {
        let active = self.active.load();
        let active = active
            .as_deref()
            .ok_or_else(|| PortError::retry("sign", "no signing key is active"))?;
        let header = match claims.kind {
            TokenKind::Access => &active.access_header,
            TokenKind::Session => &active.session_header,
        };
        let payload = claims::write(claims)
            .ok_or_else(|| PortError::fatal("sign", "claims no verifier would accept"))?;
        let mut token = format!("{header}.{}", base64url::encode(payload));
        let signature = base64url::encode(active.key.sign(token.as_bytes()));
        token.push('.');
        token.push_str(&signature);
        if token.len() > TOKEN_BYTES_MAX {
            return Err(PortError::fatal(
                "sign",
                "the token would be longer than any verifier reads",
            ));
        }
        Ok(Credential::new(token))
    }

    fn active_key(&self) -> Option<KeyId> {
        self.active
            .load()
            .as_deref()
            .map(|active| active.key.kid().clone())
    }
}

fn header(key: &SigningKey, kind: TokenKind) -> String {
    let header = Header {
        alg: &key.public().alg,
        kid: key.kid(),
        typ: kind.typ(),
    };
    base64url::encode(serde_json::to_vec(&header).expect("three strings are valid JSON"))
}

impl fmt::Debug for ActiveSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveSigner")
            .field("active_key", &self.active_key())
            .finish()
    }
}
