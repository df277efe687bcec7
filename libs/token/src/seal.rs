//! Keeps private keys secret in a database that isn't: AES-256-GCM under a key from outside it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use session_domain::ids::KeyId;
use session_domain::port::Entropy;
use session_domain::secret::Secret256;
use zeroize::Zeroizing;

use crate::hex::{self, Key256};
use crate::secrets::NotAKey;

/// The first byte of everything sealed: which layout and cipher follow.
const VERSION: u8 = 1;

/// The 256-bit key that seals signing keys. Whoever has it and the database can sign tokens.
/// Wiped when dropped, invisible to `Debug`.
#[derive(Clone)]
pub struct KeyEncryptionKey(Key256);

impl KeyEncryptionKey {
    /// A fresh one.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Key256::default();
        entropy.fill(key.as_mut());
        Self(key)
    }

    /// Its 64 hexadecimal digits, for the file it is kept in.
    pub(crate) fn to_hex(&self) -> Zeroizing<Vec<u8>> {
        hex::write_256(&self.0)
    }

    /// A key for another purpose, named by `context` (BLAKE3 key derivation): it tells nothing of
    /// this one or of other purposes' keys.
    pub fn subkey(&self, context: &str) -> Secret256 {
        Secret256(blake3::derive_key(context, self.0.as_ref()))
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, self.0.as_ref());
        LessSafeKey::new(key.expect("an AES-256 key has 32 bytes"))
    }
}

impl FromStr for KeyEncryptionKey {
    type Err = NotAKey;

    /// Reads 64 hexadecimal digits, the form it has in a file or an environment variable.
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        hex::read_256(text.as_bytes()).map(Self).ok_or(NotAKey)
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyEncryptionKey(…)")
    }
}

/// Why something sealed couldn't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is too short to be anything we sealed.
    #[error("the sealed key is cut short")]
    Truncated,
    /// It was sealed by another release.
    #[error("the sealed key has layout {0}, which this release doesn't know")]
    Version(u8),
    /// The key-encryption key is another one, or the data was altered or belongs to another key.
    /// An authenticated cipher can't tell which.
    #[error("wrong key-encryption key, or the sealed key was altered")]
    Refused,
}

/// Seals `plain` for the signing key `kid`: version (1 byte) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
///
/// The version and `kid` are authenticated, so a sealed key can't be moved to another key's row.
/// The nonce is random: at 96 bits fine for far more keys (2^32) than will ever be made.
pub fn seal(kek: &KeyEncryptionKey, kid: &KeyId, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce);
    let mut body = plain.to_vec();
    kek.cipher()
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated(kid)),
            &mut body,
        )
        .expect("AES-256-GCM seals anything below 64 GiB");
    [[VERSION].as_slice(), &nonce, &body].concat()
}

/// Opens what [`seal`] made for `kid`.
pub fn open(
    kek: &KeyEncryptionKey,
    kid: &KeyId,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (&version, rest) = sealed.split_first().ok_or(OpenError::Truncated)?;
    if version != VERSION {
        return Err(OpenError::Version(version));
    }
    let (nonce, body) = rest
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(OpenError::Truncated)?;
    if body.len() < AES_256_GCM.tag_len() {
        return Err(OpenError::Truncated);
    }
    let mut body = Zeroizing::new(body.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain_len = kek
        .cipher()
        .open_in_place(nonce, Aad::from(associated(kid)), &mut body)
        .map_err(|_| OpenError::Refused)?
        .len();
    body.truncate(plain_len);
    Ok(body)
}

fn associated(kid: &KeyId) -> Vec<u8> {
    [[VERSION].as_slice(), kid.as_str().as_bytes()].concat()
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

    fn kek(byte: u8) -> KeyEncryptionKey {
        KeyEncryptionKey::generate(&Byte(byte))
    }

    fn kid(text: &str) -> KeyId {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_and_name_only() {
        let sealed = seal(&kek(1), &kid("a"), b"secret", &Byte(9));
        assert_eq!(
            open(&kek(1), &kid("a"), &sealed).unwrap().as_slice(),
            b"secret"
        );
        assert_eq!(open(&kek(2), &kid("a"), &sealed), Err(OpenError::Refused));
        assert_eq!(open(&kek(1), &kid("b"), &sealed), Err(OpenError::Refused));
    }

    #[test]
    fn any_changed_bit_and_any_cut_is_noticed() {
        let sealed = seal(&kek(1), &kid("a"), b"secret", &Byte(9));
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&kek(1), &kid("a"), &altered).is_err(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(
                open(&kek(1), &kid("a"), &sealed[..len]).is_err(),
                "{len} bytes"
            );
        }
        assert_eq!(
            open(&kek(1), &kid("a"), &[2; 40]),
            Err(OpenError::Version(2))
        );
    }

    #[test]
    fn nothing_of_the_plain_text_shows() {
        let sealed = seal(&kek(1), &kid("a"), &[0xaa; 48], &Byte(9));
        assert!(!sealed.windows(4).any(|window| window == [0xaa; 4]));
        assert_eq!(sealed.len(), 1 + 12 + 48 + 16);
        assert_eq!(format!("{:?}", kek(1)), "KeyEncryptionKey(…)");
    }
}
