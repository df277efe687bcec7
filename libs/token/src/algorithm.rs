/// The signature algorithms a key may be for. A key is for exactly one, and a token that names
/// another one is refused, so nobody can choose how their token is checked.
///
/// To add one (RS256, say): a variant here, its key form in [`VerifyingKey`], and, if it can sign
/// deterministically, its generation in [`SigningKey`]. Everything else follows from the variant.
///
/// [`VerifyingKey`]: crate::VerifyingKey
/// [`SigningKey`]: crate::SigningKey
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032, RFC 8037): what we sign with.
    EdDsa,
    /// ECDSA on P-256 with SHA-256 (RFC 7518, 3.4). Verified only: the library draws a new nonce
    /// for each signature, while [`TokenSigner`](session_domain::port::TokenSigner) must repeat
    /// itself. Known to the verifier already, so that validators in the field accept such keys
    /// before the first signer uses one.
    Es256,
}

impl Algorithm {
    /// The `alg` of RFC 7518 and RFC 8037.
    pub const fn jose_name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// The algorithm of that `alg`, in the one spelling we issue: neither `none` nor an HMAC nor
    /// the alias `Ed25519` (RFC 9864) is one.
    pub fn from_jose_name(name: &str) -> Option<Self> {
        [Self::EdDsa, Self::Es256]
            .into_iter()
            .find(|algorithm| algorithm.jose_name() == name)
    }

    pub(crate) const fn library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}
