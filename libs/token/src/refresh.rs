//! Derives refresh tokens instead of storing them.
//!
//! `srt_` and the base64url of: key id (1 byte) ‖ session id (16) ‖ generation (4, big-endian) ‖
//! HMAC-SHA-256 under that key of key id ‖ session id ‖ generation ‖ seed (32). Every part has a
//! fixed length, so no two inputs read the same.
//!
//! The key lives outside the database, the seed inside it: neither alone makes a token.
//!
//! # Rotating the key
//! 1. Give every process the new key beside the old one ([`RefreshKeys`]); all still derive with
//!    the old.
//! 2. Make the new one current everywhere.
//! 3. When the last session whose token may be of the old key has reached its absolute end, or
//!    at once if the old key has leaked, take the old one away.
//!
//! The same generation derived before and after step 2 has two spellings. Both prove the same
//! fact, that this generation was issued, and both count as it: it is the row's generation that
//! makes a token single-use, not its spelling. So a lost answer repeated across the switch hands
//! out a token as good as the first, and using both of them is noticed like any reuse.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use session_domain::ids::{Generation, SessionId};
use session_domain::port::{Entropy, RefreshClaim, RefreshTokens};
use session_domain::secret::{Credential, Secret256};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::base64url;
use crate::hex::{self, Key256};
use crate::secrets::NotAKey;

const PREFIX: &str = "srt_";
const ID_BYTES: usize = 16;
const GENERATION_BYTES: usize = 4;
const PROOF_BYTES: usize = 32;
const TOKEN_BYTES: usize = 1 + ID_BYTES + GENERATION_BYTES + PROOF_BYTES;

/// A 256-bit key that refresh tokens are derived with. Wiped when dropped, invisible to `Debug`.
#[derive(Clone)]
pub struct RefreshKey(Key256);

impl RefreshKey {
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
}

impl FromStr for RefreshKey {
    type Err = NotAKey;

    /// Reads 64 hexadecimal digits, the form it has in a file or an environment variable. Nothing
    /// shorter is a key: there are no passwords here.
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        hex::read_256(text.as_bytes()).map(Self).ok_or(NotAKey)
    }
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshKey(…)")
    }
}

/// The keys whose tokens count, by their number.
pub type RefreshKeys = BTreeMap<u8, RefreshKey>;

/// The key that is to derive new tokens isn't among the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no refresh key {0}")]
pub struct NoSuchKey(pub u8);

/// The [`RefreshTokens`] of a deployment.
#[derive(Debug)]
pub struct RefreshDeriver {
    current_id: u8,
    current: RefreshKey,
    keys: RefreshKeys,
}

impl RefreshDeriver {
    /// Derives with the key numbered `current`, and knows the tokens of all `keys`.
    pub fn new(keys: RefreshKeys, current: u8) -> Result<Self, NoSuchKey> {
        let key = keys.get(&current).ok_or(NoSuchKey(current))?.clone();
        Ok(Self {
            current_id: current,
            current: key,
            keys,
        })
    }
}

impl RefreshTokens for RefreshDeriver {
    fn derive(&self, session: SessionId, generation: Generation, seed: &Secret256) -> Credential {
        let head = head(self.current_id, session, generation);
        let proof = prove(&self.current, &head, seed);
        let token = Zeroizing::new([head.as_slice(), proof.as_ref()].concat());
        Credential::new(format!("{PREFIX}{}", base64url::encode(&token)))
    }

    fn read(&self, token: &str) -> Option<RefreshClaim> {
        let text = token.strip_prefix(PREFIX)?;
        // Before decoding, which would take memory for whatever was sent.
        if text.len() != TOKEN_BYTES.div_ceil(3) * 4 - 1 {
            return None;
        }
        let bytes = base64url::decode_exact::<TOKEN_BYTES>(text)?;
        let (&key, rest) = bytes.split_first()?;
        let (session, rest) = rest.split_first_chunk::<ID_BYTES>()?;
        let (generation, rest) = rest.split_first_chunk::<GENERATION_BYTES>()?;
        Some(RefreshClaim {
            key,
            session: SessionId(Uuid::from_bytes(*session)),
            generation: Generation(u32::from_be_bytes(*generation)),
            proof: rest.try_into().ok()?,
        })
    }

    fn proves(&self, claim: &RefreshClaim, seed: &Secret256) -> bool {
        // An unknown key costs the same work, so that time tells nothing about which are known.
        let known = self.keys.get(&claim.key);
        let head = head(claim.key, claim.session, claim.generation);
        let proof = prove(known.unwrap_or(&self.current), &head, seed);
        let equal: bool = proof.as_ref().ct_eq(&claim.proof).into();
        equal & known.is_some()
    }
}

fn head(key: u8, session: SessionId, generation: Generation) -> [u8; TOKEN_BYTES - PROOF_BYTES] {
    let mut head = [key; TOKEN_BYTES - PROOF_BYTES];
    head[1..=ID_BYTES].copy_from_slice(session.0.as_bytes());
    head[1 + ID_BYTES..].copy_from_slice(&generation.0.to_be_bytes());
    head
}

fn prove(key: &RefreshKey, head: &[u8], seed: &Secret256) -> hmac::Tag {
    // Set up for each call: the library wipes this copy, and keeping it saves half a microsecond.
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.0.as_ref());
    let mut context = hmac::Context::with_key(&key);
    context.update(head);
    context.update(&seed.0);
    context.sign()
}
