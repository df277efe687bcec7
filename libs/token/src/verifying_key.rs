//! The public half of a signing key, ready to check signatures.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use jsonwebtoken::DecodingKey;
use session_domain::revocation::PublicKey;

use crate::{Algorithm, base64url, provider, thumbprint};

/// Both algorithms' signatures are two 32-byte numbers.
const SIGNATURE_BYTES: usize = 64;

/// Why a public key isn't used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Its algorithm isn't one of ours. Symmetric ones never are.
    #[error("the key's algorithm isn't supported")]
    Algorithm,
    /// It isn't a public JSON Web Key of its algorithm: a member missing, mistyped, or one too
    /// many (a private one, say).
    #[error("the key isn't a public JSON Web Key for its algorithm")]
    Form,
    /// Its numbers aren't a point fit for use: off the curve, spelled unusually, or of small
    /// order, under which signatures can be made without a private key.
    #[error("the key's numbers aren't fit for use")]
    Point,
    /// Its `kid` isn't its RFC 7638 thumbprint.
    #[error("the key isn't named by its thumbprint")]
    Name,
}

/// A public key, checked and bound to its one algorithm.
#[derive(Debug, Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    /// Reads a key from the log. It must be named by its thumbprint, so nothing else can be put
    /// in service under the name of a key that is trusted.
    pub fn from_public(public: &PublicKey) -> Result<Self, BadKey> {
        let algorithm = Algorithm::from_jose_name(&public.alg).ok_or(BadKey::Algorithm)?;
        let key = Self::from_jwk(algorithm, &public.jwk)?;
        if thumbprint(&public.jwk).as_ref() != Some(&public.kid) {
            return Err(BadKey::Name);
        }
        Ok(key)
    }

    /// Reads the members of a JSON Web Key (RFC 7517): exactly those that make up the public key.
    pub fn from_jwk(algorithm: Algorithm, jwk: &BTreeMap<String, String>) -> Result<Self, BadKey> {
        provider::install();
        let key = match algorithm {
            Algorithm::EdDsa => {
                let [x] = members(jwk, &[("kty", "OKP"), ("crv", "Ed25519")], ["x"])?;
                if ParsedPublicKey::new(&ED25519, x).is_err() || !is_fit_for_ed25519(x) {
                    return Err(BadKey::Point);
                }
                DecodingKey::from_ed_der(&x)
            }
            Algorithm::Es256 => {
                let [x, y] = members(jwk, &[("kty", "EC"), ("crv", "P-256")], ["x", "y"])?;
                // SEC 1, 2.3.3: the uncompressed form.
                let point = [[4].as_slice(), &x, &y].concat();
                // Parsing checks that it is on the curve.
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
                    .map_err(|_| BadKey::Point)?;
                DecodingKey::from_ec_der(&point)
            }
        };
        Ok(Self { algorithm, key })
    }

    /// The one algorithm it is for.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature`, in canonical base64url, is this key's of `message`.
    ///
    /// A message and key have few valid signatures, and none can be made from another: Ed25519
    /// signatures with S ≥ L are refused by the library (RFC 8032, 5.1.7), ES256 ones with the
    /// greater of the two possible `s` are refused here.
    pub fn verify(&self, message: &[u8], signature: &str) -> bool {
        let Some(bytes) = base64url::decode_exact::<SIGNATURE_BYTES>(signature) else {
            return false;
        };
        let canonical = match self.algorithm {
            Algorithm::EdDsa => true,
            Algorithm::Es256 => bytes[32..] <= P256_HALF_ORDER[..],
        };
        let library = self.algorithm.library();
        canonical
            && jsonwebtoken::crypto::verify(signature, message, &self.key, library).unwrap_or(false)
    }
}

/// The 32-byte numbers called `names` of a JSON Web Key that has the members `fixed`, and no
/// others.
fn members<const N: usize>(
    jwk: &BTreeMap<String, String>,
    fixed: &[(&str, &str)],
    names: [&str; N],
) -> Result<[[u8; 32]; N], BadKey> {
    let fixed_match = fixed
        .iter()
        .all(|&(name, value)| jwk.get(name).is_some_and(|found| found == value));
    if !fixed_match || jwk.len() != fixed.len() + N {
        return Err(BadKey::Form);
    }
    let mut numbers = [[0; 32]; N];
    for (number, name) in numbers.iter_mut().zip(names) {
        let text = jwk.get(name).ok_or(BadKey::Form)?;
        *number = base64url::decode_exact(text).ok_or(BadKey::Form)?;
    }
    Ok(numbers)
}

/// Whether an Ed25519 public key is spelled canonically (y < p) and isn't a point of small order.
/// Under one of the latter, some "signatures" fit every message.
fn is_fit_for_ed25519(key: [u8; 32]) -> bool {
    let mut y = key;
    y[31] &= 0x7f; // the rest is the sign of x, which a point of small order may have either way
    let canonical = y.iter().rev().lt(P25519.iter().rev());
    canonical && !SMALL_ORDER_Y.contains(&y)
}

/// p = 2^255 − 19, little-endian.
const P25519: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// The y of the points of order 1, 2, 4 and 8 (two of these), little-endian.
const SMALL_ORDER_Y: [[u8; 32]; 5] = {
    let zero = [0; 32];
    let mut one = zero;
    one[0] = 1;
    let mut minus_one = P25519;
    minus_one[0] -= 1;
    [zero, one, minus_one, ORDER_8_Y, ORDER_8_Y_NEGATED]
};

const ORDER_8_Y: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
    0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];

const ORDER_8_Y_NEGATED: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
    0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

/// Half the order of P-256, rounded down, big-endian: the greatest `s` of a canonical signature.
const P256_HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_point_of_small_order_is_fit() {
        for y in SMALL_ORDER_Y {
            for sign in [0, 0x80] {
                let mut key = y;
                key[31] |= sign;
                assert!(!is_fit_for_ed25519(key), "{key:x?}");
            }
        }
    }

    #[test]
    fn a_y_from_p_on_is_not_canonical() {
        for above in 0..=18 {
            for sign in [0, 0x80] {
                let mut key = P25519;
                key[0] += above;
                key[31] |= sign;
                assert!(!is_fit_for_ed25519(key), "p + {above}");
            }
        }
        let mut below = P25519;
        below[0] -= 2;
        assert!(is_fit_for_ed25519(below));
    }
}
