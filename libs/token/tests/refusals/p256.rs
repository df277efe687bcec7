//! A trusted P-256 key, and signatures of it that are made or spoilt as a test likes.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};
use session_domain::port::TokenVerifier;
use session_domain::revocation::{KeySet, PublicKey};
use session_domain::token::{Refusal, TokenKind};

use crate::support::{b64, key, payload, verifier};

/// A trusted P-256 key.
pub(crate) struct P256 {
    pkcs8: Vec<u8>,
    pub(crate) public: PublicKey,
    pub(crate) keys: KeySet,
}

impl P256 {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
        let members = [("kty", "EC"), ("crv", "P-256"), ("x", &x), ("y", &y)];
        let public = key("ES256", &members);
        let keys = KeySet::from_iter([public.clone()]);
        Self {
            pkcs8: pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
            public,
            keys,
        }
    }

    pub(crate) fn signed_part(&self) -> String {
        let header = format!(
            r#"{{"alg":"ES256","kid":"{}","typ":"at+jwt"}}"#,
            self.public.kid
        );
        format!("{}.{}", b64(header), b64(payload()))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "ECDSA wants fresh randomness, and a test's signature may differ each time"
    )]
    pub(crate) fn sign(&self, algorithm: &'static EcdsaSigningAlgorithm) -> Vec<u8> {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &self.pkcs8).unwrap();
        let signature = pair.sign(&SystemRandom::new(), self.signed_part().as_bytes());
        signature.unwrap().as_ref().to_vec()
    }

    /// A signature whose `s` is in the lower half, the one spelling we accept.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut all = std::iter::repeat_with(|| self.sign(&ECDSA_P256_SHA256_FIXED_SIGNING));
        all.find(|signature| signature[32] < 0x7f).unwrap()
    }

    pub(crate) fn judge(&self, signature: impl AsRef<[u8]>) -> Result<(), Refusal> {
        let token = format!("{}.{}", self.signed_part(), b64(signature));
        let verdict = verifier().verify(&token, TokenKind::Access, &self.keys);
        verdict.map(|_| ())
    }
}
