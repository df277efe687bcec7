use crate::ids::{Generation, KeyId, SessionId};
use crate::port::{PortError, StoredSigningKey};
use crate::revocation::KeySet;
use crate::secret::{Credential, Secret256};
use crate::time::Timestamp;
use crate::token::{Claims, Refusal, TokenKind};

/// Signs tokens with the key now active. MUST be deterministic: the same claims under the same
/// key give the same token, so that a repeated answer is the same answer and none need be stored.
pub trait TokenSigner: Send + Sync {
    /// Signs `claims` as a JWS (RFC 7515) of the kind they name.
    ///
    /// # Errors
    /// Where no key is active yet.
    fn sign(&self, claims: &Claims) -> Result<Credential, PortError>;

    /// The key that signs now.
    fn active_key(&self) -> Option<KeyId>;
}

/// Makes signing keys and puts them to use. What it hands to the store is sealed: the store can't
/// read it.
pub trait KeyRing: Send + Sync {
    /// A fresh key, not in use yet.
    ///
    /// # Errors
    /// Where the machine can't make one.
    fn generate(&self, at: Timestamp) -> Result<StoredSigningKey, PortError>;

    /// Signs with `key` from now on. Called only once every validator knows the key.
    ///
    /// # Errors
    /// Where its seal can't be opened: another key-encryption key sealed it, or it was tampered
    /// with.
    fn activate(&self, key: &StoredSigningKey) -> Result<(), PortError>;
}

/// Checks signed tokens. MUST refuse everything listed in `docs/security.md` under "What a
/// verifier refuses", MUST NOT fetch anything, MUST NOT look at a clock, and MUST take keys from
/// `keys` alone: expiry and revocation are judged by the caller.
pub trait TokenVerifier: Send + Sync {
    /// The claims of `token`, if one of `keys` signed it, it is of `kind` and spelled canonically.
    ///
    /// # Errors
    /// Why it is refused.
    fn verify(&self, token: &str, kind: TokenKind, keys: &KeySet) -> Result<Claims, Refusal>;
}

/// What a refresh token says before its proof has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshClaim {
    /// Which derivation key it was made with.
    pub key: u8,
    /// The session it belongs to.
    pub session: SessionId,
    /// The generation it is of.
    pub generation: Generation,
    /// The proof that it was issued: an HMAC over the rest.
    pub proof: [u8; 32],
}

/// Derives refresh tokens instead of storing them: from a key outside the database and the seed
/// inside it, so that neither alone is enough.
pub trait RefreshTokens: Send + Sync {
    /// The token of a session's `generation`. MUST be deterministic.
    fn derive(&self, session: SessionId, generation: Generation, seed: &Secret256) -> Credential;

    /// Reads a token's parts, if it has the form of one in its single canonical spelling.
    fn read(&self, token: &str) -> Option<RefreshClaim>;

    /// Whether the claim's proof is the one that was issued. MUST take the same time for every
    /// wrong proof.
    fn proves(&self, claim: &RefreshClaim, seed: &Secret256) -> bool;
}
