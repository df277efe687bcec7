//! Makes signing keys, and brings them into and out of the form the store keeps.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use session_domain::ids::KeyId;
use session_domain::port::{Entropy, StoredSigningKey};
use session_domain::revocation::PublicKey;
use session_domain::time::Timestamp;
use zeroize::Zeroizing;

use crate::seal::{self, KeyEncryptionKey, OpenError};
use crate::{Algorithm, base64url, thumbprint};

/// Why a stored signing key can't be used to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Its private half couldn't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its algorithm isn't one this release signs with.
    #[error("the signing key's algorithm isn't supported for signing")]
    Algorithm,
    /// What was sealed isn't a private key.
    #[error("the sealed signing key isn't a private key")]
    Form,
    /// Its private half belongs to another public one. Nobody could verify its signatures.
    #[error("the signing key's halves don't belong together")]
    Halves,
    /// It was withdrawn.
    #[error("the signing key is retired")]
    Retired,
}

/// A private key, ready to sign. Invisible to `Debug` but for its name.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

/// The private half, by algorithm.
enum Pair {
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Makes an Ed25519 key (RFC 8032) from 256 fresh bits.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref());
        Self::from_ed25519(pair.map_err(|_| KeyError::Form)?)
    }

    /// Opens a key the store kept. Checks that its halves belong together and that its name and
    /// algorithm are right.
    pub fn open(stored: &StoredSigningKey, kek: &KeyEncryptionKey) -> Result<Self, KeyError> {
        let key = match Algorithm::from_jose_name(&stored.public.alg) {
            Some(Algorithm::EdDsa) => {
                let pkcs8 = seal::open(kek, stored.kid(), &stored.sealed)?;
                let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| KeyError::Form)?;
                Self::from_ed25519(pair)?
            }
            Some(Algorithm::Es256) | None => return Err(KeyError::Algorithm),
        };
        if key.public != stored.public {
            return Err(KeyError::Halves);
        }
        Ok(key)
    }

    /// The form the store keeps: the private half as PKCS#8 v1 (RFC 5958; 48 bytes), sealed.
    pub fn seal(
        &self,
        kek: &KeyEncryptionKey,
        entropy: &dyn Entropy,
        created_at: Timestamp,
    ) -> Result<StoredSigningKey, KeyError> {
        let pkcs8 = match &self.pair {
            // Version 1: other tools, `jsonwebtoken` among them, don't read version 2.
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(|_| KeyError::Form)?,
        };
        Ok(StoredSigningKey {
            public: self.public.clone(),
            sealed: seal::seal(kek, self.kid(), pkcs8.as_ref(), entropy),
            created_at,
            retired_at: None,
        })
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its name, the public half's RFC 7638 thumbprint.
    pub const fn kid(&self) -> &KeyId {
        &self.public.kid
    }

    /// Signs. The same message always gives the same signature.
    pub(crate) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message),
        }
    }

    fn from_ed25519(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let jwk: BTreeMap<String, String> = [
            ("kty", "OKP".to_owned()),
            ("crv", "Ed25519".to_owned()),
            ("x", base64url::encode(pair.public_key())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let public = PublicKey {
            kid: thumbprint(&jwk).ok_or(KeyError::Form)?,
            alg: Algorithm::EdDsa.jose_name().to_owned(),
            jwk,
        };
        Ok(Self {
            pair: Pair::Ed25519(pair),
            public,
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", self.kid())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Byte(u8);

    impl Entropy for Byte {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn stored(byte: u8) -> StoredSigningKey {
        let kek = KeyEncryptionKey::generate(&Byte(1));
        let key = SigningKey::generate(&Byte(byte)).unwrap();
        key.seal(&kek, &Byte(2), Timestamp(5)).unwrap()
    }

    fn open(stored: &StoredSigningKey) -> Result<SigningKey, KeyError> {
        SigningKey::open(stored, &KeyEncryptionKey::generate(&Byte(1)))
    }

    #[test]
    fn a_stored_key_opens_again_and_is_the_same() {
        let stored = stored(7);
        assert_eq!(stored.sealed.len(), 1 + 12 + 48 + 16);
        let key = open(&stored).unwrap();
        assert_eq!(key.public(), &stored.public);
        let again = SigningKey::generate(&Byte(7)).unwrap();
        assert_eq!(key.sign(b"m").as_ref(), again.sign(b"m").as_ref());
    }

    #[test]
    fn another_keys_private_half_is_refused() {
        let kek = KeyEncryptionKey::generate(&Byte(1));
        let mut mixed = stored(7);
        let other = SigningKey::generate(&Byte(8)).unwrap();
        let Pair::Ed25519(pair) = &other.pair;
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        mixed.sealed = seal::seal(&kek, mixed.kid(), pkcs8.as_ref(), &Byte(2));
        assert_eq!(open(&mixed).err(), Some(KeyError::Halves));
        mixed.sealed = stored(8).sealed;
        assert_eq!(open(&mixed).err(), Some(KeyError::Open(OpenError::Refused)));
        mixed.sealed = seal::seal(&kek, mixed.kid(), b"junk", &Byte(2));
        assert_eq!(open(&mixed).err(), Some(KeyError::Form));
    }

    #[test]
    fn an_algorithm_we_do_not_sign_with_is_refused() {
        for alg in ["ES256", "RS256", "HS256", "none", "Ed25519"] {
            let mut stored = stored(7);
            stored.public.alg = alg.to_owned();
            assert_eq!(open(&stored).err(), Some(KeyError::Algorithm));
        }
    }

    #[test]
    fn rfc_8037_a_4() {
        // The private key of RFC 8037, A.1.
        let seed = base64url::decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let key = SigningKey::from_ed25519(pair).unwrap();
        assert_eq!(
            key.kid().as_str(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = concat!(
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp",
            "Ar_MuM0KAg",
        );
        assert_eq!(base64url::encode(key.sign(signed)), signature);
    }

    #[test]
    fn debug_shows_the_name_alone() {
        let key = SigningKey::generate(&Byte(7)).unwrap();
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey {{ kid: {:?}, .. }}", key.kid())
        );
    }
}
